import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_wire.printable import printable

UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("frz-00042", "frz-00042"),
        ("Büro 1 °C ☃", "Büro 1 °C ☃"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]8;;http://evil\x07click", "\\x1b]8;;http://evil\\x07click"),
        ("two\nlines\r\tand", "two\\nlines\\r\\tand"),
        ("a\u202eb\u2028c\ud800", "a\\u202eb\\u2028c\\ud800"),
        ("[/red]x [link=http://evil]y", "[/red]x [link=http://evil]y"),
        (17, "17"),
    ],
)
def test_what_a_terminal_obeys_is_shown_as_its_escape(text: object, shown: str) -> None:
    assert printable(text) == shown


def test_a_text_that_is_too_long_is_cut_and_says_so() -> None:
    assert printable("x" * 300, 10) == "x" * 9 + "…"
    assert printable("x" * 10, 10) == "x" * 10
    assert len(printable("\x1b" * 10, 10)) == 10


@given(st.text())
def test_nothing_unseen_is_left_of_any_text(text: str) -> None:
    shown = printable(text)
    assert len(shown) <= 200
    assert not [one for one in shown if unicodedata.category(one) in UNSEEN]

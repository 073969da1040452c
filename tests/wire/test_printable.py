import json
import math
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_wire.printable import json_line, printable, printable_lines

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
def test_control_characters_are_shown_as_escapes(text: object, shown: str) -> None:
    assert printable(text) == shown


def test_a_text_that_is_too_long_is_cut_and_says_so() -> None:
    assert printable("x" * 300, 10) == "x" * 9 + "…"
    assert printable("x" * 10, 10) == "x" * 10
    assert len(printable("\x1b" * 10, 10)) == 10


@given(st.text())
def test_no_text_keeps_an_invisible_character(text: str) -> None:
    shown = printable(text)
    assert len(shown) <= 200
    assert not [one for one in shown if unicodedata.category(one) in UNSEEN]


def test_a_whole_text_is_not_cut() -> None:
    assert printable("x" * 5000 + "\n", None) == "x" * 5000 + "\\n"


def test_a_text_of_several_lines_keeps_its_line_feeds_alone() -> None:
    assert (
        printable_lines("a.yaml:1:1: \x1b[2J\nb\r\nc\x85d\u2028e")
        == "a.yaml:1:1: \\x1b[2J\nb\\r\nc\\x85d\\u2028e"
    )


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON, st.sampled_from(["utf-8", "UTF8", "utf_16", "ascii", "ANSI_X3.4-1968", "iso8859-1", None]))
def test_json_reads_back_exactly_and_contains_no_control_characters(value: Any, encoding: str | None) -> None:
    line = json_line(value, encoding=encoding)
    assert json.loads(line) == value
    assert not [one for one in line if unicodedata.category(one) in UNSEEN]
    line.encode(encoding or "ascii")


@pytest.mark.parametrize(
    "text", ["\x7f", "\x9b31m", "\u2028", "\ud800", "\udfff\ud800", "\U000e0041", "\U00010ffff", "é"]
)
def test_characters_that_json_does_not_escape_are_escaped(text: str) -> None:
    line = json_line({text: [text]})
    assert json.loads(line) == {text: [text]}
    assert line.isprintable()
    assert ("é" in line) is (text == "é")
    assert "é" not in json_line("é", encoding="ascii")


def test_numbers_that_json_does_not_have_are_null() -> None:
    line = json_line({"sum": math.inf, "of": [-math.inf, (math.nan, 1.5)], "text": "Infinity\x07"})
    assert json.loads(line, parse_constant=pytest.fail) == {
        "sum": None,
        "of": [None, [None, 1.5]],
        "text": "Infinity\x07",
    }

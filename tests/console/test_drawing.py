"""Tables: readable at 80 columns, one line a row in a pipe, nothing lost and nothing obeyed."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from fleet_console.drawing import LONGEST_CELL, Line, Styled, Table, draw

STYLES = re.compile(r"\x1b\[[0-9;]*m")
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
LONG_ID = "freezer-" + "x" * 56

cells = st.one_of(
    st.text(max_size=90),
    st.sampled_from(
        ["[/red]x", "[link=http://evil]y", "\x1b]8;;http://evil\x07", "a\nb", "日本語" * 20, LONG_ID, ""]
    ),
)


def drawn(*blocks: Table | Line, width: int = 80, terminal: bool = True) -> list[str]:
    written = StringIO()
    draw(Console(file=written, force_terminal=terminal, width=width, color_system="standard"), *blocks)
    text = STYLES.sub("", written.getvalue())
    assert "\x1b" not in text
    return text.removesuffix("\n").split("\n") if text else []


def table(columns: Sequence[str], *rows: Sequence[object]) -> Table:
    made = Table(columns)
    for row in rows:
        made.add(*row)
    return made


def test_rows_that_fit_are_one_line_under_the_headings() -> None:
    lines = drawn(table(("device", "n"), ("frz-00042", "7"), ("a", Styled("12", "red"))))
    assert lines == ["device     n", "frz-00042  7", "a          12"]


def test_columns_that_do_not_fit_continue_on_a_further_line() -> None:
    lines = drawn(table(("device", "site", "state", "n"), (LONG_ID, "berlin", "offline", "7")))
    assert lines == [
        "device" + " " * 60 + "site",
        "    state    n",
        LONG_ID + "  berlin",
        "    offline  7",
    ]


def test_a_long_last_column_wraps_by_words_beside_the_others() -> None:
    lines = drawn(table(("rule", "summary"), ("TooWarm", "the freezer is warmer than it may be " * 3)))
    assert lines[1] == "TooWarm  the freezer is warmer than it may be the freezer is warmer than it may"
    assert all(line.startswith(" " * 9) for line in lines[2:])


def test_cells_longer_than_a_line_are_folded_and_only_huge_ones_are_cut() -> None:
    (head, *lines) = drawn(table(("payload", "n"), ("f" * 300, "7")))
    assert head == "payload"
    assert "".join(lines).replace(" ", "") == "n" + "f" * 300 + "7"
    text = "".join(drawn(table(("payload",), ("f" * 5000,))))
    assert text.count("f") == LONGEST_CELL - 1
    assert text.endswith("…")


def test_in_a_pipe_nothing_is_wrapped_or_cut() -> None:
    lines = drawn(table(("payload", "n"), ("f" * 5000, "7"), ("a\nb", "")), terminal=False)
    assert lines == ["payload" + " " * 4993 + "  n", "f" * 5000 + "  7", "a\\nb"]


def test_a_table_without_headings_or_rows() -> None:
    assert drawn(table(("", ""), ("a", "1"))) == ["a  1"]
    assert drawn(table(("", ""))) == []
    assert drawn(table(("a", "b"))) == ["a  b"]
    assert drawn(Line("two\nlines\x1b[2J"), Line("x " * 50)) == [
        "two\\nlines\\x1b[2J",
        "x " * 39 + "x ",
        "x " * 9 + "x ",
    ]


def test_a_command_is_one_line_however_wide_it_is() -> None:
    command = 'fleet-sim verify runs/a --history-cmd "edge-gateway query windows --json" --wait 40s'
    for terminal in (True, False):
        assert drawn(Line(command, whole=True), width=40, terminal=terminal) == [command]


@pytest.mark.parametrize("width", [20, 80])
@given(rows=st.lists(st.tuples(cells, cells, cells, cells), max_size=4))
def test_no_line_is_wider_than_the_terminal_and_nothing_is_lost(
    width: int, rows: list[tuple[str, str, str, str]]
) -> None:
    shown = table(("device", "site", "a heading of its own", "text"), *rows)
    lines = drawn(shown, width=width)
    assert all(cell_len(line) <= width for line in lines)
    seen = Counter("".join(lines))
    wanted = Counter(
        "".join(character for row in rows for cell in row for character in cell if character.isprintable())
    )
    assert all(seen[character] >= count for character, count in wanted.items() if character != " ")


@given(rows=st.lists(st.tuples(cells, cells), max_size=4))
def test_in_a_pipe_a_row_is_one_line(rows: list[tuple[str, str]]) -> None:
    lines = drawn(table(("device", "text"), *rows), terminal=False)
    assert len(lines) == 1 + len(rows)
    assert all(unicodedata.category(character) not in UNSEEN for line in lines for character in line)

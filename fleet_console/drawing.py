"""Tables of both command lines: readable on a terminal of any width, one line per row everywhere else.

On a terminal columns that do not fit continue on a further, indented line of the row; a last column of text wraps in
the rest of the line. Nothing is dropped, and only cells of more than a thousand characters are cut. In a pipe or a file
a row is one line and cells are complete, so that `grep` finds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Final, NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from fleet_wire.printable import printable

GAP: Final = 2
"""Blanks between columns."""
INDENT: Final = 4
"""Blanks before the further lines of a row."""
LEAST_TEXT: Final = 30
"""Width that a wrapped last cell needs; with less it gets its own line."""
LONGEST_CELL: Final = 1_000
"""Characters of a cell on a terminal, so that a payload in hexadecimal does not fill the screen."""


class Styled(NamedTuple):
    """A cell or line with a style of Rich."""

    text: object
    style: str = ""


@dataclass(slots=True)
class Line:
    """A paragraph between tables; one to copy, such as a command, is kept `whole` on a line however wide it is."""

    text: object
    style: str = ""
    whole: bool = False


@dataclass(slots=True)
class Table:
    """Rows of cells under headings; if all headings are empty, none are shown."""

    columns: Sequence[str]
    title: str = ""
    rows: list[tuple[Styled, ...]] = field(default_factory=list)

    def add(self, *cells: object) -> None:
        """Add a row; cells may be Styled, and their text may come from outside."""
        self.rows.append(tuple(cell if isinstance(cell, Styled) else Styled(cell) for cell in cells))


class _Place(NamedTuple):
    """A column's position: its line in the row, the blanks before it, and its width."""

    line: int
    at: int
    width: int


def draw(console: Console, *blocks: Table | Line) -> None:
    """Print tables and paragraphs, at once even into a pipe."""
    for block in blocks:
        if not console.is_terminal:
            console.file.write("".join(f"{line}\n" for line in _plain(block)))
        elif isinstance(block, Line):
            text = Text(printable(block.text, None), style=block.style)
            console.print(text, soft_wrap=block.whole, highlight=False)
        else:
            for text in _drawn(block, console):
                console.print(text, soft_wrap=True, highlight=False)
    console.file.flush()


# --- into a pipe or file


def _plain(block: Table | Line) -> Iterable[str]:
    if isinstance(block, Line):
        yield printable(block.text, None)
        return
    if block.title:
        yield printable(block.title, None)
    rows = _cells(block, longest=None)
    wide = _widths(rows)
    for row in rows:
        padded = (cell.text + " " * (wide[at] - cell_len(cell.text)) for at, cell in enumerate(row))
        yield (" " * GAP).join(padded).rstrip()


# --- on a terminal


def _drawn(table: Table, console: Console) -> Iterable[Text]:
    if table.title:
        yield from Text(printable(table.title), style="italic").wrap(console, console.width)
    rows = _cells(table, longest=LONGEST_CELL)
    places = _places(_widths(rows), console.width)
    for row in rows:
        yield from _row(row, places, console)


class _Cell(NamedTuple):
    text: str
    style: str


def _cells(table: Table, longest: int | None) -> list[list[_Cell]]:
    headed = (
        [[_Cell(printable(name, longest), "bold") for name in table.columns]] if any(table.columns) else []
    )
    return headed + [[_Cell(printable(cell.text, longest), cell.style) for cell in row] for row in table.rows]


def _widths(rows: Sequence[Sequence[_Cell]]) -> list[int]:
    return [max(cell_len(cell.text) for cell in column if cell) for column in zip_longest(*rows)]


def _places(widths: Sequence[int], width: int) -> list[_Place]:
    """Place each column after the one before it, or at the start of a further line if it does not fit."""
    places: list[_Place] = []
    line, at = 0, 0
    for number, wide in enumerate(widths):
        is_text = number == len(widths) - 1 and width - at >= LEAST_TEXT
        if number and at + wide > width and not is_text:
            line, at = line + 1, INDENT
        places.append(_Place(line, at, max(1, min(wide, width - at))))
        at += wide + GAP
    return places


def _row(row: Sequence[_Cell], places: Sequence[_Place], console: Console) -> Iterable[Text]:
    for number in range(places[-1].line + 1 if places else 0):
        here = [
            (place, _wrapped(cell, place.width, console))
            for cell, place in zip(row, places, strict=False)
            if place.line == number
        ]
        yield from _lines(here)


def _wrapped(cell: _Cell, width: int, console: Console) -> list[Text]:
    if not cell.text:
        return []
    return list(Text(cell.text, style=cell.style).wrap(console, width))


def _lines(cells: Sequence[tuple[_Place, Sequence[Text]]]) -> Iterable[Text]:
    """Lay cells side by side, line by line."""
    for part in range(max((len(texts) for _, texts in cells), default=0)):
        line = Text()
        for place, texts in cells:
            if part < len(texts):
                line.append(" " * (place.at - line.cell_len))
                line.append_text(texts[part])
        line.rstrip()
        yield line

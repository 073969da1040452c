"""The inventory: a CSV file of the devices that are expected. All errors at once, each at its line and column.

    id,site,type,metrics,room
    frz-00042,berlin,freezer,temperature humidity,cellar

`id` and `site` are required; `type` and `metrics`, names separated by blanks, may be left out; every other column is a
tag. A field may stand in double quotes, but not go on over the end of its line. Lines without text are passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from edge_gateway.rules.language.inventory import ExpectedDevice
from fleet_config.bounded_file import UnreadableFile, read_file
from fleet_config.match import PROPERTIES
from fleet_config.problems import MOST_PROBLEMS, NOWHERE, Problem, ProblemsFound, quoted, suggest
from fleet_wire.telemetry import is_metric_name
from fleet_wire.topics import is_level

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOST_DEVICES: Final = 100_000
MAX_BYTES: Final = 32 << 20
MOST_METRICS: Final = 256
MOST_TAGS: Final = 32
LONGEST_TYPE, LONGEST_TAG = 64, 128
OWN_COLUMNS: Final = ("id", "site", "type", "metrics")


class Cell(NamedTuple):
    """A field, and the column of its first character, from 1."""

    text: str
    column: int


def read_inventory(path: Path) -> tuple[ExpectedDevice, ...]:
    """The expected devices, in the order of the file. ProblemsFound with its errors."""
    try:
        text = read_file(path, MAX_BYTES).decode("utf-8-sig")
    except UnreadableFile as error:
        raise ProblemsFound([Problem(str(path), *NOWHERE, str(error))]) from error
    except UnicodeDecodeError as error:
        raise ProblemsFound([Problem(str(path), *NOWHERE, f"not UTF-8 at byte {error.start}")]) from error
    reader = _Reader(str(path))
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and len(reader.problems) < MOST_PROBLEMS:
            reader.read(number, line)
    if not reader.header:
        reader.report(1, 1, "the first line must name the columns, such as id,site,type,metrics")
    if reader.problems:
        raise ProblemsFound(reader.problems)
    return tuple(reader.devices.values())


def cells_of(line: str) -> list[Cell]:
    """The fields of a line. ValueError with the column of a quote that is never closed."""
    cells, at = [], 0
    while at <= len(line):
        begin, text = at, ""
        if line[at : at + 1] == '"':
            at += 1
            while line[at : at + 1] != '"' or line[at : at + 2] == '""':
                if at >= len(line):
                    raise ValueError(begin + 1)
                text += line[at]
                at += 2 if line[at : at + 2] == '""' else 1
            at += 1
        end = line.find(",", at)
        end = len(line) if end < 0 else end
        cells.append(Cell((text + line[at:end]).strip(), begin + 1))
        at = end + 1
    return cells


class _Reader:
    def __init__(self, file: str) -> None:
        self.header: list[str] = []
        self.devices: dict[str, ExpectedDevice] = {}
        self.problems: list[Problem] = []
        self._file = file
        self._lines: dict[str, int] = {}

    def report(self, line: int, column: int, message: str) -> None:
        self.problems.append(Problem(self._file, line, column, message))

    def read(self, line: int, text: str) -> None:
        try:
            cells = cells_of(text)
        except ValueError as error:
            self.report(line, int(error.args[0]), "a quote is never closed on this line")
            return
        if not self.header:
            self._read_header(line, cells)
        elif len(cells) != len(self.header):
            self.report(line, cells[-1].column, f"{len(cells)} fields; the first line has {len(self.header)}")
        else:
            self._read_row(line, dict(zip(self.header, cells, strict=True)))

    def _read_header(self, line: int, cells: list[Cell]) -> None:
        self.header = [cell.text for cell in cells]
        for place, cell in enumerate(cells):
            if cell.text in self.header[:place]:
                self.report(line, cell.column, f"the column {quoted(cell.text)} is named twice")
            elif cell.text in PROPERTIES and cell.text not in OWN_COLUMNS:
                self.report(line, cell.column, f"a column '{cell.text}' is no tag; the device's name is 'id'")
            elif not is_metric_name(cell.text):
                self.report(
                    line,
                    cell.column,
                    f"{quoted(cell.text)} is no column: write lower-case letters, digits, _",
                )
        for name in OWN_COLUMNS[:2]:
            if name not in self.header:
                near = suggest(name, self.header)
                self.report(line, 1, f"the column '{name}' is missing{near}")
        if len(self.header) > MOST_TAGS + len(OWN_COLUMNS):
            self.report(line, 1, f"more than {MOST_TAGS} columns of tags")

    def _read_row(self, line: int, row: dict[str, Cell]) -> None:
        before = len(self.problems)
        for name in OWN_COLUMNS[:2]:
            self._check(line, row.get(name), is_level, f"is no {name}: 1 to 64 of A-Z a-z 0-9 _ -")
        self._check(line, row.get("type"), lambda text: len(text) <= LONGEST_TYPE, "is too long for a type")
        tags = {name: cell for name, cell in row.items() if name not in OWN_COLUMNS and cell.text}
        for cell in tags.values():
            self._check(line, cell, lambda text: len(text) <= LONGEST_TAG, "is too long for a tag")
        metrics = row["metrics"].text.split() if "metrics" in row else []
        for metric in metrics:
            self._check(line, Cell(metric, row["metrics"].column), is_metric_name, "is no metric name")
        if len(metrics) > MOST_METRICS:
            self.report(line, row["metrics"].column, f"more than {MOST_METRICS} metrics")
        if len(self.problems) == before and "id" in row and "site" in row:
            kind = row["type"].text if "type" in row else ""
            values = {name: cell.text for name, cell in tags.items()}
            device = row["id"].text, row["site"].text, kind or "unknown", values, tuple(metrics)
            self._take(line, row["id"], ExpectedDevice(*device))

    def _check(self, line: int, cell: Cell | None, fits: Callable[[str], bool], wrong: str) -> None:
        if cell is not None and not fits(cell.text):
            self.report(line, cell.column, f"{quoted(cell.text)} {wrong}")

    def _take(self, line: int, at: Cell, device: ExpectedDevice) -> None:
        first = self._lines.setdefault(device.id, line)
        if first != line:
            self.report(line, at.column, f"'{device.id}' is in line {first} already; a name is one device")
        elif len(self.devices) >= MOST_DEVICES:
            self.report(line, at.column, f"more than {MOST_DEVICES:,} devices")
        else:
            self.devices[device.id] = device

"""Reading a damaged SQLite file around what cannot be read, by plain SELECTs in the order of a table's key.

    rows ─▶ error ─▶ probe further on: +1, +2, +4, … ─▶ first key that can be read again ─▶ halve back ─▶ rows

What a key range hides behind a lost page is passed over and counted. Where the first page is lost, on which
SQLite keeps the list of tables, that of a new file takes its place: the tables are made in one order always,
so their roots lie on the same pages.
"""

import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from edge_gateway.store import schema

PIECE: Final = 1_000
_PAGE: Final = 4096
_SCHEMA_INTERIOR: Final = 5


@dataclass(frozen=True, slots=True)
class KeyedTable:
    """A table, its integer key columns with the bits each takes of one number, and its other columns."""

    name: str
    key: tuple[str, ...]
    bits: tuple[int, ...]
    columns: tuple[str, ...]

    def number(self, key: tuple[int, ...]) -> int:
        """A key as one number of the same order."""
        whole = key[0]
        for part, bits in zip(key[1:], self.bits[1:], strict=True):
            whole = (whole << bits) + part
        return whole

    def parts(self, number: int) -> tuple[int, ...]:
        """The inverse of `number`."""
        parts = []
        for bits in reversed(self.bits[1:]):
            parts.append(number & ((1 << bits) - 1))
            number >>= bits
        low, high = -(1 << 63), (1 << 63) - 1
        return (max(low, min(high, number)), *reversed(parts))

    @property
    def lowest(self) -> int:
        return -(1 << (sum(self.bits) - 1))

    @property
    def highest(self) -> int:
        return (1 << (sum(self.bits) - 1)) - 1


class TablePiece(NamedTuple):
    """Some rows in order, each its key and its columns; go on after `last`, None at the end of the table.

    `damaged`: something between the rows, or behind them, could not be read.
    """

    rows: list[tuple[Any, ...]]
    last: int | None
    damaged: bool


class DamagedStore:
    """A store that was set aside, open for reading; nothing of it is changed but a lost first page."""

    def __init__(self, path: Path) -> None:
        self._db = _opened(path)

    def close(self) -> None:
        self._db.close()

    def pairs(self, table: str) -> dict[Any, Any]:
        """A small table of two columns, as far as it can be read from its beginning and from its end."""
        found: dict[Any, Any] = {}
        for direction in ("ASC", "DESC"):
            try:
                for name, value in self._db.execute(f"SELECT * FROM {table} ORDER BY 1 {direction}"):  # noqa: S608
                    found[_text(name)] = value if isinstance(value, (int, float)) else _text(value)
            except schema.READ_ERRORS:
                continue
        return found

    def piece(self, table: KeyedTable, after: int | None) -> TablePiece:
        """The rows behind the key `after` (None: from the first), at most 1,000, and what of them is damaged."""
        last = table.lowest - 1 if after is None else after
        rows: list[tuple[Any, ...]] = []
        # A cursor steps ahead of the row it gives, so the last good row comes only when it is asked for alone.
        for limit in (PIECE, 1):
            found, whole = self._ascending(table, last, limit)
            rows += found
            last = table.number(rows[-1][: len(table.key)]) if rows else last
            if whole:
                return TablePiece(rows, last if len(found) == limit else None, damaged=False)
        further = self._readable_after(table, last)
        return TablePiece(rows, None if further is None else further - 1, damaged=True)

    def _ascending(self, table: KeyedTable, after: int, limit: int) -> tuple[list[tuple[Any, ...]], bool]:
        """Rows in order, up to an error or a key out of order; the flag tells that there was none."""
        rows: list[tuple[Any, ...]] = []
        width = len(table.key)
        try:
            for row in self._select(table, after + 1, limit):
                number = table.number(row[:width]) if _are_whole(row[:width]) else after
                if number <= after:
                    return rows, False
                after = number
                rows.append(row)
        except schema.READ_ERRORS:
            return rows, False
        return rows, True

    def _readable_after(self, table: KeyedTable, bad: int) -> int | None:
        """The lowest key above `bad` that a search by doubling, then halving, finds readable."""
        step = 1
        while not self._can_read(table, bad + step):
            step *= 2
            if bad + step > table.highest:
                return None
        low, high = bad + step // 2, bad + step
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._can_read(table, middle) else (middle, high)
        return high

    def _can_read(self, table: KeyedTable, number: int) -> bool:
        """Whether what lies at a key or behind it can be read, be it the end of the table."""
        try:
            row = next(iter(self._select(table, number, 1)), None)
        except schema.READ_ERRORS:
            return False
        key = None if row is None else row[: len(table.key)]
        return key is None or (_are_whole(key) and table.number(key) >= number)

    def _select(self, table: KeyedTable, number: int, limit: int) -> Iterator[tuple[Any, ...]]:
        key = ", ".join(table.key)
        marks = ", ".join("?" * len(table.key))
        columns = ", ".join((*table.key, *table.columns))
        return self._db.execute(
            f"SELECT {columns} FROM {table.name} WHERE ({key}) >= ({marks}) ORDER BY {key} LIMIT ?",  # noqa: S608
            (*table.parts(number), limit),
        )


def _are_whole(key: tuple[Any, ...]) -> bool:
    return all(isinstance(part, int) for part in key)


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _opened(path: Path) -> sqlite3.Connection:
    """The file, for reading; sqlite3.DatabaseError where not even a new first page makes a store of it."""
    db = _connected(path)
    try:
        found = {_text(name) for (name,) in db.execute("SELECT name FROM sqlite_schema")}
        if "meta" in found:
            return db
    except schema.READ_ERRORS:
        pass
    db.close()
    _graft(path)
    db = _connected(path)
    db.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
    return db


def _connected(path: Path) -> sqlite3.Connection:
    source = schema.read_only(path)
    db = sqlite3.connect(source, uri=True, isolation_level=None, timeout=10, check_same_thread=False)
    db.text_factory = bytes
    db.execute("PRAGMA cell_size_check=ON")
    return db


def _graft(path: Path) -> None:
    """Put the first pages of a new store, those that list the tables, in place of the damaged ones.

    What stood there is kept beside the file. A log that was not moved into the file yet is left out: it may
    bring the damaged page back.
    """
    pages = _schema_pages(path)
    size = path.stat().st_size
    with path.open("r+b") as file:
        path.with_name(f"{path.name}.page1").write_bytes(file.read(_PAGE))
        for number, page in pages.items():
            file.seek((number - 1) * _PAGE)
            file.write(_with_size(page, size // _PAGE) if number == 1 else page)
    wal = path.with_name(path.name + "-wal")
    if wal.exists():
        wal.replace(wal.with_name(wal.name + ".left-out"))
    path.with_name(path.name + "-shm").unlink(missing_ok=True)


def _with_size(page: bytes, pages: int) -> bytes:
    """A first page for a file of so many pages, none of them free."""
    head = bytearray(page)
    struct.pack_into(">I", head, 28, pages)
    struct.pack_into(">II", head, 32, 0, 0)
    head[92:96] = head[24:28]
    return bytes(head)


def _schema_pages(beside: Path) -> dict[int, bytes]:
    """Pages of a new store that list its tables, by number."""
    fresh = beside.with_name(beside.name + ".new")
    schema.remove(fresh)
    db, _ = schema.open_store(fresh)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    data = fresh.read_bytes()
    schema.remove(fresh)
    numbers = [1, *_children(data[:_PAGE])]
    return {number: data[(number - 1) * _PAGE : number * _PAGE] for number in numbers}


def _children(first: bytes) -> list[int]:
    """Pages below the first one; https://www.sqlite.org/fileformat2.html#b_tree_pages."""
    if first[100] != _SCHEMA_INTERIOR:
        return []
    (cells,) = struct.unpack_from(">H", first, 103)
    places = struct.unpack_from(f">{cells}H", first, 112)
    return [struct.unpack_from(">I", first, place)[0] for place in (*places, 108)]

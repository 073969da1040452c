"""Read a damaged SQLite file around its unreadable parts, by plain SELECTs in the order of a table's key.

    rows ─▶ error ─▶ probe keys +1, +2, +4, … ─▶ one that can be read ─▶ bisect to the lowest ─▶ rows

The keys on a lost page are skipped, and the gap is counted. If the first page is lost, on which SQLite keeps the list
of tables, that of a new file replaces it: tables are always created in the same order, so their roots are on the same
pages.
"""

import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from edge_gateway.store import schema

PIECE: Final = 1_000
"""Most rows read at a time."""
_PAGE: Final = 4096


@dataclass(frozen=True, slots=True)
class KeyedTable:
    """A table with integer key columns.

    Attributes:
        name: of the table.
        key: its key columns.
        bits: how many bits each takes when the key is packed into one number.
        columns: its other columns.
        most: most rows read at a time.
        joined: a table with the same key that has some of the columns; empty for none.
    """

    name: str
    key: tuple[str, ...]
    bits: tuple[int, ...]
    columns: tuple[str, ...]
    most: int = 1 << 30
    joined: str = ""

    def number(self, key: tuple[int, ...]) -> int:
        """Pack a key into one number that sorts like the key."""
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
    """Some rows of a table in order of the key.

    Attributes:
        rows: key and other columns of each.
        last: the packed key to go on behind; None at the end of the table.
        damaged: whether something behind the rows could not be read.
    """

    rows: list[tuple[Any, ...]]
    last: int | None
    damaged: bool


class DamagedStore:
    """A store that was set aside, open for reading; nothing of it changes but a lost first page."""

    def __init__(self, path: Path) -> None:
        self._db = _opened(path)

    def close(self) -> None:
        self._db.close()

    def pairs(self, table: str) -> dict[Any, Any]:
        """Return what can be read of a small table with two columns, from its beginning and from its end."""
        found: dict[Any, Any] = {}
        for direction in ("ASC", "DESC"):
            try:
                for name, value in self._db.execute(f"SELECT * FROM {table} ORDER BY 1 {direction}"):  # noqa: S608
                    found[_text(name)] = value if isinstance(value, (int, float)) else _text(value)
            except schema.READ_ERRORS:
                continue
        return found

    def piece(self, table: KeyedTable, after: int | None) -> TablePiece:
        """Read at most PIECE rows behind the packed key `after`; None for the first."""
        last = table.lowest - 1 if after is None else after
        rows: list[tuple[Any, ...]] = []
        # SQLite reads ahead of the row it returns, so the last row before the damage comes only with LIMIT 1.
        for limit in (min(PIECE, table.most), 1):
            found, whole = self._ascending(table, last, limit)
            rows += found
            last = table.number(rows[-1][: len(table.key)]) if rows else last
            if whole:
                return TablePiece(rows, last if len(found) == limit else None, damaged=False)
        further = self._readable_after(table, last)
        return TablePiece(rows, None if further is None else further - 1, damaged=True)

    def block(self, number: int) -> tuple[Any, ...] | None:
        """Return keys and body of a block; None if it cannot be read."""
        try:
            rows = self._db.execute("SELECT keys, body FROM block_body WHERE id=?", (number,)).fetchall()
        except schema.READ_ERRORS:
            return None
        return rows[0] if rows else None

    def _ascending(self, table: KeyedTable, after: int, limit: int) -> tuple[list[tuple[Any, ...]], bool]:
        """Return rows up to an error or a key out of order; the flag says that there was neither."""
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
        """Return the lowest readable packed key above `bad` that doubling and then bisecting finds; None at the end."""
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
        """Whether the row at or behind a packed key can be read, or the end of the table."""
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
        joined = f"LEFT JOIN {table.joined} USING({key})" if table.joined else ""
        return self._db.execute(
            f"SELECT {columns} FROM {table.name} {joined} WHERE ({key}) >= ({marks}) ORDER BY {key} LIMIT ?",  # noqa: S608
            (*table.parts(number), limit),
        )


def _are_whole(key: tuple[Any, ...]) -> bool:
    return all(isinstance(part, int) for part in key)


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _opened(path: Path) -> sqlite3.Connection:
    """Open the file for reading; sqlite3.DatabaseError if it is unreadable even with a new first page.

    A file without a whole page is not opened: SQLite would delete its log.
    """
    if path.stat().st_size < _PAGE:
        raise sqlite3.DatabaseError("no page of it is whole")
    db = _connected(path)
    try:
        found = {_text(name) for (name,) in db.execute("SELECT name FROM sqlite_schema")}
        if "meta" in found:
            return db
    except schema.READ_ERRORS:
        pass
    db.close()
    _replace_schema(path)
    db = _connected(path)
    db.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
    return db


def _connected(path: Path) -> sqlite3.Connection:
    source = schema.read_only(path)
    db = sqlite3.connect(source, uri=True, isolation_level=None, timeout=10, check_same_thread=False)
    db.text_factory = bytes
    db.execute("PRAGMA cell_size_check=ON")
    return db


def _replace_schema(path: Path) -> None:
    """Overwrite the first page, which lists the tables, by that of a new store.

    The old one is kept beside the file. A -wal file is renamed, because it may contain the damaged page.
    """
    page, pages = _fresh_first_page(path), path.stat().st_size // _PAGE
    with path.open("r+b") as file:
        path.with_name(f"{path.name}.page1").write_bytes(file.read(_PAGE))
        file.seek(0)
        file.write(_with_size(page, pages))
    wal = path.with_name(path.name + "-wal")
    if wal.exists():
        wal.replace(wal.with_name(wal.name + ".left-out"))
    path.with_name(path.name + "-shm").unlink(missing_ok=True)


def _with_size(page: bytes, pages: int) -> bytes:
    """Return this first page for a file with so many pages, none of them free."""
    head = bytearray(page)
    struct.pack_into(">I", head, 28, pages)
    struct.pack_into(">II", head, 32, 0, 0)
    head[92:96] = head[24:28]
    return bytes(head)


def _fresh_first_page(beside: Path) -> bytes:
    """Return the first page of a new store; the list of its tables fits on it."""
    fresh = beside.with_name(beside.name + ".new")
    schema.remove(fresh)
    db, _ = schema.open_store(fresh)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    page = fresh.read_bytes()[:_PAGE]
    schema.remove(fresh)
    return page

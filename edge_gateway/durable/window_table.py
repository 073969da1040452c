"""Closed windows in the store: whole columns in, one row out, merged where a row is there already.

A stored row is its fixed-width bytes and behind them, for the few that have one, a tail.
"""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from edge_gateway.durable.schema import ROWS_A_STATEMENT, insert_many

Rows = np.ndarray[Any, Any]

_COLUMNS: Final = "(tier, start, series, revision, row)"


@dataclass(frozen=True, slots=True)
class Packed:
    """Rows of one tier, and the bytes of the tails of those that have one, by place in `rows`."""

    rows: Rows
    tails: Mapping[int, bytes] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def piece(self, start: int, stop: int) -> "Packed":
        """Rows `start` to `stop` with their tails."""
        tails = {place - start: tail for place, tail in self.tails.items() if start <= place < stop}
        return Packed(self.rows[start:stop], tails)


Merge = Callable[[Packed, Packed], Packed]
"""One row each of the same window -> the row of both together."""


class StoredRow(NamedTuple):
    """A window as it is stored, and the series that has it."""

    series: int
    revision: int
    packed: Packed


class WindowTable:
    """One table of windows of one kind; `series` within its rows are the store's numbers."""

    def __init__(self, db: sqlite3.Connection, table: str, dtype: np.dtype[Any], merge: Merge) -> None:
        self._db = db
        self._table = table
        self._dtype = dtype
        self._merge = merge

    def put(self, tier: int, closed: Packed) -> Packed:
        """Store closed windows; returns them as they now stand, merged with what was stored before."""
        rows, tails = np.array(closed.rows), dict(closed.tails)
        for start in range(0, len(rows), ROWS_A_STATEMENT):
            piece = closed.piece(start, start + ROWS_A_STATEMENT)
            if self._insert_new(tier, piece):
                continue
            for place in range(len(piece)):
                stored = self._put_one(tier, piece.piece(place, place + 1))
                rows[start + place] = stored.rows[0]
                if 0 in stored.tails:
                    tails[start + place] = stored.tails[0]
        return Packed(rows, tails)

    def find(self, tier: int, start: int, series: list[int]) -> StoredRow | None:
        """The stored window of the first of these series that has one."""
        for number in series:
            found = self._db.execute(
                f"SELECT revision, row FROM {self._table} WHERE tier=? AND start=? AND series=?",  # noqa: S608
                (tier, start, number),
            ).fetchone()
            if found is not None:
                return StoredRow(number, found[0], self._unpacked(found[1]))
        return None

    def write(self, tier: int, revision: int, window: Packed) -> None:
        """Store one window, in place of what was there."""
        row = window.rows
        self._db.execute(
            f"INSERT OR REPLACE INTO {self._table}{_COLUMNS} VALUES(?,?,?,?,?)",
            (
                tier,
                int(row["start"][0]),
                int(row["series"][0]),
                revision,
                row.tobytes() + window.tails.get(0, b""),
            ),
        )

    def correct(self, tier: int, found: StoredRow, more: Packed) -> Packed:
        """Merge more into a stored window, as its next revision; returns the row."""
        addition = np.array(more.rows)
        addition["series"] = found.series
        merged = self._merge(found.packed, Packed(addition, more.tails))
        self.write(tier, found.revision + 1, merged)
        return merged

    def delete_before(self, tier: int, start: int) -> int:
        """Remove windows of a tier that start before `start`; returns how many."""
        statement = f"DELETE FROM {self._table} WHERE tier=? AND start<?"  # noqa: S608
        return self._db.execute(statement, (tier, start)).rowcount

    def span(self, tier: int) -> tuple[int, int] | None:
        """Starts of the oldest and the newest window of a tier; None without one."""
        ends = [
            self._db.execute(f"SELECT {end}(start) FROM {self._table} WHERE tier=?", (tier,)).fetchone()[0]  # noqa: S608
            for end in ("MIN", "MAX")
        ]
        return None if ends[0] is None else (ends[0], ends[1])

    def _unpacked(self, data: bytes) -> Packed:
        size = self._dtype.itemsize
        tails = {0: data[size:]} if len(data) > size else {}
        return Packed(np.frombuffer(data, self._dtype, 1), tails)

    def _insert_new(self, tier: int, windows: Packed) -> bool:
        """Insert rows none of which is stored yet; False, and nothing done, where one is."""
        size = self._dtype.itemsize
        rows, data, tail = windows.rows, windows.rows.tobytes(), windows.tails.get
        keys = zip(rows["start"].tolist(), rows["series"].tolist(), strict=True)
        values = [
            (tier, *key, 0, data[i * size : (i + 1) * size] + tail(i, b"")) for i, key in enumerate(keys)
        ]
        self._db.execute("SAVEPOINT put")
        inserted = insert_many(self._db, f"INSERT OR IGNORE INTO {self._table}{_COLUMNS}", 5, values)
        if inserted != len(rows):
            self._db.execute("ROLLBACK TO put")
        self._db.execute("RELEASE put")
        return inserted == len(rows)

    def _put_one(self, tier: int, window: Packed) -> Packed:
        found = self.find(tier, int(window.rows["start"][0]), [int(window.rows["series"][0])])
        if found is None:
            self.write(tier, 0, window)
            return window
        return self.correct(tier, found, window)

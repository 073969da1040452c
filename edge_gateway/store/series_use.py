"""The newest window of each of the store's series, so that series without windows can be removed.

Windows have no index by series, which would be as large as they are. So the newest start of each series is tracked as
windows are stored, and written to a table once per day of it. A series without an entry there counts as used up to the
newest window.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edge_gateway.columns.growing import with_room
from edge_gateway.store.schema import insert_many

if TYPE_CHECKING:
    from edge_gateway.store.counters import StoreCounters
    from edge_gateway.store.names import NameTables

Ids = np.ndarray[Any, np.dtype[np.int64]]

APART: Final = 86_400_000
"""The entry of a series is written again when its newest window is this much later (ms)."""
MARGIN: Final = 3 * APART
"""An entry may be this much behind (ms), after a crash or while the disk refuses."""
WRITTEN_AT_ONCE: Final = 5_000
FORGOTTEN_AT_ONCE: Final = 1_000
PRUNE_EVERY: Final = 3_600_000
_NEVER: Final = -(1 << 62)


class SeriesUse:
    """Used inside the store's transactions. After a rollback it may hold a later use than there was: harmless."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._pruned_to = _NEVER
        self.reload()

    def reload(self) -> None:
        """Read the tables again, after rows were inserted by others."""
        newest = [
            self._db.execute(f"SELECT MAX({start}) FROM {table}").fetchone()[0]  # noqa: S608 - from here
            for table, start in (("window", "start"), ("state_window", "start"), ("block", "last_start"))
        ]
        unknown = max((start for start in newest if start is not None), default=_NEVER)
        rows = self._db.execute(
            "SELECT series.id, upto FROM series LEFT JOIN series_use USING(id)"
        ).fetchall()
        size = max((number for number, _ in rows), default=0) + 1
        self._written = np.full(size, _NEVER, np.int64)
        self._upto = np.full(size, _NEVER, np.int64)
        for number, upto in rows:
            self._written[number] = _NEVER if upto is None else upto
            self._upto[number] = unknown if upto is None else upto

    def note(self, series: Ids, starts: Ids) -> None:
        """Note that windows of these series with these starts (ms) are stored."""
        if len(series):
            self._make_room(int(series.max()) + 1)
            np.maximum.at(self._upto, series, starts)

    def _make_room(self, size: int) -> None:
        self._written = with_room(self._written, size, _NEVER)
        self._upto = with_room(self._upto, size, _NEVER)

    def prune(self, oldest: int, names: NameTables, counters: StoreCounters) -> None:
        """Remove some of the series without windows; the history begins at `oldest` (ms).

        After a search that found none, the next is made when the history has lost another hour.
        """
        self._write()
        if oldest - self._pruned_to < PRUNE_EVERY:
            return
        gone = self._unused(oldest, names.removable())
        if not gone:
            self._pruned_to = oldest
            return
        names.forget(gone)
        self._db.executemany("DELETE FROM series_use WHERE id=?", [(number,) for number in gone])
        self._upto[gone] = self._written[gone] = _NEVER
        counters.add("series_forgotten", len(gone))

    def _write(self) -> None:
        """Write the entries of some series that were used since theirs was written."""
        late = np.flatnonzero(self._upto - APART >= self._written)[:WRITTEN_AT_ONCE]
        rows = list(zip(late.tolist(), self._upto[late].tolist(), strict=True))
        insert_many(self._db, "INSERT OR REPLACE INTO series_use", 2, rows)
        self._written[late] = self._upto[late]

    def _unused(self, oldest: int, known: Sequence[int]) -> list[int]:
        """Return some of the known series without windows; one that never had any counts as used until now."""
        numbers = np.array(known, np.int64)
        self._make_room(int(numbers.max(initial=-1)) + 1)
        self._upto[numbers[self._upto[numbers] == _NEVER]] = self._upto.max(initial=_NEVER)
        gone: list[int] = numbers[self._upto[numbers] < oldest - MARGIN][:FORGOTTEN_AT_ONCE].tolist()
        return gone

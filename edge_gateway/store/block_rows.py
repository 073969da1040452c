"""Read windows out of blocks for the history: those of some series and some time, in order, few blocks at a time."""

import sqlite3
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_gateway.records.window_block import STATE_ROW, WINDOW_ROW
from edge_gateway.store.block_body import Keys, decoded, decoded_keys, decoded_marks
from edge_gateway.store.block_table import Span, overlapping
from edge_gateway.store.schema import StoreDamaged

Ints = NDArray[np.int64]
Stored = tuple[int, int, int, bytes]
"""start (ms), series, revision, row without its checksum"""

DTYPES: Final = {"window": WINDOW_ROW, "state_window": STATE_ROW}


class BlockRows:
    """Reads the blocks of one kind and tier; `damaged` counts the windows of blocks that are not what was stored.

    Args:
        db: a connection that reads.
        kind: `window` or `state_window`.
        tier: 0 is the base.
        series: the store's numbers of the series to read.
    """

    def __init__(self, db: sqlite3.Connection, kind: str, tier: int, series: Iterable[int]) -> None:
        self._db = db
        self._kind = kind
        self._tier = tier
        self._series = np.array(sorted(series), np.int64)
        self.damaged = 0

    def read(self, first: int, stop: int) -> Iterator[Stored]:
        """Yield the windows that start in [first, stop), ms, by start, then series."""
        held: list[Stored] = []
        series = int(self._series[0]), int(self._series[-1])
        for span in overlapping(self._db, self._kind, self._tier, first, stop - 1, series):
            if held and held[0][0] < span.first_start:
                held.sort()
                ready = bisect_left(held, (span.first_start,))
                yield from held[:ready]
                del held[:ready]
            held += self._chosen(span, max(first, span.first_start), stop)
        yield from sorted(held)

    def _chosen(self, span: Span, first: int, stop: int) -> list[Stored]:
        ends = np.searchsorted(self._series, [span.first_series, span.last_series + 1])
        if ends[0] == ends[1]:
            return []
        held = "SELECT keys, body, corrected FROM block LEFT JOIN block_body USING(id) WHERE id=?"
        keys, body, marks = self._db.execute(held, (span.id,)).fetchone()
        try:
            names = decoded_keys(keys)
            places = self._places(names, first, stop)
            places = places[~decoded_marks(marks, len(names))[places]]
            if not len(places):
                return []
            chosen = decoded(keys, body, self._dtype).take(places)
        except StoreDamaged:
            self.damaged += span.rows
            return []
        rows = chosen.windows.rows
        columns: list[Any] = [column.tolist() for column in (rows["start"], rows["series"], chosen.revisions)]
        return list(zip(*columns, chosen.windows.packed(), strict=True))

    @property
    def _dtype(self) -> np.dtype[Any]:
        return DTYPES[self._kind]

    def _places(self, keys: Keys, first: int, stop: int) -> Ints:
        wanted = (keys.start >= first) & (keys.start < stop) & np.isin(keys.series, self._series)
        return np.flatnonzero(wanted)

"""The one way of rows into stored windows: `merge`.

    kind            stored                  not stored
    first           merged, revision + 1    new
    again, late     merged, revision + 1    new, or refused where it may be lost or its contents are not known
    gone, partial   refused                 refused

A point is never written over a window of which earlier readings are missing here.
"""

from typing import Any, NamedTuple

import numpy as np

from edge_gateway.records.store_effects import Kind, Stamp
from edge_gateway.records.window_block import WindowBlock
from edge_gateway.store.coverage import Coverage
from edge_gateway.store.fresh_windows import FreshLines, FreshWindows
from edge_gateway.store.names import NameTables
from edge_gateway.store.series_use import SeriesUse
from edge_gateway.store.window_table import CORRECTED, Stored, WindowTable

Ints = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


class Merged(NamedTuple):
    """What became of rows: the windows as they are stored now, and the places of the rows that were refused."""

    stored: WindowBlock
    refused: Ints


class StoredWindows:
    """The windows of one kind; `series` in rows are the store's numbers. Used inside the store's transactions."""

    def __init__(self, table: WindowTable, names: NameTables, use: SeriesUse) -> None:
        self.table = table
        self.fresh = FreshWindows(table)
        self._names = names
        self._use = use

    def are_new(self, tier: int, rows: WindowBlock) -> Bools:
        """Return which windows are certainly not stored yet, nor any of their series' kin."""
        series = rows.rows["series"]
        new = self.table.newest.behind(tier, series, rows.rows["start"])
        if self._names.kin:
            new &= [one not in self._names.kin for one in series.tolist()]
        return new

    def gather(self, tier: int, rows: WindowBlock, at: Stamp, lines: FreshLines) -> None:
        """Gather windows that are new, of kind `first`."""
        series, start = rows.rows["series"], rows.rows["start"]
        self.table.newest.note(tier, series, start)
        self._use.note(series, start)
        self.fresh.add(tier, rows, at, lines)

    def merge(self, tier: int, rows: WindowBlock, kind: Kind, coverage: Coverage) -> Merged:
        """Merge rows of a tier into what is stored, or store them as new windows, or refuse them."""
        if kind == Kind.FIRST:
            return Merged(self._put(tier, rows), np.empty(0, np.int64))
        refused = self.refuses(tier, rows.rows["series"], rows.rows["start"], coverage)
        refused |= kind in {Kind.GONE, Kind.PARTIAL}
        kept = rows.take(~refused)
        revision = CORRECTED if kind == Kind.LATE else 0
        return Merged(self._put(tier, kept, first_revision=revision), np.flatnonzero(refused))

    def refuses(self, tier: int, series: Ints, start: Ints, coverage: Coverage) -> Bools:
        """Return which windows rows may not enter, unless they are the first ones."""
        refused: Bools = start < coverage.frozen
        doubtful = np.flatnonzero(~refused & (start < coverage.complete_from))
        if len(doubtful):
            found = self._found(tier, series[doubtful], start[doubtful])
            refused[[place for at, place in enumerate(doubtful.tolist()) if at not in found]] = True
        return refused

    def holds(self, tier: int, rows: WindowBlock) -> Bools:
        """Return which of these windows are stored."""
        held = np.zeros(len(rows), np.bool_)
        held[list(self._found(tier, rows.rows["series"], rows.rows["start"]))] = True
        return held

    def _put(self, tier: int, rows: WindowBlock, *, first_revision: int = 0) -> WindowBlock:
        if not len(rows):
            return rows
        for place, stored in self._kin_found(tier, rows.rows["series"], rows.rows["start"]).items():
            rows.rows["series"][place] = stored.series
        self._use.note(rows.rows["series"], rows.rows["start"])
        return self.table.put(tier, rows, first_revision=first_revision)

    def _kin_found(self, tier: int, series: Ints, start: Ints) -> dict[int, Stored]:
        """Return by place the stored windows of series that have kin.

        A window keeps the tags it was opened with; under another series it would be a second window beside it.
        """
        kin = self._names.kin
        places = [place for place, one in enumerate(series.tolist()) if one in kin] if kin else []
        found = self._found(tier, series[places], start[places]) if places else {}
        return {places[at]: stored for at, stored in found.items()}

    def _found(self, tier: int, series: Ints, start: Ints) -> dict[int, Stored]:
        """Return by place the stored windows of these series or of their kin."""
        pairs = list(zip(start.tolist(), series.tolist(), strict=True))
        members = [self._names.kin.get(one, [one]) for _, one in pairs]
        wanted = {(at, one) for (at, _), family in zip(pairs, members, strict=True) for one in family}
        stored = self.table.find(tier, wanted)
        return {
            place: stored[at, one]
            for place, ((at, _), family) in enumerate(zip(pairs, members, strict=True))
            for one in family
            if (at, one) in stored
        }

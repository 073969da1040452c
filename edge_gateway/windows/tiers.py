"""The open windows of a coarser tier: one accumulator per series, merged from closed base rows.

A window that has been emitted, because its device fell silent or its clock stepped back, opens again when more
rows of it come. It is then emitted once more with the new readings only, and the store merges the two.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_gateway.columns.growing import with_room
from edge_gateway.records.tail import Tail
from edge_gateway.records.window_block import NEVER, Key, Rows, WindowBlock, empty_rows, keys
from edge_gateway.windows.ever_closed import EverClosed
from edge_gateway.windows.merge import MergeBlocks
from edge_gateway.windows.series_columns import SeriesColumns

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_NONE: Final = np.empty(0, np.int64)
_NOTHING_QUEUED: Final = _NONE, _NONE


class Emitted(NamedTuple):
    """Rows that were emitted, and which of them are of windows closed before they opened; None for none."""

    block: WindowBlock
    again: Bools | None


class Tier:
    """Accumulators of one window length for one kind of row.

    Args:
        dtype: of the rows.
        merge: merges two blocks of the same windows.
        ever: what each device ever closed in this tier, which has the window length.
        series: the registry.
    """

    def __init__(
        self, dtype: np.dtype[Any], merge: MergeBlocks, ever: EverClosed, series: SeriesColumns
    ) -> None:
        self.every = ever.every
        self._merge = merge
        self._ever = ever
        self._series = series
        self._again: set[Key] = set()
        """Open windows that may have been closed before they opened; few, so no column."""
        self._rows = empty_rows(dtype, 0)
        self._tails: dict[int, Tail] = {}
        self._queued = np.empty(0, np.int64)
        self._queue = _NOTHING_QUEUED
        """Series and starts (ms) of windows that are over, in the order in which they leave."""
        self._emitted: list[Emitted] = []

    def start_of(self, series: Ints) -> Ints:
        """Return the start of each series' open window, ms; NEVER where none is open."""
        self._grow(series)
        starts: Ints = self._rows["start"][series]
        return starts

    def _grow(self, series: Ints) -> None:
        self._queued = with_room(self._queued, int(series.max(initial=-1)) + 1, NEVER)
        if more := len(self._queued) - len(self._rows):
            self._rows = np.concatenate([self._rows, empty_rows(self._rows.dtype, more)])

    def add(self, block: WindowBlock) -> None:
        """Merge rows of finer windows, sorted by (series, start).

        At most one row of a series may lie in each window of this tier. The last window of each series stays open;
        earlier ones are emitted.
        """
        rows = block.rows.copy()
        rows["start"] -= rows["start"] % self.every
        self._open(rows[self.start_of(rows["series"]) != rows["start"]])
        given, series = WindowBlock(rows, block.tails), rows["series"]
        open_at = self.start_of(series)
        meets = open_at == rows["start"]
        met = series[meets]
        others = series[~meets & (open_at != NEVER)]
        if len(others):
            self._emit(np.setdiff1d(others, met))
        if len(met):
            places = np.flatnonzero(meets)
            given.put(places, self._merge(self._block(met), given.take(places)))
        self._keep_last(given)

    def _open(self, rows: Rows) -> None:
        again = self._ever.again(self._series.series_device[rows["series"]], rows["start"])
        if again is not None:
            self._again.update(keys(rows[again]))

    def _keep_last(self, block: WindowBlock) -> None:
        """Put the last row of each series into its accumulator, and emit the others."""
        series = block.rows["series"]
        last = np.append(series[1:] != series[:-1], np.ones(min(1, len(series)), np.bool_))
        if not last.all():
            self._give(block.take(~last))
            block = block.take(last)
        self._put(block)

    def _put(self, block: WindowBlock) -> None:
        series = block.rows["series"]
        self._rows[series] = block.rows
        if self._tails:
            for number in series.tolist():
                self._tails.pop(number, None)
        for place, tail in block.tails.items():
            self._tails[int(series[place])] = tail

    def _block(self, series: Ints) -> WindowBlock:
        rows = self._rows[series]
        if not self._tails:
            return WindowBlock(rows)
        places = enumerate(series.tolist())
        return WindowBlock(rows, {place: self._tails[one] for place, one in places if one in self._tails})

    def _emit(self, series: Ints) -> None:
        """Emit accumulators, and empty them."""
        if not len(series):
            return
        self._give(self._block(series))
        self._empty(series)

    def _give(self, block: WindowBlock) -> None:
        self._emitted.append(Emitted(block, self._marked(block.rows)))
        self._note_closed(block.rows)

    def _marked(self, rows: Rows) -> Bools | None:
        """Return which of these windows had been closed before they opened, and forget that."""
        if not self._again:
            return None
        names = keys(rows)
        found = np.array([key in self._again for key in names], np.bool_)
        self._again.difference_update(names)
        return found if found.any() else None

    def _note_closed(self, rows: Rows) -> None:
        self._ever.closed(self._series.series_device[rows["series"]], rows["start"] + self.every)

    def _empty(self, series: Ints) -> None:
        self._rows["start"][series] = NEVER
        self._queued[series] = NEVER
        if self._tails:
            for number in series.tolist():
                self._tails.pop(number, None)

    def queue_due(self, time_of: Ints, *, silent: bool = False) -> bool:
        """Queue the accumulators whose window is over; return whether there were any.

        Args:
            time_of: time of each series, ms; a window is over once it ends at that time or before.
            silent: whether to queue windows ahead of a series' time, too: they are from before its clock stepped back.
        """
        start = self._rows["start"][: len(time_of)]
        time = time_of[: len(start)]
        over = start + self.every <= time
        if silent:
            over |= (start > time) & (time > NEVER)
        due = np.flatnonzero((start != NEVER) & over & (self._queued[: len(start)] != start))
        if not len(due):
            return False
        series, starts = self._queue
        self._queue = np.concatenate([series, due]), np.concatenate([starts, start[due]])
        self._queued[due] = start[due]
        return True

    def over(self, budget: int) -> Ints:
        """Return the series of up to `budget` windows that are over, those queued first."""
        series, start = self._queue
        if not len(series) or budget <= 0:
            return _NONE
        first: Ints = series[self._rows["start"][series] == start][:budget]
        if len(first) > 1 and len(first) != len(places := np.unique(first, return_index=True)[1]):
            first = first[np.sort(places)]  # queued twice: it left in between, and opened again
        return first

    def take(self, series: Ints) -> list[Emitted]:
        """Return the emitted rows, and those of the open windows of these series."""
        if len(series):
            self._emit(series[self.start_of(series) != NEVER])
        series, start = self._queue
        if len(series):
            live = self._rows["start"][series] == start
            self._queue = series[live], start[live]
        given, self._emitted = self._emitted, []
        return given

    def open_at(self, count: int) -> Bools:
        """Return for each series number below `count` whether a window is open, or emitted and not yet taken."""
        held = np.zeros(count, np.bool_)
        start = self._rows["start"][:count]
        held[: len(start)] = start != NEVER
        for one in self._emitted:
            held[one.block.rows["series"]] = True
        return held

    def blocks(self) -> list[Rows]:
        """Return the rows of all accumulators, empty ones included, and the emitted rows not yet taken."""
        return [self._rows, *(one.block.rows for one in self._emitted)]

    @property
    def used(self) -> bool:
        """Whether any window may be open; false only if none was since the start."""
        return len(self._rows) > 0

    @property
    def open_windows(self) -> int:
        """Windows that are open or queued."""
        return int((self._rows["start"] != NEVER).sum())

    @property
    def waiting(self) -> bool:
        """Whether rows are queued, or emitted and not yet taken."""
        return bool(len(self._queue[0]) or self._emitted)

    def snapshot(self) -> dict[str, Any]:
        used = np.flatnonzero(self._rows["start"] != NEVER)
        return {
            "open": self._block(used).snapshot(),
            "queued": self._queued[used],
            "queue": [column.copy() for column in self._queue],
            "given": [{**one.block.snapshot(), "again": one.again} for one in self._emitted],
            "again": [list(key) for key in sorted(self._again)],
        }

    def restore(self, state: dict[str, Any]) -> None:
        block = WindowBlock.restored(state["open"])
        self._rows, self._queued = empty_rows(self._rows.dtype, 0), np.empty(0, np.int64)
        series = block.rows["series"]
        self._grow(series)
        self._rows[series], self._queued[series] = block.rows, state["queued"]
        self._tails = {int(series[place]): tail for place, tail in block.tails.items()}
        self._queue = state["queue"][0].copy(), state["queue"][1].copy()
        self._emitted = [Emitted(WindowBlock.restored(given), given["again"]) for given in state["given"]]
        self._again = {(series, start) for series, start in state["again"]}

"""The open windows of a coarser tier: one accumulator per series, merged from closed base rows.

A window that has been emitted, because its device fell silent or its clock stepped back, opens again when more
rows of it come. It is then emitted once more with the new readings only, and the store merges the two.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_gateway.columns.growing import with_room
from edge_gateway.windows.merge import MergeBlocks
from edge_gateway.windows.rows import NEVER, Block, Key, Rows, empty_rows, keys
from edge_gateway.windows.tail import Tail

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Tier:
    """Accumulators of one window length (`every`, ms) for one kind of row."""

    def __init__(self, every: int, dtype: np.dtype[Any], merge: MergeBlocks) -> None:
        self.every = every
        self._merge = merge
        self._rows = empty_rows(dtype, 0)
        self._tails: dict[int, Tail] = {}
        self._queued = np.empty(0, np.int64)
        self._queue: list[tuple[Ints, Ints]] = []
        self._emitted: list[Block] = []

    def start_of(self, series: Ints) -> Ints:
        """Return the start of each series' open window, ms; NEVER where none is open."""
        self._grow(series)
        starts: Ints = self._rows["start"][series]
        return starts

    def _grow(self, series: Ints) -> None:
        self._queued = with_room(self._queued, int(series.max(initial=-1)) + 1, NEVER)
        if more := len(self._queued) - len(self._rows):
            self._rows = np.concatenate([self._rows, empty_rows(self._rows.dtype, more)])

    def add(self, block: Block) -> None:
        """Merge rows of finer windows, sorted by (series, start).

        At most one row of a series may lie in each window of this tier. The last window of each series stays open;
        earlier ones are emitted.
        """
        rows = block.rows.copy()
        rows["start"] -= rows["start"] % self.every
        tails = {(series, at - at % self.every): tail for (series, at), tail in block.tails.items()}
        series = rows["series"]
        open_at = self.start_of(series)
        meets = open_at == rows["start"]
        met = series[meets]
        others = series[~meets & (open_at != NEVER)]
        if len(others):
            self._emit(np.setdiff1d(others, met))
        if len(met):
            merged = self._merge(self._block(met), Block(rows[meets], tails))
            rows[meets] = merged.rows
            for key in keys(merged.rows) if tails else ():
                tails.pop(key, None)
            tails |= merged.tails
        self._keep_last(Block(rows, tails))

    def _keep_last(self, block: Block) -> None:
        """Put the last row of each series into its accumulator, and emit the others."""
        series = block.rows["series"]
        last = np.append(series[1:] != series[:-1], np.ones(min(1, len(series)), np.bool_))
        if not last.all():
            given, block = _parted(block, last)
            self._emitted.append(given)
        self._put(block)

    def _put(self, block: Block) -> None:
        series = block.rows["series"]
        self._rows[series] = block.rows
        if self._tails:
            for number in series.tolist():
                self._tails.pop(number, None)
        for (number, _), tail in block.tails.items():
            self._tails[number] = tail

    def _block(self, series: Ints) -> Block:
        rows = self._rows[series]
        if not self._tails:
            return Block(rows)
        return Block(rows, {key: self._tails[key[0]] for key in keys(rows) if key[0] in self._tails})

    def _emit(self, series: Ints) -> None:
        """Emit accumulators, and empty them."""
        if not len(series):
            return
        self._emitted.append(self._block(series))
        self._empty(series)

    def _empty(self, series: Ints) -> None:
        self._rows["start"][series] = NEVER
        self._queued[series] = NEVER
        if self._tails:
            for number in series.tolist():
                self._tails.pop(number, None)

    def drop(self, rows: Rows) -> None:
        """Drop the accumulators and emitted rows of these windows, which the recorded run had closed."""
        self._empty(rows["series"][self.start_of(rows["series"]) == rows["start"]])
        live = [(series, start, self.start_of(series) == start) for series, start in self._queue]
        self._queue = [(series[still], start[still]) for series, start, still in live if still.any()]
        gone = set(keys(rows))
        left = [_without(block, gone) for block in self._emitted]
        self._emitted = [block for block in left if len(block.rows)]

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
        self._queue.append((due, start[due]))
        self._queued[due] = start[due]
        return True

    def take(self, budget: int) -> list[Block]:
        """Return the emitted rows, and those of up to `budget` queued accumulators."""
        while self._queue and budget > 0:
            series, start = self._queue[0]
            piece, self._queue[0] = series[:budget], (series[budget:], start[budget:])
            budget -= len(piece)
            self._emit(piece[self._rows["start"][piece] == start[: len(piece)]])
            if not len(self._queue[0][0]):
                self._queue.pop(0)
        given, self._emitted = self._emitted, []
        return given

    def open_at(self, count: int) -> Bools:
        """Return for each series number below `count` whether a window is open, or emitted and not yet taken."""
        held = np.zeros(count, np.bool_)
        start = self._rows["start"][:count]
        held[: len(start)] = start != NEVER
        for block in self._emitted:
            held[block.rows["series"]] = True
        return held

    def blocks(self) -> list[Rows]:
        """Return the rows of all accumulators, empty ones included, and the emitted rows not yet taken."""
        return [self._rows, *(block.rows for block in self._emitted)]

    @property
    def open_windows(self) -> int:
        """Windows that are open or queued."""
        return int((self._rows["start"] != NEVER).sum())

    @property
    def waiting(self) -> bool:
        """Whether rows are queued, or emitted and not yet taken."""
        return bool(self._queue or self._emitted)

    def snapshot(self) -> dict[str, Any]:
        used = np.flatnonzero(self._rows["start"] != NEVER)
        return {
            "open": self._block(used).snapshot(),
            "queued": self._queued[used],
            "queue": [[series.copy(), start.copy()] for series, start in self._queue],
            "given": [block.snapshot() for block in self._emitted],
        }

    def restore(self, state: dict[str, Any]) -> None:
        block = Block.restored(state["open"])
        self._rows, self._queued = empty_rows(self._rows.dtype, 0), np.empty(0, np.int64)
        series = block.rows["series"]
        self._grow(series)
        self._rows[series], self._queued[series] = block.rows, state["queued"]
        self._tails = {number: tail for (number, _), tail in block.tails.items()}
        self._queue = [(series.copy(), start.copy()) for series, start in state["queue"]]
        self._emitted = [Block.restored(given) for given in state["given"]]


def nothing_open(dtype: np.dtype[Any]) -> dict[str, Any]:
    """Return the snapshot of a `Tier` without windows."""
    rows = Block(empty_rows(dtype, 0)).snapshot()
    return {"open": rows, "queued": np.empty(0, np.int64), "queue": [], "given": []}


class CoarseTier:
    """The open windows of a coarser tier: of live readings, and apart from them of what devices kept.

    A device that sends both in turn would else end a window with each change from one to the other.
    """

    def __init__(self, every: int, dtype: np.dtype[Any], merge: MergeBlocks) -> None:
        self.every = every
        self._live, self._kept = (Tier(every, dtype, merge) for _ in range(2))

    @property
    def _both(self) -> tuple[Tier, Tier]:
        return self._live, self._kept

    def start_of(self, series: Ints) -> Ints:
        """Return the start of each series' open window of live readings, ms; NEVER where none is open."""
        return self._live.start_of(series)

    def add(self, block: Block, kept: Bools | None = None) -> None:
        """Merge rows of finer windows, as `Tier.add` does; `kept` says which are of kept readings, None for none."""
        if kept is None or not kept.any():
            self._live.add(block)
            return
        of_kept, live = _parted(block, ~kept)
        self._kept.add(of_kept)
        if len(live.rows):
            self._live.add(live)

    def drop(self, rows: Rows) -> None:
        """Drop the windows of these rows, which the recorded run had closed."""
        for tier in self._both:
            tier.drop(rows)

    def queue_due(self, time_of: Ints, kept_to: Ints, *, silent: bool = False) -> bool:
        """Queue the windows that are over, as `Tier.queue_due` does; `kept_to` is the time of kept readings."""
        queued = self._live.queue_due(time_of, silent=silent)
        return self._kept.queue_due(kept_to, silent=silent) or queued

    def take(self, budget: int) -> list[Block]:
        """Return what `Tier.take` does, of both."""
        return [block for tier in self._both for block in tier.take(budget)]

    def open_at(self, count: int) -> Bools:
        """Return for each series number below `count` whether a window is open, or emitted and not yet taken."""
        held: Bools = self._live.open_at(count) | self._kept.open_at(count)
        return held

    def blocks(self) -> list[Rows]:
        """Return the rows of all accumulators, empty ones included, and the emitted rows not yet taken."""
        return [rows for tier in self._both for rows in tier.blocks()]

    @property
    def open_windows(self) -> int:
        """Windows that are open or queued."""
        return sum(tier.open_windows for tier in self._both)

    @property
    def waiting(self) -> bool:
        """Whether rows are queued, or emitted and not yet taken."""
        return any(tier.waiting for tier in self._both)

    def snapshot(self) -> dict[str, Any]:
        return {"live": self._live.snapshot(), "kept": self._kept.snapshot()}

    def restore(self, state: dict[str, Any]) -> None:
        self._live.restore(state["live"])
        self._kept.restore(state["kept"])


def _parted(block: Block, last: Bools) -> tuple[Block, Block]:
    """Return the rows that are not last, and those that are, each with their tails."""
    kept = set(keys(block.rows[last])) if block.tails else set()
    tails = {key: tail for key, tail in block.tails.items() if key in kept}
    others = {key: tail for key, tail in block.tails.items() if key not in kept}
    return Block(block.rows[~last], others), Block(block.rows[last], tails)


def _without(block: Block, gone: set[Key]) -> Block:
    names = keys(block.rows)
    kept = np.array([key not in gone for key in names], np.bool_)
    return Block(block.rows[kept], {key: tail for key, tail in block.tails.items() if key not in gone})

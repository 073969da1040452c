"""The open windows of a coarser tier: of live readings, and apart from them of what devices kept while offline.

A device that sends both in turn would else end a window with each change from one to the other. A window that both
belong to, at an end of the time offline, is open once only.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_gateway.records.closings import CoarseStep
from edge_gateway.records.window_block import NEVER, STATE_ROW, WINDOW_ROW, Rows, WindowBlock
from edge_gateway.windows.closed import Harvest
from edge_gateway.windows.ever_closed import EverClosed
from edge_gateway.windows.gaps import TimeGaps
from edge_gateway.windows.merge import MergeBlocks, merge_blocks, merge_state_blocks
from edge_gateway.windows.reduce import Readings
from edge_gateway.windows.series_columns import SeriesColumns
from edge_gateway.windows.tiers import Emitted, Tier

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Reduce = Callable[[int, Readings], WindowBlock]

_NONE: Final = np.empty(0, np.int64)


class CoarseTier:
    """Accumulators of one window length for one kind of row.

    Args:
        dtype, merge, ever, series: as of `Tier`.
        gaps: the longest time offline of each device.
    """

    def __init__(
        self,
        dtype: np.dtype[Any],
        merge: MergeBlocks,
        ever: EverClosed,
        series: SeriesColumns,
        gaps: TimeGaps,
    ) -> None:
        self.every = ever.every
        self._series = series
        self._gaps = gaps
        self._live, self._kept = (Tier(dtype, merge, ever, series) for _ in range(2))

    @property
    def _both(self) -> tuple[Tier, Tier]:
        return self._live, self._kept

    @property
    def keeps(self) -> bool:
        """Whether `Tier.used` is true of kept readings."""
        return self._kept.used

    def is_open(self, series: Ints, start: Ints) -> Bools:
        """Return for each series whether its window that starts at `start` (ms) is open."""
        found: Bools = self._live.start_of(series) == start
        return found | (self._kept.start_of(series) == start) if self.keeps else found

    def add(self, block: WindowBlock) -> None:
        """Merge rows of finer windows, as `Tier.add` does."""
        self._add(block, self._are_kept(block.rows["series"], block.rows["start"]))

    def add_readings(self, readings: Readings, reduce: Reduce) -> None:
        """Merge readings of closed base windows, sorted by (series, ts); `reduce` makes rows of this tier of them."""
        kept = self._are_kept(readings.series, readings.ts)
        # Kept ones first: their last window may be the first one of the live ones.
        for of_kept in (True, False):
            block = reduce(self.every, readings.rows(kept == of_kept))
            if len(block.rows):
                self._add(block, np.full(len(block.rows), of_kept))

    def _are_kept(self, series: Ints, ts: Ints) -> Bools:
        """Return which times lie, or lay, in the time offline of their device; its ends are starts of base windows."""
        if not self._gaps.reach(ts):
            return np.zeros(len(ts), np.bool_)
        return self._gaps.in_whole_gap(self._series.series_device[series], ts)

    def _add(self, block: WindowBlock, kept: Bools) -> None:
        if not self.keeps and not kept.any():
            self._live.add(block)
            return
        series, start = block.rows["series"], block.rows["start"] - block.rows["start"] % self.every
        of_kept: Bools = self._kept.start_of(series) == start
        if kept.any():
            of_kept |= kept & (self._live.start_of(series) != start)
        if not of_kept.any():
            self._live.add(block)
            return
        self._kept.add(block.take(of_kept))
        if not of_kept.all():
            self._live.add(block.take(~of_kept))

    def queue_due(self, live_to: Ints, kept_to: Ints, *, silent: bool = False) -> bool:
        """Queue the windows that are over, as `Tier.queue_due` does; `kept_to` is the time of kept readings."""
        queued = self._live.queue_due(live_to, silent=silent)
        return (self.keeps and self._kept.queue_due(kept_to, silent=silent)) or queued

    def over(self, budget: int) -> tuple[Ints, Ints]:
        """Return what `Tier.over` does, of live windows and of kept ones."""
        return self._live.over(budget), self._kept.over(budget)

    def take(self, live: Ints, kept: Ints) -> list[Emitted]:
        """Return what `Tier.take` does, of both."""
        given = self._live.take(live)
        return given + self._kept.take(kept) if self.keeps else given

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


class CoarseTiers:
    """The coarser tiers of numbers and those of texts, each in the order of their window lengths.

    Args:
        ever: what each device ever closed in them.
        series, gaps: as of `CoarseTier`.
    """

    def __init__(self, ever: Sequence[EverClosed], series: SeriesColumns, gaps: TimeGaps) -> None:
        self._series = series
        self._gaps = gaps
        self.numbers = [CoarseTier(WINDOW_ROW, merge_blocks, tier, series, gaps) for tier in ever]
        self.states = [CoarseTier(STATE_ROW, merge_state_blocks, tier, series, gaps) for tier in ever]
        self._all = (*self.numbers, *self.states)

    def queue_over(self, time: Ints, *, silent: bool = False) -> bool:
        """Queue the windows that are over by their device's time; return whether there were any.

        Args:
            time: time of each device by its live readings, ms.
            silent: as of `Tier.queue_due`.
        """
        live = kept = self._by_series(time)
        if any(tier.keeps for tier in self._all):
            kept = self._by_series(self._gaps.passed(time))
        queued = [tier.queue_due(live, kept, silent=silent) for tier in self._all]
        return any(queued)

    def _by_series(self, time: Ints) -> Ints:
        """Return for each series the time of its device; NEVER for devices beyond."""
        device = self._series.series_device
        known = np.full(int(device.max(initial=-1)) + 1, NEVER)
        known[: len(time)] = time[: len(known)]
        return known[device]

    def take(self, budget: int, harvest: Harvest) -> list[CoarseStep]:
        """Collect the emitted rows of all tiers, and those of up to `budget` queued windows; return the latter."""
        steps = []
        for place, tier in enumerate(self._all):
            step = CoarseStep(place, *tier.over(budget))
            if len(step.live) or len(step.kept):
                steps.append(step)
            budget -= self._collect(step, harvest)
        return steps

    def follow(self, steps: Sequence[CoarseStep], harvest: Harvest) -> None:
        """Collect the emitted rows of all tiers, and those of the windows that left in these steps."""
        recorded = {step.tier: step for step in steps}
        for place in range(len(self._all)):
            self._collect(recorded.get(place, CoarseStep(place, _NONE, _NONE)), harvest)

    def _collect(self, step: CoarseStep, harvest: Harvest) -> int:
        """Collect what leaves one tier; return the number of rows."""
        of_states, number = divmod(step.tier, len(self.numbers))
        put = harvest.states if of_states else harvest.numbers
        taken = self._all[step.tier].take(step.live, step.kept)
        for block, again in taken:
            put(number + 1, block, again)
        return sum(len(one.block.rows) for one in taken)

    def open_at(self, count: int) -> Bools:
        """Return for each series number below `count` whether a window of any tier is open, or not yet taken."""
        held = np.zeros(count, np.bool_)
        for tier in self._all:
            held |= tier.open_at(count)
        return held

    @property
    def open_windows(self) -> int:
        """Windows that are open or queued."""
        return sum(tier.open_windows for tier in self._all)

    @property
    def waiting(self) -> bool:
        """Whether rows are queued, or emitted and not yet taken."""
        return any(tier.waiting for tier in self._all)

    def snapshot(self) -> list[dict[str, Any]]:
        return [tier.snapshot() for tier in self._all]

    def restore(self, state: Sequence[dict[str, Any]]) -> None:
        for tier, held in zip(self._all, state, strict=True):
            tier.restore(held)

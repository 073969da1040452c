"""The open windows of the fleet, and when they close.

    frame ─▶ late? ──no──▶ log of its base window ──due──▶ walk, a budget a call ──▶ closed base rows
               │  └─ many windows, already due ───────────────── at once ───────────────▶  │
               └─yes─▶ store, and accumulators still open ◀──── merged into ──────────────┘
                                      └── window over ──▶ closed rows of the coarser tiers

A device's window is due once the device's watermark has passed its end, or the device is silent. A device's base
windows close in order of time. Readings of closed windows go to the store. It may receive them before the row they
belong to: rows of one window merge in any order.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_gateway.columns.frame import Frame
from edge_gateway.records.closings import EACH, END, AtOnce, BaseStep, Closings
from edge_gateway.records.window_block import NEVER, WindowBlock
from edge_gateway.windows.base_tier import CREDIT_OF_A_CALL, WORTH, BaseTier, Piece
from edge_gateway.windows.closed import Closed, Harvest
from edge_gateway.windows.coarse_tier import CoarseTier, CoarseTiers
from edge_gateway.windows.ever_closed import EverClosedTiers
from edge_gateway.windows.frame_readings import ALL, Taken, numbers_of, readings_of, states_of
from edge_gateway.windows.in_use import InUse, in_use
from edge_gateway.windows.late import NONE_LATE, NOTHING, Added, Late, LateReadings, stored_in
from edge_gateway.windows.late_share import LateShare
from edge_gateway.windows.p95_series import P95Series
from edge_gateway.windows.reading_log import Keyed
from edge_gateway.windows.reduce import Readings, numbers, rows_of_states, rows_of_values, states
from edge_gateway.windows.series_columns import SeriesColumns
from edge_gateway.windows.watermarks import Watermarks

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

CHEAPEST_WINDOW: Final = 512
"""Least cost of a piece of a closing window, in readings of the budget."""
_ALL_READINGS: Final = 1 << 62


class Windows:
    """Open windows of every device, series and tier.

    Args:
        every_ms: window lengths of the tiers; the first is the base, the others are multiples of it.
        allowed_lateness_ms: how far the watermark trails a device's newest time.
        idle_close_ms: silence, by the listening clock, after which a device's base windows close. A coarser window
            closes once the silence also covers what was left of it.
        max_future_skew_ms: how far beyond its arrival a reading's time may advance the watermark.
        p95_metrics: names of metrics whose windows have a p95.
        series: the registry; it must know every series of a frame that is added.
        late_share: how many late readings of one device may wait to be merged.

    Raises:
        ValueError: a window length is no multiple of the base window.
    """

    def __init__(
        self,
        every_ms: Sequence[int],
        *,
        allowed_lateness_ms: int,
        idle_close_ms: int,
        max_future_skew_ms: int,
        p95_metrics: Collection[str],
        series: SeriesColumns,
        late_share: int = 1 << 32,
    ) -> None:
        base, *coarser = every_ms
        if any(every % base for every in coarser):
            raise ValueError("each window is a whole multiple of the base window")
        self.every_ms = tuple(every_ms)
        self._base = base
        self._skew = max_future_skew_ms
        self._p95 = P95Series(p95_metrics, series)
        self._series = series
        self._watermarks = Watermarks(base, coarser, allowed_lateness_ms, idle_close_ms)
        self._open = BaseTier(base, self._watermarks)
        self.ever = EverClosedTiers(every_ms)
        self._ever, *coarser_ever = self.ever.tiers
        self._coarser = CoarseTiers(coarser_ever, series, self._watermarks.gaps)
        self._looked_at = 0
        """The base tier's credit when coarser windows were last searched."""
        self.late_share = LateShare(late_share)
        self.begin_input()

    def begin_input(self, recorded: Closings | None = None, numbering: tuple[int, ...] = ()) -> None:
        """Begin an input. What is `recorded` of it leaves with it; None for what is due, at this program's pace."""
        self._recorded = recorded
        self._frame = -1
        self.closings = Closings(numbering) if recorded is None else recorded
        """What left since."""

    # --- readings

    def add(self, frame: Frame, *, listening_ms: int, trusted: bool = True) -> Added:
        """Add the readings of a frame; return the late ones, and windows that close at once.

        Args:
            frame: readings of devices and series the registry knows, with finite values.
            listening_ms: the listening clock when the frame arrived.
            trusted: whether the frame's arrival time can be trusted; if not, no reading is too far in the future.
        """
        self._frame += 1
        if not frame.rows:
            return NOTHING
        self._watermarks.grow(int(frame.device.max()) + 1)
        start = frame.ts - frame.ts % self._base
        taken = self._watermarks.are_late(frame.device, start) | self._ever.gone(frame.device, frame.ts)
        late = self._take_late(frame, taken, listening_ms) if taken.any() else NONE_LATE
        cap = frame.arrival + self._skew if trusted else None
        if self._watermarks.observe(frame.device, frame.ts, cap, listening_ms):
            self._open.wake()
        self.ever.silence(*self._watermarks.gaps.noted)
        closed = self._close_at_once(frame, start, taken)
        self._append(frame, start, taken)
        self._open.credit += len(frame.row) + len(frame.state_row) + CREDIT_OF_A_CALL
        return Added(late, closed)

    def _close_at_once(self, frame: Frame, start: Ints, taken: Bools) -> Closed:
        """Close windows that are due as their readings arrive, if there are many; mark their rows in `taken`."""
        chosen = self._at_once(frame, start, taken)
        if not chosen:
            return NOTHING.closed
        harvest = Harvest()
        for windows in chosen:
            over = ~taken & windows.hold(frame.device, start)
            taken |= over
            self._close_windows(windows, readings_of(frame, over), harvest)
        return harvest.closed()

    def _at_once(self, frame: Frame, start: Ints, late: Bools) -> Sequence[AtOnce]:
        """Return the windows to close at once: those of due rows, and other due ones that their devices have open."""
        if self._recorded is not None:
            return [one for one in self._recorded.at_once if one.lap in {self._frame, EACH}]
        over = self._open.over(start, frame.device, late)
        if not over.any():
            return ()
        device, start = frame.device[over], start[over]
        self._watermarks.close_in_gaps(device, start)
        for at, devices in self._open.due_with(np.unique(device)):
            device, start = np.append(device, devices), np.append(start, np.full(len(devices), at))
        self.closings.at_once.append(AtOnce(self._frame, *np.unique([device, start], axis=1)))
        return self.closings.at_once[-1:]

    def _close_windows(self, windows: AtOnce, arrived: Sequence[Readings], harvest: Harvest) -> None:
        """Close base windows with what is open in them and what arrived for them."""
        self._watermarks.close_in_gaps(windows.device, windows.start)
        pulled = self._open.pull(windows.device, windows.start, self._series.series_device)
        parts = [*arrived, *(keyed.readings(at, self._open.bits) for at, keyed in pulled)]
        if not parts:  # messages none of whose values is good
            return
        ordered = Readings.joined(parts).ordered()
        devices = self._series.series_device[ordered.series]
        is_text = self._series.series_is_state[ordered.series]
        known = ~self._ever.gone(devices, ordered.ts)
        for chosen, reduce, put, tiers in (
            (~is_text, self._number_rows, harvest.numbers, self._coarser.numbers),
            (is_text, states, harvest.states, self._coarser.states),
        ):
            rows = reduce(self._base, ordered.rows(chosen))
            put(0, rows, self._ever.judge(rows, self._series.series_device)[0])
            for tier in tiers:
                tier.add_readings(ordered.rows(chosen & known), reduce)
        self._ever.closed(devices, ordered.ts - ordered.ts % self._base + self._base)

    def _number_rows(self, every: int, readings: Readings) -> WindowBlock:
        return numbers(every, readings, self._p95())

    def _append(self, frame: Frame, start: Ints, taken: Bools) -> None:
        kept = start[~taken]
        windows = sorted(set(kept.tolist()))
        for window in windows:
            all_of_it = len(windows) == 1 and len(kept) == len(start)
            rows = ALL if all_of_it else (start == window) & ~taken
            for readings in readings_of(frame, rows):
                keyed = Keyed.of(readings, window, self._open.bits)
                self._open.append(window, keyed, frame.device[rows])

    def _take_late(self, frame: Frame, rows: Bools, now: int) -> Late:
        """Merge late readings into open coarser windows, and mark those the store must merge."""
        late = Late(
            self._where(frame, numbers_of(frame, rows), self._coarser.numbers, now),
            self._where(frame, states_of(frame, rows), self._coarser.states, now),
        )
        for number, tier in enumerate(self._coarser.numbers if len(late.numbers) else (), start=1):
            tier.add(rows_of_values(tier.every, late.numbers.not_stored(number), self._p95()))
        for number, tier in enumerate(self._coarser.states if len(late.states) else (), start=1):
            tier.add(rows_of_states(tier.every, late.states.not_stored(number)))
        return late

    def _where(self, frame: Frame, taken: Taken, tiers: Sequence[CoarseTier], now: int) -> LateReadings:
        device = frame.device[taken.row]
        over = self.late_share.over(device, now)
        behind = self.ever.gone(device, taken.readings.ts)
        bits = stored_in(tiers, taken.readings, self._watermarks.closed_to[device], over, behind)
        self.ever.merged_late(device, taken.readings.ts, bits)
        return LateReadings(taken.row, device, bits, taken.readings)

    # --- time

    def hear(self, devices: Ints, listening_ms: int) -> None:
        """Note that devices sent readings that cannot be added yet, as their times are not known."""
        self._watermarks.hear(devices, listening_ms)

    def tick(self, listening_ms: int) -> bool:
        """Make windows of silent devices due; return whether anything changed, or will when `close` is called."""
        silent = self._watermarks.expire_silent(listening_ms)
        if silent:
            self._open.wake()
        time = self._watermarks.silent_time(listening_ms)
        over = (
            not self._open.closing
            and bool((time > NEVER).any())
            and self._coarser.queue_over(time, silent=True)
        )
        return silent or over or self.pending

    def rewind(self, devices: Ints) -> None:
        """Forget the times of devices whose clock stepped back.

        What they have open closes next. Windows that they enter again close again, with the new readings only.
        """
        self._watermarks.grow(int(devices.max(initial=-1)) + 1)
        self._open.force(devices)
        self._watermarks.rewind(devices)

    def close_all_of(self, devices: Ints) -> None:
        """Close everything these devices have open next, in every tier: no more readings of theirs will come."""
        self.rewind(devices)
        self._watermarks.mark_silent(devices)

    def has_open(self, devices: Ints) -> Bools:
        """Return for each device whether anything of it is open, or closed and not yet returned by `close`."""
        device = self._series.series_device
        held: Bools = self._open.holds(devices)
        held |= np.isin(devices, device[self._coarser.open_at(len(device))])
        return held

    def in_use(self) -> InUse:
        """Return the series and texts that anything open refers to."""
        return in_use(self._open, self._coarser, self._series.series_is_state)

    def begin(self, devices: Ints, names: Sequence[str]) -> None:
        """Begin those of these devices that have no reading yet; `names` by device number."""
        for device in self._watermarks.unheard(devices):
            self.ever.begin(device, names[device])

    def forget(self, devices: Ints, names: Sequence[str]) -> None:
        """Forget devices that have nothing open, but for what they ever closed; `names` by device number."""
        self._watermarks.forget(devices)
        self.late_share.forget(devices)
        self.ever.forget({device: names[device] for device in devices.tolist()})

    @property
    def closed_to(self) -> int:
        """The latest end of any device's closed windows, ms: no window that starts then or later is closed."""
        return int(self._watermarks.closed_to.max(initial=NEVER))

    def newest(self, device: int) -> int | None:
        """Return the newest plausible time of a device, ms; None before its first reading."""
        return self._watermarks.newest_of(device)

    def next_start(self, device: int) -> int:
        """Return the start of the first base window not opened yet, ms; 0 before the first reading."""
        return self._watermarks.next_start(device)

    # --- closing

    @property
    def pending(self) -> bool:
        """Whether `close` would do anything now."""
        return self._open.waiting or self._coarser.waiting

    @property
    def open_readings(self) -> int:
        """Number of readings in open base windows."""
        return self._open.readings

    @property
    def open_coarser(self) -> int:
        """Number of open windows in the coarser tiers."""
        return self._coarser.open_windows

    def close(self, budget: int) -> Closed:
        """Close due windows for about `budget` readings and rows; later calls close the rest.

        The budget grows with each window opened since the last call, or windows could open faster than they close.
        """
        opened, self._open.opened = self._open.opened, 0
        harvest = Harvest()
        if self._recorded is not None:
            self._follow(self._recorded, harvest)
        else:
            budget = self._close_base(budget + CHEAPEST_WINDOW * opened, harvest)
            if not self._open.closing:
                self._close_coarser()
            self.closings.coarse += self._coarser.take(budget, harvest)
        return harvest.closed()

    def _close_base(self, budget: int, harvest: Harvest) -> int:
        """Close due base windows; return what is left of the budget."""
        while budget > 0 and (step := self._open.step(budget)) is not None:
            self.closings.base.append(step)
            budget -= max(self._take(step, harvest), CHEAPEST_WINDOW)
        return budget

    def _take(self, step: BaseStep, harvest: Harvest) -> int:
        """Close a piece of a base window; return its cost."""
        piece = self._open.take(step, self._series.series_device)
        self._reduce(piece, harvest)
        return piece.cost

    def _follow(self, recorded: Closings, harvest: Harvest) -> None:
        """Close what the journal record says: the store has these windows."""
        for one in recorded.at_once:
            if one.lap == END:
                self._close_windows(one, (), harvest)
        for step in recorded.base:
            if self._open.follow(step):
                self._take(step, harvest)
        if recorded.caught_up:
            self._watermarks.close_to_due()
        if recorded.looked:
            self._queue_over()
        self._coarser.follow(recorded.coarse, harvest)

    def _reduce(self, piece: Piece, harvest: Harvest) -> None:
        """Reduce readings of one base window; collect their rows and merge them into the coarser windows."""
        readings = piece.readings.readings(piece.start, self._open.bits)
        texts = self._series.series_is_state[readings.series]
        if texts.any():
            state_rows = states(self._base, readings.rows(texts))
            again, taken = self._ever.judge(state_rows, self._series.series_device)
            harvest.states(0, state_rows, again)
            for tier in self._coarser.states:
                tier.add(taken)
            readings = readings.rows(~texts)
        rows = self._number_rows(self._base, readings)
        again, taken = self._ever.judge(rows, self._series.series_device)
        harvest.numbers(0, rows, again)
        for tier in self._coarser.numbers:
            tier.add(taken)
        self._ever.closed(piece.closed, piece.start + self._base)

    def _close_coarser(self) -> None:
        """Queue coarser windows that are over.

        This scans all accumulators, so it runs only once an eighth as many readings arrived since as there are series.
        """
        if not self._open.news:
            self.closings.caught_up = self._watermarks.close_to_due()
        since = self._open.credit - self._looked_at
        if self._watermarks.crossed and WORTH * since >= len(self._series.series_device):
            self.closings.looked = True
            self._queue_over()
            self._looked_at = self._open.credit

    def _queue_over(self) -> None:
        self._coarser.queue_over(self._watermarks.closed_to)
        self._watermarks.crossed = False

    def drain(self) -> Closed:
        """Close every open window, whatever its time, and return them all."""
        self._watermarks.all_due()
        self._open.wake()
        harvest = Harvest()
        self._close_base(_ALL_READINGS, harvest)
        self._close_coarser()
        self._coarser.queue_over(np.full(self._watermarks.count, _ALL_READINGS))
        self._coarser.take(_ALL_READINGS, harvest)
        return harvest.closed()

    # --- state

    def snapshot(self) -> dict[str, Any]:
        """Return the state. Runs of readings are not copied: they never change again."""
        return {
            "marks": self._watermarks.snapshot(),
            "open": self._open.snapshot(),
            "coarser": self._coarser.snapshot(),
            "late_share": self.late_share.snapshot(),
            "ever": self.ever.snapshot(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._watermarks.restore(state["marks"])
        self._open.restore(state["open"])
        self._coarser.restore(state["coarser"])
        self._looked_at = 0
        self.late_share.restore(state["late_share"])
        self.ever.restore(state["ever"])

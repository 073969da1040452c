"""What each device ever closed in one tier, and what the history may have given up of it.

Closing windows by watermark forgets: a clock that steps back starts a device's times anew. What was closed before the
step is stored and sent, though, and a window is written as new only where it cannot be one of those. So the end of the
newest window that a device ever closed is never lowered.

When the history is trimmed, windows that start before the cut are gone, except those that a device closed behind the
cut afterwards, such as the backlog of hours that it spent offline. `_gone_to` of each device is therefore the earlier
of the cut and of what the device had closed at the time. Both may be years ahead where the wall clock was. Once it is
sure, they are brought back to the time of that trim: nothing that a right clock stamps later was there to be trimmed.

A device that was offline may send live readings first and what it kept afterwards. Of the windows before the end of its
longest silence both numbers are therefore known apart: there nothing closes but what was kept, while live windows close
behind it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_gateway.columns.growing import grow_columns
from edge_gateway.records.window_block import NEVER, WindowBlock

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

REMEMBERED: Final = 10_000
"""Retired devices that are remembered by name; of the others, only the newest end of all."""
_COLUMNS: Final = ("_ends", "_gone_to", "_silent_to", "_ends_before", "_gone_before")
_FILLS: Final = dict.fromkeys(_COLUMNS, NEVER)


class EverClosed:
    """Times in ms, by device number; `every` is the length of the tier's windows."""

    def __init__(self, every: int) -> None:
        self.every = every
        self._ends = np.empty(0, np.int64)
        """End of the newest window that each device closed; NEVER before its first one."""
        self._gone_to = np.empty(0, np.int64)
        """The history may have given up windows of the device that start before this time."""
        self._silent_to = np.empty(0, np.int64)
        """End of the longest silence of each device; NEVER for none."""
        self._last_silence = NEVER
        """No silence ends later."""
        self._ends_before = np.empty(0, np.int64)
        """End of the newest window before the end of the silence that each device may have closed."""
        self._gone_before = np.empty(0, np.int64)
        """As `_gone_to`, of the windows before the end of the silence."""
        self._newest = NEVER
        """No window that starts at this time or later was ever closed."""
        self._retired: dict[str, int] = {}
        self._others_end = NEVER
        """Newest end of retired devices that are not remembered by name: any new device may be one of them."""
        self._cut = NEVER
        self._trimmed_at: int | None = None
        """The least the time was at the last trim by a wall clock that is not sure yet; None without one."""
        self._lost_to = NEVER

    def grow(self, count: int) -> None:
        """Make room for device numbers below `count`."""
        grow_columns(self, count, _FILLS)

    def silence(self, device: Ints, until: Ints) -> None:
        """Know windows of these devices that end by `until` (ms) apart: they were silent before it."""
        self.grow(int(device.max()) + 1)
        self._silent_to[device] = until
        self._last_silence = max(self._last_silence, int(until.max()))
        self._ends_before[device], self._gone_before[device] = self._ends[device], self._gone_to[device]

    def _of_window(self, device: Ints, start: Ints, newest: Ints, before: Ints) -> Ints:
        """Return for each window the number that holds for it: of `before` if it ends before the silence does."""
        return np.where(start + self.every <= self._silent_to[device], before[device], newest[device])

    def again(self, device: Ints, start: Ints) -> Bools | None:
        """Return which windows, by device and start, may have been closed before; None if none of them."""
        if not len(start) or int(start.min()) >= self._newest:
            return None
        self.grow(int(device.max()) + 1)
        found: Bools = start < self._of_window(device, start, self._ends, self._ends_before)
        return found if found.any() else None

    def judge(self, block: WindowBlock, series_device: Ints) -> tuple[Bools | None, WindowBlock]:
        """Return which of the block's windows may have been closed before, and the block without those given up."""
        device, start = series_device[block.rows["series"]], block.rows["start"]
        again = self.again(device, start)
        return again, block if again is None else block.take(~self.gone(device, start))

    def closed(self, device: Ints, end: Ints | int) -> None:
        """Note that windows of these devices with these ends were closed."""
        if len(device):
            self.grow(int(device.max()) + 1)
            np.maximum.at(self._ends, device, end)
            if np.min(end) <= self._last_silence:
                np.maximum.at(self._ends_before, device, np.where(end <= self._silent_to[device], end, NEVER))
            self._newest = max(self._newest, int(self._ends[device].max()))

    def gone(self, device: Ints, ts: Ints) -> Bools:
        """Return which readings belong to windows that the history may have given up."""
        if not len(ts) or int(ts.min()) - self.every >= self._cut:
            return np.zeros(len(device), np.bool_)
        self.grow(int(device.max()) + 1)
        start = ts - ts % self.every
        found: Bools = start < self._of_window(device, start, self._gone_to, self._gone_before)
        return found

    def closed_unknown(self, ts: Ints) -> Bools:
        """Return which readings, if they are late, belong to windows of which a lost state knew the contents."""
        found: Bools = ts - ts % self.every < self._lost_to
        return found

    def trim(self, cut: int, least: int | None = None) -> None:
        """Follow a trim: windows that start before `cut` are given up. `least`: the least the time is, None if sure."""
        self._cut = max(self._cut, cut)
        self._trimmed_at = self._trimmed_at if least is None else least
        np.maximum(self._gone_to, np.minimum(cut, self._ends), out=self._gone_to)
        np.maximum(self._gone_before, np.minimum(cut, self._ends_before), out=self._gone_before)

    def confirm(self, wall: int, least: int) -> None:
        """Bring back a cut beyond its time: `wall` is the time at which `least` was the least it could be."""
        if self._trimmed_at is not None:
            at = wall - (least - self._trimmed_at)
            self._cut, self._trimmed_at = min(self._cut, at), None
            np.minimum(self._gone_to, at, out=self._gone_to)
            np.minimum(self._gone_before, at, out=self._gone_before)

    def lose_before(self, at: int) -> None:
        """Set the time before which windows may have contents that are not known."""
        self._lost_to = at

    def forget(self, names: Mapping[int, str]) -> None:
        """Keep what retired devices closed under their names, given by number; the numbers will stand for others."""
        for device, name in names.items():
            if device < len(self._ends) and self._ends[device] > NEVER:
                self._retired[name] = int(self._ends[device])
                for column in _COLUMNS:
                    getattr(self, column)[device] = NEVER
        while len(self._retired) > REMEMBERED:
            self._others_end = max(self._others_end, self._retired.pop(next(iter(self._retired))))

    def begin(self, device: int, name: str) -> None:
        """Begin a device under a number; take up what one of its name had closed when it was retired."""
        self.grow(device + 1)
        end = self._retired.pop(name, self._others_end)
        self._ends[device], self._gone_to[device] = end, min(self._cut, end)
        self._silent_to[device] = NEVER

    def snapshot(self) -> dict[str, Any]:
        return {
            "columns": {name: getattr(self, name).copy() for name in _COLUMNS},
            "retired": dict(self._retired),
            "newest": self._newest,
            "others_end": self._others_end,
            "cut": self._cut,
            "trimmed_at": self._trimmed_at,
            "lost_to": self._lost_to,
        }

    def restore(self, state: dict[str, Any]) -> None:
        for name in _COLUMNS:
            setattr(self, name, state["columns"][name].copy())
        self._last_silence = int(self._silent_to.max(initial=NEVER))
        self._retired = dict(state["retired"])
        self._newest, self._others_end = state["newest"], state["others_end"]
        self._cut, self._trimmed_at, self._lost_to = state["cut"], state["trimmed_at"], state["lost_to"]


class EverClosedTiers:
    """The same for all tiers, the base first."""

    def __init__(self, every: Sequence[int]) -> None:
        self.tiers = [EverClosed(length) for length in every]

    def begin(self, device: int, name: str) -> None:
        """Begin a device; what one of its name closed before it was retired counts as closed by it."""
        for tier in self.tiers:
            tier.begin(device, name)

    def silence(self, devices: Ints, until: Ints) -> None:
        """Know apart, in all tiers, what comes of the time before `until` (ms), in which these devices were silent."""
        for tier in self.tiers if len(devices) else ():
            tier.silence(devices, until)

    def forget(self, names: Mapping[int, str]) -> None:
        """Keep what retired devices closed under their names, given by number."""
        for tier in self.tiers:
            tier.forget(names)

    def trim(self, cuts: Sequence[int], least: int | None = None) -> None:
        """Follow a trim of the history; `cuts` in ms, by tier. `least`: as in `Moment`."""
        for tier, cut in zip(self.tiers, cuts, strict=True):
            tier.trim(cut, least)

    def confirm(self, wall: int, least: int) -> None:
        """Correct what was noted by a wall clock that was not sure: `wall` is the time, `least` was the least of it."""
        for tier in self.tiers:
            tier.confirm(wall, least)

    def lose_before(self, at: int) -> None:
        """Set the time (ms) before which base windows may have contents that are not known, because a state is lost."""
        self.tiers[0].lose_before(at)

    def gone(self, device: Ints, ts: Ints) -> Bools:
        """Return which late readings belong to a window, of any tier, that is given up or of unknown contents."""
        found = np.zeros(len(device), np.bool_)
        for tier in self.tiers:
            found |= tier.gone(device, ts) | tier.closed_unknown(ts)
        return found

    def merged_late(self, device: Ints, ts: Ints, bits: Ints) -> None:
        """Note the windows that late readings are merged into; `bits` as in `LateReadings.tiers`."""
        for number, tier in enumerate(self.tiers):
            merged = (bits > 0) & (bits >> number & 1 == 1)
            start = ts[merged] - ts[merged] % tier.every
            tier.closed(device[merged], start + tier.every)

    def snapshot(self) -> list[dict[str, Any]]:
        return [tier.snapshot() for tier in self.tiers]

    def restore(self, state: Sequence[dict[str, Any]]) -> None:
        for tier, held in zip(self.tiers, state, strict=True):
            tier.restore(held)

"""How far time has advanced for each device, as columns by device number."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_gateway.columns.growing import grow_columns
from edge_gateway.records.window_block import NEVER
from edge_gateway.windows.gaps import TimeGaps

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FOREVER: Final = 1 << 62
_COLUMNS: Final = ("newest", "furthest", "due_to", "closed_to", "heard")
_FILLS: Final = dict.fromkeys(_COLUMNS, NEVER)


class Watermarks:
    """Device times in ms, NEVER before the first reading.

    Columns:
        newest: newest plausible device time; the watermark is this minus the allowed lateness.
        furthest: newest device time as sent; no open window starts later.
        due_to: windows that end at this time or before are due: they wait for nothing more.
        closed_to: readings of windows that end at this time or before are late.
        heard: when the last reading arrived, in ms of the listening clock, or another one that has no time yet.

    Args:
        base: length of a base window, ms.
        coarser: lengths of the coarser windows, ms.
        lateness: allowed lateness, ms.
        idle: silence after which a device's base windows become due, ms of the listening clock.
    """

    def __init__(self, base: int, coarser: Sequence[int], lateness: int, idle: int) -> None:
        self.crossed = False
        """Whether `closed_to` of some device passed the end of a coarser window; the caller resets it."""
        self._base = base
        self._coarser = tuple(coarser)
        self.lateness = lateness
        self._idle = idle
        self.gaps = TimeGaps(base, lateness, idle)
        self.count = 0
        self.newest = self.furthest = self.due_to = self.closed_to = self.heard = np.empty(0, np.int64)

    def grow(self, count: int) -> None:
        """Extend the columns to hold device numbers below `count`."""
        if count > self.count:
            grow_columns(self, count, _FILLS)
            self.gaps.grow(count)
            self.count = count

    def observe(self, device: Ints, ts: Ints, cap: int | None, listening: int) -> bool:
        """Advance devices by the times of their readings; return whether more became due, or may have.

        Args:
            device: device of each reading.
            ts: time of each reading, ms.
            cap: times beyond it advance the watermark to `cap` only; None for no cap.
            listening: the listening clock, ms.
        """
        kept = self.gaps.take(device, ts, self.furthest, listening)
        np.maximum.at(self.furthest, device, ts)
        believed = ts if cap is None else np.minimum(ts, cap)
        np.maximum.at(self.newest, device, believed)
        self.heard[device] = listening
        watermark = self.newest[device] - self.lateness
        due = watermark - watermark % self._base
        more = bool((due > self.due_to[device]).any())
        if more:
            self.due_to[device] = np.maximum(self.due_to[device], due)
        return more or kept

    def hear(self, devices: Ints, listening: int) -> None:
        """Note that devices sent readings whose times are not known yet; those without any reading stay so."""
        known = devices[devices < self.count]
        known = known[self.heard[known] > NEVER]
        self.heard[known] = listening

    def are_late(self, device: Ints, start: Ints) -> Bools:
        """Return which readings come after their window closed, by the start of each one's window."""
        late: Bools = start + self._base <= self.closed_to[device]
        if self.gaps.last_end > NEVER and late.any():
            late &= ~self.gaps.in_gap(device, start)
        return late

    def are_due(self, device: Ints, start: Ints | int) -> Bools:
        """Return for which devices a window is due that starts at `start`."""
        held = self.gaps.in_gap(device, start)
        until = np.where(held, self.gaps.due_to[device], self.due_to[device])
        due: Bools = start + self._base <= until
        return due

    def due_devices(self, start: int, devices: int) -> Bools:
        """Return for which of the devices below `devices` a window is due that starts at `start`."""
        due: Bools = self.due_to[:devices] >= start + self._base
        if start >= self.gaps.last_end:
            return due
        held, ripe = self.gaps.due(start, devices)
        return np.where(held, ripe, due)

    def close_in_gaps(self, devices: Ints, start: Ints | int) -> None:
        """Note that windows of these devices close that may lie in gaps; `start` is theirs."""
        self.crossed |= self.gaps.close(devices, start)

    def expire_silent(self, listening: int) -> bool:
        """Make everything due that devices silent for the idle time have open; return whether there were any."""
        ripe = self.gaps.expire(listening)
        self.crossed |= ripe
        silent = (
            (listening - self.heard >= self._idle) & (self.furthest >= self.due_to) & (self.furthest > NEVER)
        )
        if not silent.any():
            return ripe
        furthest = self.furthest[silent]
        self.due_to[silent] = furthest - furthest % self._base + self._base
        return True

    def silent_time(self, listening: int) -> Ints:
        """Return a lower bound of the current time of each silent device with no open base window, NEVER for others.

        It is FOREVER for a silent device whose clock stepped back and that sent nothing since: its time is unknown, so
        all its windows from before the step count as over.
        """
        elapsed = listening - self.heard - self._idle
        silent = (elapsed >= 0) & (self.heard > NEVER)
        time = np.maximum(self.furthest + elapsed, self.closed_to)
        over = silent & (self.closed_to > self.furthest) & (self.furthest > NEVER)
        return np.where(over, time, np.where(silent & (self.furthest == NEVER), FOREVER, NEVER))

    def unheard(self, devices: Ints) -> list[int]:
        """Return those of these devices that have no reading yet, or none since they were forgotten, ascending."""
        self.grow(int(devices.max(initial=-1)) + 1)
        new = self.heard[devices] == NEVER
        return np.unique(devices[new]).tolist() if new.any() else []

    def newest_of(self, device: int) -> int | None:
        """Return the newest plausible time of a device; None before its first reading."""
        newest = int(self.newest[device]) if device < self.count else NEVER
        return newest if newest > NEVER else None

    def of(self, device: int) -> int | None:
        """Return the watermark of a device; None before its first reading."""
        newest = self.newest_of(device)
        return None if newest is None else newest - self.lateness

    def next_start(self, device: int) -> int:
        """Return the start of the first base window not opened yet; 0 before the first reading."""
        newest = self.newest_of(device)
        return 0 if newest is None else newest - newest % self._base + self._base

    def close_to(self, devices: Ints, end: Ints | int) -> None:
        """Advance `closed_to` of devices to `end`; it never moves back."""
        before = self.closed_to[devices]
        after = np.maximum(before, end)
        self.closed_to[devices] = after
        self.crossed |= any(bool((before // every != after // every).any()) for every in self._coarser)

    def close_to_due(self) -> bool:
        """Advance `closed_to` of every device to `due_to`, once nothing due is open; return whether any moved."""
        behind = np.flatnonzero(self.closed_to < self.due_to)
        self.close_to(behind, self.due_to[behind])
        return bool(len(behind))

    def rewind(self, devices: Ints) -> None:
        """Forget the times of devices whose clock stepped back."""
        for name in ("newest", "furthest", "due_to", "closed_to"):
            getattr(self, name)[devices] = NEVER
        self.gaps.forget(devices)

    def mark_silent(self, devices: Ints) -> None:
        """Treat devices as silent for the whole idle time."""
        self.heard[devices] = -self._idle

    def forget(self, devices: Ints) -> None:
        """Reset these devices to the state before their first reading."""
        known = devices[devices < self.count]
        for name in _COLUMNS:
            getattr(self, name)[known] = NEVER
        self.gaps.forget(known)

    def all_due(self) -> None:
        """Make every open window due."""
        furthest = self.furthest
        end = np.where(furthest > NEVER, furthest - furthest % self._base + self._base, NEVER)
        self.due_to = np.maximum(self.due_to, end)
        self.gaps.all_due()

    def snapshot(self) -> dict[str, Any]:
        columns = {name: getattr(self, name)[: self.count].copy() for name in _COLUMNS}
        return {"columns": columns, "crossed": self.crossed, "gaps": self.gaps.snapshot()}

    def restore(self, state: dict[str, Any]) -> None:
        for name in _COLUMNS:
            setattr(self, name, state["columns"][name].copy())
        self.crossed = state["crossed"]
        self.gaps.restore(state["gaps"])
        self.count = len(self.newest)

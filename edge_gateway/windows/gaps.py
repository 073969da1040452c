"""Spans of device time that a device has passed without a reading, and what comes of them later.

A device that was offline may send live readings first and what it kept afterwards. Its live windows close meanwhile,
yet none of the span in between ever had a reading: there a window opens as any other, and closes by the newest time of
what was kept.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_gateway.columns.growing import grow_columns
from edge_gateway.records.window_block import NEVER

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_TIME_BITS: Final = 43
"""Times up to the year 2248 fit."""
_NONE_NOTED: Final = np.empty(0, np.int64), np.empty(0, np.int64)
_COLUMNS: Final = ("begin", "since", "until", "newest", "due_to", "heard")
_FILLS: Final = dict.fromkeys(_COLUMNS, NEVER)


class TimeGaps:
    """The longest gap of each device; times in ms, NEVER for none.

    Columns:
        begin, until: no window that starts in [begin, until) had a reading when the gap was noted.
        since: those that start before it have closed since.
        newest: newest time of a reading in the gap.
        due_to: windows of the gap that end at this time or before are due.
        heard: when the last reading in the gap arrived, by the listening clock; NEVER once none came for `idle`.

    Args:
        base: length of a base window, ms.
        lateness: allowed lateness, ms.
        idle: silence after which what is open in a gap becomes due, ms of the listening clock; shorter gaps do not
            count.
    """

    def __init__(self, base: int, lateness: int, idle: int) -> None:
        self._base = base
        self._lateness = lateness
        self._idle = idle
        self._least = max(2 * base, idle)
        self._count = 0
        self.begin = self.since = self.until = self.newest = self.due_to = self.heard = np.empty(0, np.int64)
        self.last_end = NEVER
        """No gap ends later."""
        self.noted = _NONE_NOTED
        """Devices whose gap became another one when readings were last taken, and where theirs ends."""

    def grow(self, count: int) -> None:
        """Extend the columns to hold device numbers below `count`."""
        grow_columns(self, count, _FILLS)
        self._count = count

    def take(self, device: Ints, ts: Ints, furthest: Ints, listening: int) -> bool:
        """Note the gaps that readings leave behind, and the readings that lie in gaps; return whether any do.

        Args:
            device: device of each reading.
            ts: time of each reading, ms.
            furthest: by device number, its newest time before these readings, ms.
            listening: the listening clock, ms.
        """
        self.noted = _NONE_NOTED
        before = furthest[device]
        ahead = ts - before
        if int(ahead.view(np.uint64).max()) <= self._least:  # none of them is negative either
            return False
        leaps = ahead > self._least
        leaps &= before > NEVER
        if leaps.any():
            leapt = np.zeros(self._count, np.bool_)
            leapt[device[leaps]] = True
            rows = np.flatnonzero(leapt[device])
            rows = rows[np.argsort(device[rows], kind="stable")]
            self._note(device[rows], ts[rows], furthest)
        return self._observe(device, ts, listening)

    def _note(self, device: Ints, ts: Ints, furthest: Ints) -> None:
        """Note the longest gap between readings of each device, if it is longer than what it has.

        The readings are sorted by device, in order of arrival within a device.
        """
        before = _newest_before(device, ts, furthest)
        leaps = np.flatnonzero(ts - before > self._least)
        device, before, ts = device[leaps], before[leaps], ts[leaps]
        since, until = before - before % self._base + self._base, ts - ts % self._base
        length = until - since
        longer = np.flatnonzero(length > self.until[device] - self.since[device])
        longer = longer[np.argsort(length[longer], kind="stable")]
        device = device[longer]
        self.begin[device] = self.since[device] = since[longer]  # the longest one last
        self.until[device] = until[longer]
        noted = np.unique(device)
        self.noted = noted, self.until[noted]
        self.last_end = max(self.last_end, int(until.max(initial=NEVER)))
        for name in ("newest", "due_to", "heard"):
            getattr(self, name)[device] = NEVER

    def reach(self, times: Ints) -> bool:
        """Whether any of these times is before the end of some gap; if not, none lies in one."""
        return self.last_end > NEVER and len(times) > 0 and int(times.min()) < self.last_end

    def in_gap(self, device: Ints, start: Ints | int) -> Bools:
        """Return which windows lie in the gap of their device, and behind those of it that closed."""
        if not (start < self.last_end if isinstance(start, int) else self.reach(start)):
            return np.zeros(len(device), np.bool_)
        held: Bools = (start < self.until[device]) & (start >= self.since[device])
        return held

    def in_whole_gap(self, device: Ints, ts: Ints) -> Bools:
        """Return which times lie in the gap of their device as it was noted, whatever has closed of it since."""
        if not self.reach(ts):
            return np.zeros(len(ts), np.bool_)
        lie: Bools = (ts < self.until[device]) & (ts >= self.begin[device])
        return lie

    def _observe(self, device: Ints, ts: Ints, listening: int) -> bool:
        if not self.reach(ts):
            return False
        held = self.in_gap(device, ts - ts % self._base)
        if not held.any():
            return False
        device, ts = device[held], ts[held]
        np.maximum.at(self.newest, device, ts)
        self.heard[device] = listening
        due = self.newest[device] - self._lateness
        self.due_to[device] = np.maximum(self.due_to[device], due - due % self._base)
        return True

    def close(self, devices: Ints, start: Ints | int) -> bool:
        """Note that windows close; those in the gap of their device, and what is before them, leave the gap.

        Returns whether there are any.
        """
        held = self.in_gap(devices, start)
        np.maximum.at(self.since, devices[held], np.broadcast_to(start, held.shape)[held] + self._base)
        return bool(held.any())

    def due(self, start: int, devices: int) -> tuple[Bools, Bools]:
        """Return which devices below `devices` have the window in their gap, and for which of them it is due."""
        held: Bools = (self.since[:devices] <= start) & (start < self.until[:devices])
        return held, held & (self.due_to[:devices] >= start + self._base)

    def expire(self, listening: int) -> bool:
        """Make due what is open in gaps of which nothing came for the idle time; return whether there is any."""
        silent = (self.heard > NEVER) & (listening - self.heard >= self._idle)
        self.due_to[silent] = self.until[silent]
        self.heard[silent] = NEVER
        return bool(silent.any())

    def passed(self, closed_to: Ints) -> Ints:
        """Return up to which time the coarser windows of each device are over; `closed_to` where nothing kept comes."""
        devices = slice(len(closed_to))
        return np.where(self.heard[devices] > NEVER, np.minimum(closed_to, self.since[devices]), closed_to)

    def all_due(self) -> None:
        """Make everything due that is open in gaps."""
        self.due_to = self.until.copy()
        self.heard[:] = NEVER

    def forget(self, devices: Ints) -> None:
        """Forget the gaps of these devices."""
        for name in _COLUMNS:
            getattr(self, name)[devices] = NEVER

    def snapshot(self) -> dict[str, Any]:
        return {name: getattr(self, name)[: self._count].copy() for name in _COLUMNS}

    def restore(self, state: dict[str, Any]) -> None:
        for name in _COLUMNS:
            setattr(self, name, state[name].copy())
        self._count = len(self.since)
        self.last_end = int(self.until.max(initial=NEVER))


def _newest_before(device: Ints, ts: Ints, furthest: Ints) -> Ints:
    """Return for each reading, sorted by device, the newest time of its device before it."""
    first = np.ones(len(device), np.bool_)
    np.not_equal(device[1:], device[:-1], out=first[1:])
    known = furthest[device]
    offset = np.cumsum(first) << _TIME_BITS
    newest = np.maximum.accumulate(offset + np.maximum(ts, known)) - offset
    return np.where(first, known, np.concatenate([newest[:1], newest[:-1]]))

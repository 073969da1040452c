"""Streaks: how many messages in a row of each device have met a condition."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from edge_gateway.columns.frame import BoolColumn, IntColumn
from edge_gateway.columns.growing import with_room

_NAMES = ("length", "since", "value", "other")


class Streak(NamedTuple):
    """`length` messages in a row since `since` (ms of the listening clock), and two values of the newest."""

    length: int
    since: int
    value: int
    other: int


class Streaks:
    """A streak for each device; it ends with the first message that does not meet the condition.

    `on` says whether any device has a streak. While none has, messages that fail the condition need not be noted.
    """

    def __init__(self) -> None:
        self._size = 0
        self._columns = {name: np.empty(0, np.int64) for name in _NAMES}
        self.on = False

    def note(self, device: IntColumn, so: BoolColumn, now: int, value: IntColumn, other: IntColumn) -> None:
        """Note messages in arrival order.

        Args:
            device: device of each message.
            so: whether each message meets the condition.
            now: the listening clock, ms.
            value: a value of each message, kept of the newest in a streak.
            other: another one.
        """
        if not len(device):
            return
        self._make_room(int(device.max()) + 1)
        ended = np.full(self._size, -1, np.int64)
        ends = np.flatnonzero(~so)
        ended[device[ends]] = ends
        self._end(device[ends])
        goes_on = so & (np.arange(len(device)) > ended[device])
        device, length = device[goes_on], self._columns["length"]
        self._columns["since"][device[length[device] == 0]] = now
        np.add.at(length, device, np.int64(1))
        self._columns["value"][device], self._columns["other"][device] = value[goes_on], other[goes_on]
        self.on = bool(length[: self._size].any())

    def clear(self) -> None:
        """End all streaks."""
        for column in self._columns.values():
            column[:] = 0
        self.on = False

    def _make_room(self, devices: int) -> None:
        if devices > self._size:
            self._size = devices
            for name, column in self._columns.items():
                self._columns[name] = with_room(column, devices, 0)

    def _end(self, devices: IntColumn) -> None:
        for column in self._columns.values():
            column[devices] = 0

    def at_least(self, length: int) -> IntColumn:
        """Return the devices with a streak of at least `length` messages, ascending."""
        return np.flatnonzero(self._columns["length"][: self._size] >= length)

    def of(self, device: int) -> Streak:
        """Return the streak of a device that `at_least` returned."""
        return Streak(*(int(self._columns[name][device]) for name in _NAMES))

    def forget(self, devices: IntColumn) -> None:
        """Forget retired devices."""
        self._end(devices[devices < self._size])

    def snapshot(self) -> dict[str, Any]:
        device = self.at_least(1)
        return {"device": device, **{name: column[device] for name, column in self._columns.items()}}

    def restore(self, state: dict[str, Any]) -> None:
        device = state["device"]
        self._size, self.on = 0, len(device) > 0
        self._columns = {name: np.empty(0, np.int64) for name in _NAMES}
        self._make_room(int(device.max(initial=-1)) + 1)
        for name, column in self._columns.items():
            column[device] = state[name]

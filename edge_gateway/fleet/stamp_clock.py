"""The clock of devices that have none: their readings are stamped with the gateway's wall clock, which may be set.

Monotonic time shows whether it was: between two stamps of a device as much of both must have passed. A clock that was
adjusted by seconds is waited for, so that stamps never go back. After one that was set, the device begins again at the
new time, like one whose own clock stepped.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from edge_gateway.columns.frame import BoolColumn, IntColumn
from edge_gateway.columns.growing import with_room
from edge_gateway.fleet.timestamps import Stamped
from edge_gateway.records.inputs import Moment

ADJUSTED: Final = 5_000
"""Milliseconds by which wall and monotonic time may differ between two stamps of a device, …"""
DRIFT: Final = 1_000
"""… and 1 in so many more, because a clock that is slewed runs faster or slower."""
_NEVER: Final = -(1 << 62)
_NONE: Final[IntColumn] = np.empty(0, np.int64)


class Stamps(NamedTuple):
    """The stamp of each reading (ms), and whether its device begins again at this time."""

    ts: IntColumn
    stepped: BoolColumn


class StampClock:
    """The newest stamp of each device, and when it was given (monotonic ms)."""

    def __init__(self) -> None:
        self._devices = 0
        self._newest = np.empty(0, np.int64)
        self._at = np.empty(0, np.int64)

    def settle(
        self, times: Stamped, message: IntColumn, live: BoolColumn, device: IntColumn, moment: Moment
    ) -> tuple[Stamped, IntColumn]:
        """Give times that are the arrival their final stamp.

        Args:
            times: of each sample, in arrival order.
            message: message of each sample.
            live: which messages count, but those out of the quarantine: they keep their arrival, which says nothing
                about the clock now.
            device: device of each message.
            moment: of the arrival.

        Returns:
            All times, and the messages with which a device begins again, one a device, ascending.
        """
        if not times.stamped.any():
            return times, _NONE
        rows = np.flatnonzero(times.stamped & live[message])
        stamps = self.stamp(device[message[rows]], moment.wall, moment.monotonic)
        ts = times.ts.copy()
        ts[rows] = stamps.ts
        begin = message[rows[stamps.stepped]]
        _, first = np.unique(device[begin], return_index=True)
        return Stamped(ts, times.stamped), np.sort(begin[first])

    def stamp(self, device: IntColumn, arrival: int, monotonic: int) -> Stamps:
        """Stamp readings, given by device, that arrived at wall time `arrival` (ms)."""
        self._make_room(int(device.max(initial=-1)) + 1)
        newest, passed = self._newest[device], monotonic - self._at[device]
        off = np.abs(arrival - newest - passed)
        stepped = (newest > _NEVER) & (off > ADJUSTED + passed // DRIFT)
        ts = np.where((arrival < newest) & ~stepped, newest + 1, arrival)
        self._newest[device], self._at[device] = ts, monotonic
        return Stamps(ts, stepped)

    def _make_room(self, devices: int) -> None:
        if devices > self._devices:
            self._devices = devices
            self._newest = with_room(self._newest, devices, _NEVER)
            self._at = with_room(self._at, devices, 0)

    def forget(self, devices: IntColumn) -> None:
        """Forget retired devices."""
        self._newest[devices[devices < self._devices]] = _NEVER

    def snapshot(self) -> dict[str, Any]:
        return {"newest": self._newest[: self._devices].copy(), "at": self._at[: self._devices].copy()}

    def restore(self, state: dict[str, Any]) -> None:
        self._newest, self._at = state["newest"].copy(), state["at"].copy()
        self._devices = len(self._newest)

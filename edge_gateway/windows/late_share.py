"""Each device's share of the late table, in which late readings wait to be merged.

All devices share the table, and while it is too full no telemetry is acknowledged. Each device therefore has a
share that refills more slowly than the store merges late readings, so that no single device can fill the table.
Readings over the share are not merged: they are stored and counted as too late.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_gateway.columns.growing import with_room

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

A_MS = 1
"""Readings by which a share refills per millisecond of the listening clock; the store merges several times as many."""


class LateShare:
    """How much each device has used of its share of `most` readings. Times are ms of the listening clock."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.refused = 0
        """Late readings over their device's share, in total."""
        self._used = np.empty(0, np.int64)
        self._at = np.empty(0, np.int64)

    def over(self, device: Ints, now: int) -> Bools:
        """Count late readings, given by device in arrival order; return which are over the share."""
        if not len(device):
            return np.empty(0, np.bool_)
        self._make_room(int(device.max()) + 1)
        devices, place, counts = np.unique(device, return_inverse=True, return_counts=True)
        used = self._still_used(devices, now)
        order = np.argsort(place, kind="stable")
        rank = np.empty(len(device), np.int64)
        rank[order] = np.arange(len(device)) - np.repeat(np.cumsum(counts) - counts, counts)
        over: Bools = used[place] + rank >= self.most
        self._used[devices], self._at[devices] = np.minimum(used + counts, self.most), now
        self.refused += int(over.sum())
        return over

    def _still_used(self, devices: Ints, now: int) -> Ints:
        """Return how much of each share is still in use at `now`."""
        used: Ints = np.maximum(self._used[devices] - (now - self._at[devices]) * A_MS, 0)
        return used

    def _make_room(self, devices: int) -> None:
        self._used = with_room(self._used, devices, 0)
        self._at = with_room(self._at, devices, 0)

    def nearly_used_up(self, now: int) -> Ints:
        """Return the devices that have used four fifths of their share or more, ascending."""
        devices = np.flatnonzero(self._used)
        return devices[5 * self._still_used(devices, now) >= 4 * self.most]

    def forget(self, devices: Ints) -> None:
        """Refill the shares of retired devices."""
        self._used[devices[devices < len(self._used)]] = 0

    def snapshot(self) -> dict[str, Any]:
        device = np.flatnonzero(self._used)
        return {"device": device, "used": self._used[device], "at": self._at[device], "refused": self.refused}

    def restore(self, state: dict[str, Any]) -> None:
        device = state["device"]
        self._used, self._at = np.empty(0, np.int64), np.empty(0, np.int64)
        self._make_room(int(device.max(initial=-1)) + 1)
        self._used[device], self._at[device] = state["used"], state["at"]
        self.refused = state["refused"]

"""How many late readings each device may have merged: the table they wait in is everybody's.

Once it is too full, deliveries of all wait until it is worked off. So a device has a share of it, which fills again
slower than late readings are merged: no single one can fill the table. What is over the share is not merged; it goes
where readings go that come too late, and is counted as they are.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_gateway.columns.growing import with_room

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

A_MS = 1
"""Readings a millisecond of the listening clock by which a share fills again; the store merges several times that."""


class LateShare:
    """What is left of each device's share of `most` readings. Times are ms of the listening clock."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.refused = 0
        """Late readings over their device's share, ever."""
        self._used = np.empty(0, np.int64)
        self._at = np.empty(0, np.int64)

    def over(self, device: Ints, now: int) -> Bools:
        """Take in late readings in arrival order, by their devices; return which are over the share."""
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
        """What was taken and has not filled again."""
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
        """Let retired devices have their whole share."""
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

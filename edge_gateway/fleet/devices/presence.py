"""When devices were heard of last, and whether they are there, as far as their last status says."""

from typing import Any

import numpy as np

from edge_gateway.columns.frame import BoolColumn, IntColumn
from edge_gateway.columns.growing import with_room

_NOT_AWAITED = 1 << 62
_COLUMNS = ("online", "last_seen", "heard")
_ONLINE, _UNSAID, _OFFLINE, _UNCLEAR = 1, 0, -1, -3
"""As checkpoints hold them."""


class Presence:
    """Columns by device number. `now` is what the listening clock (ms) showed last: who is heard is heard then."""

    def __init__(self) -> None:
        self.now = 0
        self._devices = 0
        self._online = np.empty(0, np.int8)
        self._last_seen = np.empty(0, np.int64)
        self._heard = np.empty(0, np.int64)

    def begin(self, device: int) -> None:
        """A device is new under this number."""
        self._devices = max(self._devices, device + 1)
        for name in _COLUMNS:
            setattr(self, f"_{name}", with_room(getattr(self, f"_{name}"), self._devices, 0))
        self._online[device], self._last_seen[device], self._heard[device] = _UNSAID, 0, self.now

    def seen(self, devices: IntColumn, arrival: int) -> None:
        """Note that something of these devices arrived, at this wall time (ms)."""
        self._last_seen[devices] = arrival
        self._heard[devices] = self.now

    def heard(self, device: int) -> None:
        """Note that a device said something of itself."""
        self._heard[device] = self.now

    def born(self, device: int) -> None:
        self._online[device] = _ONLINE

    def gone(self, device: int) -> None:
        """Take in a will."""
        self._online[device] = _OFFLINE

    def unreadable(self, device: int, *, offline: bool) -> None:
        """Take in a status that is none of the contract: whatever it was, the device is not known to be online."""
        self._online[device] = _OFFLINE if offline else _UNCLEAR

    def status_cleared(self, device: int) -> None:
        """Take in that there is no status any more."""
        self._online[device] = _UNSAID

    def last_seen(self, device: int) -> int:
        """Return the wall time in ms of the last arrival; 0 when nothing came yet."""
        return int(self._last_seen[device])

    def online(self, device: int) -> bool | None:
        """Return what the last status said; None before one, once it is cleared, and where it says nothing clear."""
        said = self._online[device]
        return None if said in {_UNSAID, _UNCLEAR} else bool(said == _ONLINE)

    def silent(self, since: int) -> BoolColumn:
        """Say of which devices that are not retired nothing was heard since then (ms of the listening clock)."""
        silent: BoolColumn = self._heard[: self._devices] < since
        return silent

    def expire(self, device: int) -> None:
        """Let a device be as silent as one can be, until it speaks."""
        self._heard[device] = -_NOT_AWAITED

    def retire(self, devices: IntColumn) -> None:
        """Wait for nothing of these devices any more."""
        self._online[devices], self._heard[devices] = _UNSAID, _NOT_AWAITED

    def snapshot(self) -> dict[str, Any]:
        return {name: getattr(self, f"_{name}")[: self._devices].copy() for name in _COLUMNS}

    def restore(self, state: dict[str, Any]) -> None:
        for name in _COLUMNS:
            setattr(self, f"_{name}", state[name].copy())
        self._devices = len(self._heard)

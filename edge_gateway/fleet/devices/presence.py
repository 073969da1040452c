"""When devices were last heard, and whether their last status says they are online."""

from typing import Any

import numpy as np

from edge_gateway.columns.frame import BoolColumn, IntColumn
from edge_gateway.columns.growing import with_room

_NOT_AWAITED = 1 << 62
_COLUMNS = ("online", "last_seen", "heard")
_ONLINE, _UNSAID, _OFFLINE, _UNCLEAR = 1, 0, -1, -3
"""What a device's last status said; checkpoints hold these numbers."""


class Presence:
    """Columns by device number. `now` is the listening clock, ms: devices are noted as heard at this time."""

    def __init__(self) -> None:
        self.now = 0
        self._devices = 0
        self._online = np.empty(0, np.int8)
        self._last_seen = np.empty(0, np.int64)
        self._heard = np.empty(0, np.int64)

    def begin(self, device: int) -> None:
        """Reset this number for a new device."""
        self._devices = max(self._devices, device + 1)
        for name in _COLUMNS:
            setattr(self, f"_{name}", with_room(getattr(self, f"_{name}"), self._devices, 0))
        self._online[device], self._last_seen[device], self._heard[device] = _UNSAID, 0, self.now

    def seen(self, devices: IntColumn, arrival: int) -> None:
        """Note that messages of these devices arrived, at wall time `arrival` (ms)."""
        self._last_seen[devices] = arrival
        self._heard[devices] = self.now

    def heard(self, device: int) -> None:
        """Note that a birth or will of a device arrived."""
        self._heard[device] = self.now

    def born(self, device: int) -> None:
        self._online[device] = _ONLINE

    def gone(self, device: int) -> None:
        """Note that a device's will arrived: it is offline."""
        self._online[device] = _OFFLINE

    def unreadable(self, device: int, *, offline: bool) -> None:
        """Note an unreadable status; `offline` if it says so in other words, else nothing is known."""
        self._online[device] = _OFFLINE if offline else _UNCLEAR

    def status_cleared(self, device: int) -> None:
        """Note that the broker no longer retains a status."""
        self._online[device] = _UNSAID

    def last_seen(self, device: int) -> int:
        """Return the wall time of the last arrival, ms; 0 before the first."""
        return int(self._last_seen[device])

    def online(self, device: int) -> bool | None:
        """Return whether the last status said online; None if there is none, or it was cleared or unreadable."""
        said = self._online[device]
        return None if said in {_UNSAID, _UNCLEAR} else bool(said == _ONLINE)

    @property
    def online_devices(self) -> int:
        """Number of devices whose last status says online."""
        return int(np.count_nonzero(self._online[: self._devices] == _ONLINE))

    def silent(self, since: int) -> BoolColumn:
        """Return by device number which devices were last heard before `since` (ms of the listening clock)."""
        silent: BoolColumn = self._heard[: self._devices] < since
        return silent

    def expire(self, device: int) -> None:
        """Treat a device as silent for any length of time, until it is heard again."""
        self._heard[device] = -_NOT_AWAITED

    def is_expired(self, device: int) -> bool:
        """Whether the device has not been heard since `expire`."""
        return bool(self._heard[device] == -_NOT_AWAITED)

    def retire(self, devices: IntColumn) -> None:
        """Stop tracking retired devices: they are never silent."""
        self._online[devices], self._heard[devices] = _UNSAID, _NOT_AWAITED

    def snapshot(self) -> dict[str, Any]:
        return {name: getattr(self, f"_{name}")[: self._devices].copy() for name in _COLUMNS}

    def restore(self, state: dict[str, Any]) -> None:
        for name in _COLUMNS:
            setattr(self, f"_{name}", state[name].copy())
        self._devices = len(self._heard)

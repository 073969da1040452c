"""Whether devices are there, as far as their last status says, by device number."""

import numpy as np
from numpy.typing import NDArray

from edge_gateway.fleet.columns import with_room
from edge_gateway.frame import IntColumn

_ONLINE, _UNSAID, _OFFLINE, _OFFLINE_IN_OTHER_WORDS, _UNCLEAR = 1, 0, -1, -2, -3
"""As checkpoints hold them."""


class Presence:
    """What the last status of each device said; numbers of devices count up from 0."""

    def __init__(self) -> None:
        self._said = np.empty(0, np.int8)

    def grow(self, devices: int) -> None:
        """Hold device numbers below `devices`."""
        self._said = with_room(self._said, devices, _UNSAID)

    def born(self, device: int) -> None:
        self._said[device] = _ONLINE

    def gone(self, device: int) -> None:
        self._said[device] = _OFFLINE

    def unreadable(self, device: int, *, offline: bool) -> None:
        """Take in a status that is none of the contract: whatever it was, the device is not known to be online."""
        self._said[device] = _OFFLINE_IN_OTHER_WORDS if offline else _UNCLEAR

    def unsaid(self, device: int) -> None:
        """Take in that there is no status any more."""
        self._said[device] = _UNSAID

    def online(self, device: int) -> bool | None:
        """Return what the last status said; None before one, once it is cleared, and where it says nothing clear."""
        said = self._said[device]
        return None if said in {_UNSAID, _UNCLEAR} else bool(said == _ONLINE)

    def unread(self) -> IntColumn:
        """Return the devices whose last status was none of the contract, ascending."""
        return np.flatnonzero(self._said <= _OFFLINE_IN_OTHER_WORDS)

    def snapshot(self, devices: int) -> NDArray[np.int8]:
        return self._said[:devices].copy()

    def restore(self, state: NDArray[np.int8]) -> None:
        self._said = state.copy()

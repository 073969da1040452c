"""Messages that faults keep back: made, not sent, and in no buffer of their device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleet_sim.devices.device import Device
    from fleet_sim.devices.emission import Message

__all__ = ["Withheld"]


@dataclass(slots=True)
class _Kept:
    """A message kept back until `left` further ones of its device had their turn, or (None) its batch is released."""

    seq: int
    payload: bytes
    left: int | None


class Withheld:
    """The messages kept back, by the index of their device among `devices`."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self._devices = devices
        self._kept: dict[int, list[_Kept]] = {}

    def has(self, device: Device) -> bool:
        return device.index in self._kept

    def hold(self, message: Message, *, behind: int | None = None) -> None:
        """Keep a message back until `behind` further ones are sent; None: until the next release of batches."""
        left = None if behind is None else behind + 1  # its own turn counts too
        message.device.outbox.withheld.add(message.seq)
        self._kept.setdefault(message.device.index, []).append(_Kept(message.seq, message.payload, left))

    def count_down(self, device: Device) -> None:
        """Note that a message of the device had its turn; send those that waited for that."""
        for kept in self._kept.get(device.index, ()):
            kept.left = None if kept.left is None else kept.left - 1
        self._release(device, lambda kept: kept.left == 0)

    def release_batches(self, device: Device) -> None:
        """Send the messages that wait for the others of their batch."""
        self._release(device, lambda kept: kept.left is None)

    def release_all(self) -> None:
        """Send everything; for the end of a run."""
        for index in list(self._kept):
            self._release(self._devices[index], lambda _kept: True)

    def forget(self, device: Device) -> None:
        """Drop what is kept back for a device that restarts."""
        self._kept.pop(device.index, None)

    def _release(self, device: Device, goes: Callable[[_Kept], bool]) -> None:
        waiting = self._kept.get(device.index, ())
        released = [kept for kept in waiting if goes(kept)]
        if not released:
            return
        del self._kept[device.index]
        stays = [kept for kept in waiting if not goes(kept)]
        if stays:
            self._kept[device.index] = stays
        for kept in released:
            device.outbox.withheld.discard(kept.seq)
            device.forward(kept.seq, kept.payload)

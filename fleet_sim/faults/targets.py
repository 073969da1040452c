"""What a fault can do to its devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from fleet_sim.noise import U8, uniform_of

if TYPE_CHECKING:
    from fleet_sim.devices.conditions import Conditions
    from fleet_sim.devices.device import Device
    from fleet_sim.faults.withheld import Withheld

__all__ = ["Network", "Targets"]


class Network(Protocol):
    """Who can take devices off the network and bring them back."""

    def cut(self, device: Device, back_ms: float) -> None: ...

    def block(self, device: Device) -> None: ...

    def unblock(self, device: Device) -> None: ...

    def restart(self, device: Device, *, takes_ms: float, keep: bool) -> None: ...

    def die(self, device: Device) -> None: ...

    def link(self, device: Device, fault: int, conditions: Conditions | None) -> None: ...


class Targets:
    """The devices of one fault. `keys` are their noise keys, side by side with them."""

    def __init__(
        self, fault: int, devices: Sequence[Device], keys: U8, network: Network, withheld: Withheld
    ) -> None:
        self._fault = fault
        self._devices = devices
        self._keys = keys
        self._network = network
        self._withheld = withheld

    def cut(self, within_ms: float, turn: int) -> None:
        """Cut all connections, for the `turn`-th time; each device is back at its own moment `within_ms`."""
        turns = np.full(len(self._devices), turn, dtype=np.int64)
        waits = uniform_of(self._keys, f"fault/{self._fault}/reconnect", turns) * within_ms
        for device, wait in zip(self._devices, waits.tolist(), strict=True):
            self._network.cut(device, wait)

    def block(self) -> None:
        """Keep the devices off the network, until `unblock`."""
        for device in self._devices:
            self._network.block(device)

    def unblock(self) -> None:
        for device in self._devices:
            self._network.unblock(device)

    def link(self, conditions: Conditions | None) -> None:
        """Set what this fault does to the links; None ends it."""
        for device in self._devices:
            self._network.link(device, self._fault, conditions)

    def die(self) -> None:
        """Take the devices off the network without a DISCONNECT, until `restart`; messages kept back are lost."""
        for device in self._devices:
            self._withheld.forget(device)
            self._network.die(device)

    def restart(self, takes_ms: float, *, keep: bool) -> None:
        """Restart the devices; without `keep` their buffers are lost, messages kept back always."""
        for device in self._devices:
            self._withheld.forget(device)
            self._network.restart(device, takes_ms=takes_ms, keep=keep)

    def release_batches(self) -> None:
        """Send the messages that are kept back to be sent together."""
        for device in self._devices:
            self._withheld.release_batches(device)

"""Connections that the broker or the network ended: since when they are gone, and why they do not come back."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from fleet_config.counting import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    from fleet_sim.devices.device import Device

__all__ = ["Losses"]

ADVICE: Final = "check that the broker runs and that this machine reaches it"


class Losses:
    """Devices that lost their connection and have not got it back. A connection that a fault cuts is not lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lost: dict[int, tuple[float, str]] = {}
        self._told = False

    def lost(self, device: Device, seconds: float, why: str) -> None:
        """Note a loss, this many seconds after the start of the run."""
        self._lost[device.index] = (seconds, why)

    def back(self, device: Device) -> None:
        self._lost.pop(device.index, None)

    def trying(self, devices: Sequence[Device], gave_up: Container[int] = ()) -> list[Device]:
        """Return those that still try to connect again; devices that are switched off or `gave_up` do not."""
        return [
            devices[index]
            for index in self._lost
            if devices[index].alive and not devices[index].online and index not in gave_up
        ]

    def tell(self, up: int, warn: Callable[[str], None]) -> None:
        """Warn once when the last connected device is lost, `up` being those left, and once when one is back."""
        if self._told and up:
            self._told = False
            warn(f"{self._url} answers again; {counted(up, 'device')} connected")
        elif self._lost and not up and not self._told:
            self._told = True
            since, why = min(self._lost.values())
            warn(
                f"{self._url}: {counted(len(self._lost), 'device')} lost the connection {since:.1f} s after the "
                f"start ({why}); none is connected now, all try again: {ADVICE}"
            )

    def reasons(self, devices: Sequence[Device], troubles: Mapping[int, str]) -> Counter[str]:
        """Count these devices by when and why they lost the connection, and why the last attempt failed.

        `troubles` has the last failure by a device's index.
        """
        groups: dict[tuple[str, str], list[float]] = {}
        for device in devices:
            since, why = self._lost[device.index]
            trouble = troubles.get(device.index, "the broker has not answered")
            groups.setdefault((why, trouble), []).append(since)
        return Counter(
            {
                f"lost {min(since):.1f} s after the start ({why}), and since then: {trouble}; {ADVICE}": len(
                    since
                )
                for (why, trouble), since in groups.items()
            }
        )

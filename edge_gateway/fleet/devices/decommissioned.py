"""Devices that an operator forgot: the status that the broker retains of one does not bring it back.

A mark ends when the device is heard again: with a message of its own, or a birth of another boot.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

MOST_MARKS: Final = 10_000
"""Devices marked. Past it the one that was forgotten longest ago is not marked any more."""


class Decommissioned:
    """The marks: names of devices, each with the boot it had when it was forgotten, None if it told none."""

    def __init__(self) -> None:
        self._boots: dict[str, int | None] = {}

    def mark(self, device: str, boot: int | None) -> None:
        """Mark a device that was forgotten."""
        self._boots.pop(device, None)
        self._boots[device] = boot
        if len(self._boots) > MOST_MARKS:
            del self._boots[next(iter(self._boots))]

    def unmark(self, devices: Iterable[str]) -> None:
        """End the marks of devices that were heard, or of which nothing is retained any more."""
        for device in devices:
            self._boots.pop(device, None)

    def passes_over(self, device: str, boot: int | None) -> bool:
        """Whether a retained status is that of a marked device; `boot` is a birth's, None of a will.

        A birth of another boot ends the mark.
        """
        if device not in self._boots:
            return False
        if boot is None or boot == self._boots[device]:
            return True
        self.unmark([device])
        return False

    def snapshot(self) -> list[list[Any]]:
        return [[device, boot] for device, boot in self._boots.items()]

    def restore(self, state: list[list[Any]]) -> None:
        self._boots = {row[0]: row[1] for row in state}

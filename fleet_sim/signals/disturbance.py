"""What may act on a metric from outside, such as a fault: on its physics, or on what its sensor reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fleet_sim.noise import F8
    from fleet_sim.signals.moment import BOOL, Devices, Moment, Signal

__all__ = ["Disturbance", "Disturbing", "Reading"]


@dataclass(slots=True)
class Reading:
    """What the sensor of one metric reports for k devices; `absent` None: nothing is missing."""

    value: F8
    absent: BOOL | None = None


class Disturbance:
    """Acts on one metric of some devices of a group for some time; each hook does nothing unless overridden."""

    def __init__(self, number: int) -> None:
        self.number = number

    def disturb(self, signal: Signal, now: Moment) -> None:
        """Change the physics, before the true values are computed."""

    def falsify(self, reading: Reading, now: Moment) -> None:
        """Change what is reported; the true values, and what follows from them, stay."""

    def repaired_by(self, row: int, setting: str, at_ms: int) -> bool:  # noqa: ARG002 - for those that can be
        """End for the device `row` if a command that moves `setting` does that, and say whether it did."""
        return False


class Disturbing(Protocol):
    """Where a disturbance comes from."""

    @property
    def metric(self) -> str | None:
        """The metric it acts on; None: no metric."""
        ...

    def disturbance(self, devices: Devices) -> Disturbance:
        """Return the disturbance, bound to the devices of a group."""
        ...

"""Faults that restart a device, with a new boot number."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from fleet_config.durations import Duration
from fleet_sim.faults.fault import Deed, DeviceFault


class Reboot(DeviceFault):
    """A clean restart: a new boot number, the buffer kept."""

    in_phase = True
    once = True
    kind: Literal["reboot"] = "reboot"
    takes: Duration = 5000

    def deeds(self, from_ms: int, until_ms: int) -> Iterable[Deed]:  # noqa: ARG002 - the hook's
        return [Deed(from_ms, lambda targets: targets.restart(self.takes, keep=True))]


class Crash(DeviceFault):
    """A restart without goodbye: a new boot number, the buffer lost."""

    in_phase = True
    once = True
    kind: Literal["crash"] = "crash"
    takes: Duration = 5000

    def deeds(self, from_ms: int, until_ms: int) -> Iterable[Deed]:  # noqa: ARG002 - the hook's
        return [Deed(from_ms, lambda targets: targets.restart(self.takes, keep=False))]


class BatteryDeath(DeviceFault):
    """The device is gone without a word; at the fault's end a new battery starts it, with a new boot, nothing kept."""

    in_phase = True
    kind: Literal["battery_death"] = "battery_death"

    def deeds(self, from_ms: int, until_ms: int) -> Iterable[Deed]:
        return [
            Deed(from_ms, lambda targets: targets.die()),
            Deed(until_ms, lambda targets: targets.restart(0.0, keep=False), ends=True),
        ]

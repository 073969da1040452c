"""Which devices have which fault, from when to when.

A fault is a label as much as a deed: what is planned here is what the ledger records. Sensor faults are
carried out by the signals (`GroupSignals`), those of devices and links by the runtime.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from fleet_sim.faults.kinds import ExpectAlert, Fault, SensorFault, Where
from fleet_sim.noise import U8, device_keys, uniform_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fleet_sim.scenario.grammar import Scenario
    from fleet_sim.scenario.plan import DevicePlan

NEVER: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """One fault of the run: times are ms since the run's start, devices are ids in the order of the plan."""

    number: int
    kind: str
    where: Where
    metric: str | None
    devices: tuple[str, ...]
    from_ms: int
    until_ms: int
    spec: Fault

    @property
    def expect_alert(self) -> ExpectAlert | None:
        """The alert it must raise."""
        return self.spec.expect_alert


def plan_faults(scenario: Scenario, plans: Sequence[DevicePlan]) -> list[PlannedFault]:
    """Every fault of the scenario with its devices and times, those of the phases' `do` after the others.

    Whether a device is in a share depends on (seed, fault, device id) alone, so every shard decides alike.
    """
    keys = device_keys(scenario.seed, [plan.id for plan in plans])
    planned = []
    for number, (fault, phase) in enumerate(_every_fault(scenario)):
        devices = _chosen(number, fault, plans, keys)
        from_ms, until_ms = _window(fault, phase, scenario)
        metric = fault.metric if isinstance(fault, SensorFault) else None
        planned.append(
            PlannedFault(number, fault.kind, fault.where, metric, devices, from_ms, until_ms, fault)
        )
    return planned


def _every_fault(scenario: Scenario) -> Iterator[tuple[Fault, str | None]]:
    for fault in scenario.faults:
        yield fault, fault.phase
    for phase in scenario.phases:
        for action in phase.do.faults():
            yield action, phase.name


def _chosen(number: int, fault: Fault, plans: Sequence[DevicePlan], keys: U8) -> tuple[str, ...]:
    drawn = uniform_of(keys, f"fault/{number}", np.zeros(len(plans), dtype=np.int64)) < fault.match.share
    return tuple(plans[row].id for row in np.flatnonzero(drawn).tolist() if _is_meant(fault, plans[row]))


def _is_meant(fault: Fault, plan: DevicePlan) -> bool:
    if isinstance(fault, SensorFault) and fault.metric not in plan.metrics:
        return False
    return fault.match.match.matches(plan.site, plan.id, plan.type, plan.tags)


def _window(fault: Fault, phase: str | None, scenario: Scenario) -> tuple[int, int]:
    """Start and end since the run's start; a fault may outlast its phase only by its own `for`."""
    begin, end = 0, scenario.duration_ms
    for window in scenario.timeline():
        if window.name == phase:
            begin, end = window.from_ms, window.until_ms
    start = begin + fault.after
    if fault.for_ is not None:
        return start, start + fault.for_
    return start, NEVER if end is None else max(start, end)

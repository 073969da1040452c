"""Build the parts of a run from a scenario: devices, their groups, their deadlines and their signals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fleet_sim.devices.device import Device
from fleet_sim.devices.emission import GroupFlow
from fleet_sim.devices.pacing import Pacer
from fleet_sim.devices.world import DeviceGroup, Identity, World
from fleet_sim.faults.plan import PlannedFault
from fleet_sim.noise import Stream, device_keys
from fleet_sim.plan import DevicePlan
from fleet_sim.scenario.grammar import Scenario
from fleet_sim.signals.group import GroupSignals
from fleet_sim.signals.metric import Metric
from fleet_sim.signals.models import States

__all__ = ["Fleet", "build", "describe_fault"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fleet:
    """The devices of a run in the order of the plan; by group its flow, signals and first device's index."""

    devices: list[Device]
    flows: list[GroupFlow]
    signals: Mapping[str, GroupSignals]
    firsts: Mapping[str, int]
    plans: Sequence[DevicePlan]


def build(
    scenario: Scenario,
    plans: Sequence[DevicePlan],
    faults: Sequence[PlannedFault],
    world: World,
    *,
    start_ms: int,
    boot: int,
    qos: int,
    apply: Callable[[Device, str, Any], object],
    on_ms: Floats | None = None,
) -> Fleet:
    """Build the devices and the flow of every group, and write both to the ledger.

    `apply` carries out a command: (device, setting, value). `on_ms` says when each device is switched on, in ms since
    1970; None: before the run. A group without devices is left out.
    """
    since = np.full(len(plans), -np.inf) if on_ms is None else on_ms
    fleet = Fleet([], [], {}, {}, plans)
    signals: dict[str, GroupSignals] = {}
    firsts: dict[str, int] = {}
    for name in scenario.fleet:
        members = [plan for plan in plans if plan.group == name]
        if not members:
            continue
        firsts[name] = len(fleet.devices)
        signals[name] = GroupSignals(
            scenario.fleet[name].metrics, members, seed=scenario.seed, start_ms=start_ms, faults=faults
        )
        group = _group(name, members[0], qos, apply)
        devices = [
            Device(world, group, _identity(plan), index=firsts[name] + row, row=row, boot=boot)
            for row, plan in enumerate(members)
        ]
        numbers, states = kinds_of(scenario.fleet[name].metrics)
        columns = world.ledger.group(name, numbers, states)
        pacer = _pacer(scenario.seed, members, start_ms, since[firsts[name] :][: len(members)])
        fleet.devices.extend(devices)
        fleet.flows.append(GroupFlow(devices, pacer, signals[name], columns, world.ledger.text))
        _write_devices(world, len(fleet.flows) - 1, firsts[name], members)
    return Fleet(fleet.devices, fleet.flows, signals, firsts, plans)


def _group(name: str, plan: DevicePlan, qos: int, apply: Callable[[Device, str, Any], object]) -> DeviceGroup:
    return DeviceGroup(
        name=name,
        metrics=plan.metrics,
        commands=plan.commands,
        apply=apply,
        room=plan.buffer.room,
        drop=plan.buffer.drop,
        replay_rate=plan.buffer.replay_rate,
        qos=qos,
    )


def _identity(plan: DevicePlan) -> Identity:
    return Identity(plan.id, plan.site, plan.type, plan.tags, plan.lat, plan.lon)


def kinds_of(metrics: Mapping[str, Metric]) -> tuple[list[str], list[str]]:
    """Return the names of the metrics whose values are numbers, and of those whose values are words."""
    states = [name for name, metric in metrics.items() if isinstance(metric, States)]
    return [name for name in metrics if name not in states], states


def _pacer(seed: int, members: Sequence[DevicePlan], start_ms: int, since_ms: Floats) -> Pacer:
    pace = members[0].pace
    draws = Stream(device_keys(seed, [plan.id for plan in members]), "pace")
    return Pacer(
        np.array([start_ms + plan.phase_ms for plan in members]),
        pace.every_ms,
        uniform=draws.uniform,
        jitter=pace.jitter,
        poisson=pace.start == "poisson",
        since_ms=since_ms,
    )


def _write_devices(world: World, group: int, first: int, members: Sequence[DevicePlan]) -> None:
    rows = [
        {"id": plan.id, "site": plan.site, "type": plan.type, "tags": dict(plan.tags)} for plan in members
    ]
    world.ledger.devices(group, first, rows)


def describe_fault(fault: PlannedFault, start_ms: float) -> dict[str, Any]:
    """Return a fault as the ledger records it; times are ms since 1970."""
    expected = fault.expect_alert
    return {
        "number": fault.number,
        "kind": fault.kind,
        "where": fault.where,
        "metric": fault.metric,
        "devices": list(fault.devices),
        "from": round(start_ms + fault.from_ms),
        "until": round(min(start_ms + fault.until_ms, 2**62)),
        "expect": expected and {"rule": expected.rule, "within": expected.within, "level": expected.level},
        "spec": fault.spec.model_dump(mode="json", by_alias=True),
    }

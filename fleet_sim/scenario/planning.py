"""Planning a scenario: its devices and their faults as plain records."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING

from fleet_sim.faults.plan import NEVER, PlannedFault, chosen_devices
from fleet_sim.noise import Stream, device_keys
from fleet_sim.plan import Behaviour, Buffer, DevicePlan, Pace
from fleet_wire.control_messages import MetricInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fleet_sim.faults.fault import Fault
    from fleet_sim.scenario.grammar import CommandSpec, Group, Interval, Offline, Scenario
    from fleet_sim.signals.metric import Metric

__all__ = ["plan_devices", "plan_faults", "plan_group"]

_GOLDEN_RATIO = 0.6180339887498949


def plan_devices(scenario: Scenario) -> list[DevicePlan]:
    """Return every device of the scenario, group by group in the order of the file, by number in the group."""
    return [plan for name, group in scenario.fleet.items() for plan in plan_group(scenario.seed, name, group)]


def plan_group(seed: int, name: str, group: Group) -> list[DevicePlan]:
    """Return the devices of one group."""
    sites = group.sites()
    ids = group.device_ids(name)
    positions = _positions(seed, ids, group)
    metrics = MappingProxyType({metric: info_of(spec) for metric, spec in group.metrics.items()})
    tags = _tags(group)
    pace, buffer = _pace(group.interval), _buffer(group.offline)
    commands = MappingProxyType({command: _behaviour(spec) for command, spec in group.commands.items()})
    return [
        DevicePlan(
            id=ids[i],
            site=sites[i],
            type=group.type or name,
            tags=tags[i % len(tags)],
            lat=positions[i][0],
            lon=positions[i][1],
            group=name,
            index=i,
            phase=(i * _GOLDEN_RATIO) % 1.0,
            pace=pace,
            buffer=buffer,
            commands=commands,
            metrics=metrics,
        )
        for i in range(group.count)
    ]


def _pace(interval: Interval) -> Pace:
    return Pace(interval.every, interval.jitter, interval.start)


def _buffer(offline: Offline) -> Buffer:
    return Buffer(offline.buffer, offline.drop, offline.replay_rate.per_second)


def _behaviour(spec: CommandSpec) -> Behaviour:
    return Behaviour(dict(spec.set), float(spec.takes.mean), float(spec.takes.jitter), spec.outcome)


def info_of(spec: Metric) -> MetricInfo:
    """The part of a metric that its device announces in the birth."""
    return MetricInfo(
        unit=spec.unit or None,
        label=spec.label or None,
        min=spec.min,
        max=spec.max,
        warning=spec.warning,
        critical=spec.critical,
    )


def _tags(group: Group) -> Sequence[Mapping[str, str]]:
    """Return the tags of devices 0, 1, 2, …, until they repeat (or to the last device)."""
    every = [
        MappingProxyType({tag: values[i % len(values)] for tag, values in group.tags.items()})
        for i in range(min(group.count, math.lcm(*map(len, group.tags.values()))))
    ]
    return every or [MappingProxyType({})]


def _positions(seed: int, ids: Sequence[str], group: Group) -> list[tuple[float | None, float | None]]:
    if group.position is None:
        return [(None, None)] * len(ids)
    keys = device_keys(seed, ids)
    lat = _between(group.position.lat, Stream(keys, "position/lat").of_devices().tolist())
    lon = _between(group.position.lon, Stream(keys, "position/lon").of_devices().tolist())
    return list(zip(lat, lon, strict=True))


def _between(limits: tuple[float, float], draws: Sequence[float]) -> list[float]:
    low, high = limits
    return [round(low + draw * (high - low), 6) for draw in draws]


def plan_faults(scenario: Scenario, plans: Sequence[DevicePlan]) -> list[PlannedFault]:
    """Return every fault with its devices and times, those in the phases' `do` after the others."""
    planned = []
    for number, (fault, phase) in enumerate(_every_fault(scenario)):
        devices = chosen_devices(number, fault, plans, scenario.seed)
        planned.append(PlannedFault(number, devices, *_window(fault, phase, scenario), fault))
    return planned


def _every_fault(scenario: Scenario) -> Iterator[tuple[Fault, str | None]]:
    for fault in scenario.faults:
        yield fault, fault.phase
    for phase in scenario.phases:
        for action in phase.do.faults():
            yield action, phase.name


def _window(fault: Fault, phase: str | None, scenario: Scenario) -> tuple[int, int]:
    """Return start and end in ms since the run's start; a fault outlasts its phase only if it has its own `for`."""
    begin, end = 0, scenario.duration_ms
    for window in scenario.timeline():
        if window.name == phase:
            begin, end = window.from_ms, window.until_ms
    start = begin + fault.after
    if fault.for_ is not None:
        return start, start + fault.for_
    return start, NEVER if end is None else max(start, end)

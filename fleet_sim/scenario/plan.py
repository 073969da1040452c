"""The devices of a scenario: who they are, what they tell of themselves, when they send."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from fleet_sim.noise import Stream, device_keys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fleet_sim.scenario.grammar import CommandSpec, Group, Interval, Offline, Scenario
    from fleet_sim.signals.spec import Metric

_GOLDEN_RATIO = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """What a birth tells of a metric."""

    unit: str
    label: str
    min: float | None
    max: float | None
    warning: float | None
    critical: float | None


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """One device. What all devices of a group have alike is one shared object each.

    `phase` is its place in the interval, 0 to 1: it depends on the device's number alone, so that a fleet of
    any size sends smoothly and a shard sends at the same times.
    """

    id: str
    site: str
    type: str
    tags: Mapping[str, str]
    lat: float | None
    lon: float | None
    group: str
    index: int
    phase: float
    interval: Interval
    offline: Offline
    commands: Mapping[str, CommandSpec]
    metrics: Mapping[str, MetricFacts]

    @property
    def interval_ms(self) -> int:
        """Time between two messages."""
        return self.interval.every

    @property
    def phase_ms(self) -> int:
        """When the first message is due, since the device's start; 0 where all start aligned."""
        return 0 if self.interval.start == "aligned" else int(self.phase * self.interval.every)


def plan_devices(scenario: Scenario) -> list[DevicePlan]:
    """Every device of the scenario, group by group in the order of the file, by its number in the group."""
    return [plan for name, group in scenario.fleet.items() for plan in plan_group(scenario.seed, name, group)]


def plan_group(seed: int, name: str, group: Group) -> list[DevicePlan]:
    """The devices of one group."""
    sites = _sites(group)
    ids = device_ids(name, group)
    positions = _positions(seed, ids, group)
    metrics = MappingProxyType({metric: facts_of(spec) for metric, spec in group.metrics.items()})
    tags = _tags(group)
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
            interval=group.interval,
            offline=group.offline,
            commands=group.commands,
            metrics=metrics,
        )
        for i in range(group.count)
    ]


def device_ids(name: str, group: Group) -> list[str]:
    """The ids of a group's devices, by number."""
    return [group.device_id(name, i, site) for i, site in enumerate(_sites(group))]


def _sites(group: Group) -> list[str]:
    return [group.site[i % len(group.site)] for i in range(group.count)]


def facts_of(spec: Metric) -> MetricFacts:
    """The part of a metric that its device tells in the birth."""
    return MetricFacts(spec.unit, spec.label, spec.min, spec.max, spec.warning, spec.critical)


def _tags(group: Group) -> Sequence[Mapping[str, str]]:
    """The tags of devices 0, 1, 2, …, up to where they begin again (or to the last device)."""
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

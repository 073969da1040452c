"""The devices of a run as plain records, which every room may import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleet_wire.control_messages import MetricInfo

__all__ = ["Behaviour", "Buffer", "DevicePlan", "Pace"]


class Pace(NamedTuple):
    """When the devices of a group send: every `every_ms`, a message up to `jitter` (a share of it) early or late."""

    every_ms: int
    jitter: float
    start: Literal["spread", "aligned", "poisson"]


class Buffer(NamedTuple):
    """What a device keeps: at most `room` messages, sent late at `replay_rate` a second."""

    room: int
    drop: Literal["oldest", "newest"]
    replay_rate: float


class Behaviour(NamedTuple):
    """What a device does with one command, and how long it takes.

    `settings` maps `metric.setting` to the name of the argument that it takes, or to a number.
    """

    settings: Mapping[str, str | float]
    takes_ms: float = 0.0
    jitter_ms: float = 0.0
    outcome: str = "done"


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """One device. What all devices of a group have alike is one shared object each.

    `phase` is its place in the interval, 0 to 1: it depends on the device's number alone, so that a fleet of
    any size sends smoothly.
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
    pace: Pace
    buffer: Buffer
    commands: Mapping[str, Behaviour]
    metrics: Mapping[str, MetricInfo]

    @property
    def phase_ms(self) -> int:
        """When the first message is due, since the device's start; 0 where all start aligned."""
        return 0 if self.pace.start == "aligned" else int(self.phase * self.pace.every_ms)

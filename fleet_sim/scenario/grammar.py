"""The grammar of scenario files as frozen models, with the simulator's defaults.

Durations are in milliseconds, rates are counts per time, shares are 0 to 1.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from fleet_config import spelling
from fleet_config.durations import Duration, Percent, Rate, RateSpec, parse_duration
from fleet_config.problems import suggest
from fleet_config.validation import Strict
from fleet_sim.faults.kinds import AnyFault, PhaseActions
from fleet_sim.scenario.expectations import EXPECTABLE, Expectation
from fleet_sim.signals.metric import MetricName, Spread
from fleet_sim.signals.models import MetricSpec

_PLACEHOLDER = re.compile(r"\{(i|site|group)(?::0?([0-9]{1,2})d)?\}")
_EXPECTED = re.compile(r"(<=|>=|==|!=|<|>)\s*(-?[0-9.]+)\s*(ms|s|m|h|%)?")

Level = Annotated[str, spelling.LEVEL]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _interval(value: Any) -> Any:
    return value if isinstance(value, dict) else {"every": value}


def _broker_url(url: str) -> str:
    """Check a broker's address. Errors do not repeat it, because it may contain a password."""
    if "@" in url:
        raise ValueError("user and password do not belong in the address; use username: and password:")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("mqtt", "mqtts") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(
            "not a broker's address; write mqtt://host:1883 or mqtts://host:8883, with a port of 1 to 65535"
        )
    return url


def _id_template(template: str) -> str:
    left = _PLACEHOLDER.sub("0", template)
    if "{" in left or "}" in left:
        raise ValueError(
            f"'{template}' may contain {{i}}, {{i:05d}}, {{site}} and {{group}}, and no other braces"
        )
    if "{i" not in template:
        raise ValueError(f"'{template}' gives all devices the same id; it must contain {{i}} or {{i:05d}}")
    return template


class Broker(Strict):
    """Where the fleet connects to."""

    url: Annotated[str, AfterValidator(_broker_url)] = "mqtt://localhost:1883"
    username: str | None = None
    """`{id}` stands for the device's id"""
    password: str | None = None
    """only as ${VARIABLE}: secrets do not belong in a file"""
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    keepalive: Duration = Field(default=60_000, ge=1000, le=65_535_000)
    session_expiry: Duration = 3_600_000
    qos: Annotated[int, Field(ge=0, le=1)] = 1


class Interval(Strict):
    """When a device sends."""

    every: Duration = Field(gt=0)
    jitter: Percent = 0.0
    """the share of the interval by which each message may be early or late"""
    start: Literal["spread", "aligned", "poisson"] = "spread"
    """evenly spread over the interval; all at once; or with random gaps"""


class Offline(Strict):
    """What a device does while it cannot send: it keeps its messages and sends them later, with their own time."""

    buffer: int = Field(default=500, ge=0, le=1_000_000)
    """messages"""
    drop: Literal["oldest", "newest"] = "oldest"
    replay_rate: Rate = RateSpec(50.0, 1000)


class Takes(Strict):
    """How long a command takes."""

    mean: Duration = 50
    jitter: Duration = 0


class CommandSpec(Strict):
    """How a device handles a command of this name."""

    set: dict[str, str | float] = Field(default_factory=dict)
    """`metric.setting: argument of the command` (or a number)"""
    takes: Takes = Takes.model_construct()
    outcome: Literal["done", "rejected", "failed"] = "done"


class Position(Strict):
    """Degrees; two ranges are a box over which devices are spread evenly."""

    lat: Spread
    lon: Spread


class Group(Strict):
    """Devices of one kind."""

    count: int = Field(ge=0, le=1_000_000)
    id: Annotated[str, AfterValidator(_id_template)] = "{group}-{i:05d}"
    type: str | None = None
    """by default the group's key"""
    site: Annotated[
        tuple[Level, ...],
        Field(min_length=1),
        BeforeValidator(_listed, json_schema_input_type=Level | tuple[Level, ...]),
    ] = ("site",)
    """devices take turns through a list, by i; the same holds for tags"""
    tags: dict[
        Annotated[str, spelling.TAG],
        Annotated[
            tuple[str, ...],
            Field(min_length=1),
            BeforeValidator(_listed, json_schema_input_type=str | tuple[str, ...]),
        ],
    ] = Field(default_factory=dict)
    position: Position | None = None
    interval: Annotated[Interval, BeforeValidator(_interval, json_schema_input_type=Duration | Interval)] = (
        Interval.model_construct(every=10_000)
    )
    offline: Offline = Offline.model_construct()
    metrics: dict[MetricName, MetricSpec] = Field(min_length=1)
    commands: dict[str, CommandSpec] = Field(default_factory=dict)
    """by name; `*` is for all others"""

    def sites(self) -> list[str]:
        """Return the site of each device, by its number."""
        return [self.site[i % len(self.site)] for i in range(self.count)]

    def device_ids(self, name: str) -> list[str]:
        """Return the id of each device, by its number; `name` is the group's key."""
        return [self._device_id(name, i, site) for i, site in enumerate(self.sites())]

    def _device_id(self, group: str, i: int, site: str) -> str:
        words = {"i": i, "site": site, "group": group}
        return _PLACEHOLDER.sub(
            lambda found: f"{i:0{found[2]}d}" if found[2] and found[1] == "i" else str(words[found[1]]),
            self.id,
        )


class Phase(Strict):
    """A part of the run; phases follow one another."""

    name: Level
    for_: Duration | None = Field(default=None, alias="for")
    """only the last phase may have no end"""
    connect: Rate | None = None
    """devices connect at this rate from the phase's start until all are connected"""
    do: PhaseActions = PhaseActions.model_construct()
    """device and link faults at the phase's start"""


class PhaseWindow(NamedTuple):
    """A phase with its times in ms since the run's start; `until_ms` is None if it has no end."""

    name: str
    from_ms: int
    until_ms: int | None
    connect: RateSpec | None


def _expectation(value: Any) -> Any:
    if isinstance(value, Expectation):
        return value
    found = _EXPECTED.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f'\'{value}\' is not an expectation; write one like "< 250ms", "== 0" or ">= 99%"')
    comparison, number, unit = found.groups()
    return Expectation(comparison, _limit(number, unit), value.strip())


def _limit(number: str, unit: str | None) -> float:
    if unit is None:
        return float(number)
    return float(number) / 100 if unit == "%" else float(parse_duration(number + unit))


def _expectable(name: str) -> str:
    if name not in EXPECTABLE:
        raise ValueError(
            f"'{name}' is not measured; one of {', '.join(sorted(EXPECTABLE))}{suggest(name, EXPECTABLE)}"
        )
    return name


class Scenario(Strict):
    """A whole scenario file."""

    version: Literal[1]
    name: Level
    description: str = ""
    seed: int = Field(default=0, ge=0, lt=2**63)
    broker: Broker = Broker.model_construct()
    fleet: dict[Level, Group] = Field(min_length=1)
    phases: tuple[Phase, ...] = ()
    faults: tuple[AnyFault, ...] = ()
    expect: dict[
        Annotated[str, AfterValidator(_expectable)],
        Annotated[
            Expectation,
            BeforeValidator(_expectation),
            WithJsonSchema({"type": "string", "pattern": _EXPECTED.pattern, "examples": ["< 250ms", "== 0"]}),
        ],
    ] = Field(default_factory=dict)

    def timeline(self) -> tuple[PhaseWindow, ...]:
        """Return the phases with their times; a scenario without phases has one, `run`, without end."""
        windows: list[PhaseWindow] = []
        at = 0
        for phase in self.phases:
            until = None if phase.for_ is None else at + phase.for_
            windows.append(PhaseWindow(phase.name, at, until, phase.connect))
            at = at if until is None else until
        return tuple(windows) or (PhaseWindow("run", 0, None, None),)

    @property
    def duration_ms(self) -> int | None:
        """The length of the whole run; None: until it is interrupted."""
        return self.timeline()[-1].until_ms

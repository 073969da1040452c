"""Rules of a trial: as the reference reads them, and as the text of a rule file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests.gateway.rules.reference.expressions import RECORD_NAMES, RECORDS, Expression
from tests.gateway.rules.reference.week import Times, holds

FOREVER = 1 << 60
ONLINE = 1 << 59
"""The lookback of a metric whose last value counts while its device is online."""
RANKS = ("info", "warning", "critical")


@dataclass(frozen=True)
class Level:
    """`limit` None: of a condition, its own or the rule's, that `ends` ends. Times in ms.

    `readings`, if not 0, stand for `for_ms`. `at`: the times at which the level is active, all if empty. `limits`:
    other limits at times, of which the first that holds applies; `deadband` then stands for `clear`.
    """

    name: str
    limit: float | None = None
    clear: float | None = None
    for_ms: int = 0
    readings: int = 0
    own: Expression | None = None
    ends: Expression | None = None
    at: Times = ()
    limits: tuple[tuple[str, float], ...] = ()
    deadband: float = 0.0

    def limit_at(self, zone: str, moment: int) -> float:
        assert self.limit is not None
        return next((other for time, other in self.limits if holds((time,), zone, moment)), self.limit)

    @property
    def wait(self) -> str:
        return f"{self.readings} readings" if self.readings else f"{self.for_ms}ms"


@dataclass(frozen=True)
class Silence:
    after: int
    metric: str
    state: str
    level: str


@dataclass(frozen=True)
class Command:
    name: str
    on: tuple[str, ...]
    cooldown: int


@dataclass(frozen=True)
class Override:
    """For the devices of a site: another `for` of a level, another `keep_firing_for`; None: unchanged."""

    site: str
    level: str
    for_ms: int | None
    keep: int | None


@dataclass(frozen=True)
class Definition:
    """A rule. `sites`: only for these, empty for all. `at`: the times at which it is active, all if empty."""

    name: str
    expression: Expression | None = None
    above: bool = True
    levels: tuple[Level, ...] = ()
    sites: tuple[str, ...] = ()
    keep: int = 0
    silence: Silence | None = None
    commands: tuple[Command, ...] = ()
    override: Override | None = None
    warmup: int = 0
    repeat: int | None = None
    at: Times = ()
    resets: bool = False
    level_of: dict[str, Level] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "level_of", {level.name: level for level in self.levels})

    @property
    def commands_silence(self) -> bool:
        return any("no_data" in command.on for command in self.commands)

    @property
    def expressions(self) -> list[Expression]:
        of_levels = [each for level in self.levels for each in (level.own, level.ends)]
        return [each for each in (self.expression, *of_levels) if each is not None]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The metrics of its now: those that it reads, and the one that it misses."""
        return (*self.reads, self.silence.metric) if self.silence else self.reads

    @property
    def watches(self) -> bool:
        """Whether anything happens when its metric stays away."""
        return self.silence is not None and (self.silence.state != "keep_last" or self.commands_silence)

    def times(self, level: str) -> tuple[Times, ...]:
        """The times that must all hold for a level to be active; silence has those of the rule."""
        own = self.level_of[level].at if level in self.level_of else ()
        return tuple(each for each in (self.at, own) if each)

    @property
    def reads(self) -> tuple[str, ...]:
        """The metrics of all expressions."""
        return tuple(dict.fromkeys(metric for each in self.expressions for metric in each.metrics))

    def for_ms(self, level: Level, site: str) -> int:
        change = self.override
        if change is None or change.site != site or change.level != level.name or change.for_ms is None:
            return FOREVER if level.readings else level.for_ms
        return change.for_ms

    def keep_ms(self, site: str) -> int:
        change = self.override
        return self.keep if change is None or change.site != site or change.keep is None else change.keep

    def text(self) -> dict[str, Any]:
        """The rule as a rule file has it."""
        found: dict[str, Any] = {"alert": self.name}
        if self.sites:
            found["match"] = {"site": list(self.sites)}
        found |= self._levels()
        if self.keep:
            found["keep_firing_for"] = f"{self.keep}ms"
        if self.at:
            found["at"] = list(self.at)
        if self.resets:
            found["on_change"] = "reset"
        if self.warmup:
            found["warmup"] = f"{self.warmup}ms"
        if self.repeat:
            found["repeat"] = f"{self.repeat}ms"
        if self.silence:
            found["no_data"] = {
                "after": f"{self.silence.after}ms",
                "metric": self.silence.metric,
                "state": self.silence.state,
                "severity": self.silence.level,
            }
        if self.override:
            found["overrides"] = [self._override(self.override)]
        if self.commands:
            found["commands"] = [
                {"name": one.name, "on": list(one.on), "cooldown": f"{one.cooldown}ms", "expires": "1h"}
                for one in self.commands
            ]
        return found

    def _levels(self) -> dict[str, Any]:
        if not self.levels:
            return {}
        if self.expression is None:
            return {"levels": {level.name: _condition(level) for level in self.levels}}
        if self.levels[0].limit is None:
            (level,) = self.levels
            return {"expr": self.expression.text, "severity": level.name, **_condition(level)}
        side = "above" if self.above else "below"
        levels = {level.name: _limit(level, side) for level in self.levels}
        return {"expr": self.expression.text, "levels": levels}

    def _override(self, change: Override) -> dict[str, Any]:
        found: dict[str, Any] = {"match": {"site": [change.site]}}
        if change.for_ms is not None:
            found["levels"] = {change.level: {"for": f"{change.for_ms}ms"}}
        if change.keep is not None:
            found["keep_firing_for"] = f"{change.keep}ms"
        return found


def _condition(level: Level) -> dict[str, Any]:
    texts = {"expr": level.own, "clear": level.ends}
    found = {"for": level.wait, **{key: each.text for key, each in texts.items() if each is not None}}
    return found | ({"at": list(level.at)} if level.at else {})


def _limit(level: Level, side: str) -> dict[str, Any]:
    found: dict[str, Any] = {side: level.limit, "for": level.wait}
    if level.limits:
        found |= {side: {"default": level.limit, "at": dict(level.limits)}, "deadband": level.deadband}
    elif level.clear is not None:
        found["clear"] = level.clear
    return found | ({"at": list(level.at)} if level.at else {})


@dataclass(frozen=True)
class RuleFile:
    """The rules of a file. `lookbacks`, in ms or ONLINE, of the metrics that have one of their own."""

    rules: tuple[Definition, ...]
    lookbacks: dict[str, int]

    @property
    def inputs(self) -> frozenset[str]:
        """The metrics that its rules know of."""
        return frozenset(metric for rule in self.rules for metric in rule.inputs)

    @property
    def watched(self) -> frozenset[str]:
        """The metrics that its rules miss."""
        return frozenset(rule.silence.metric for rule in self.rules if rule.silence and rule.watches)

    def text(self) -> str:
        """The file; JSON is YAML."""
        metrics = {
            metric: {"lookback": "online" if ms == ONLINE else f"{ms}ms"}
            for metric, ms in self.lookbacks.items()
        }
        records = [
            {"record": name, "expr": formula.text}
            for name, formula in zip(RECORD_NAMES, RECORDS, strict=True)
        ]
        rules = [*records, *(rule.text() for rule in self.rules)]
        group = {"name": "g", "metrics": metrics, "rules": rules}
        return json.dumps({"version": 1, "groups": [group]}, indent=1)

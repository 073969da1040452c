"""Rules as the gateway runs them: whole, resolved, and independent of the files they came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Any, Final, Literal

import msgspec

from edge_gateway.rules.language.analysis import Analysis, analyse
from edge_gateway.rules.language.template import parts_of

Match = dict[str, list[str]]
"""Key (site, device, type or a tag) to the globs of which one must fit."""

OnChange = Literal["keep", "reset"]
"""What happens to a rule's state when the rule is edited."""

NoDataState = Literal["alerting", "no_data", "ok", "keep_last"]
"""alerting raises the alert, ok resolves it, no_data only reports, keep_last changes nothing."""

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Level:
    """One limit of form one: beyond it is > (`above`) or <. For form two `limit` is None.

    `clear` None stands for the limit itself. Times in ms.
    """

    level: str
    above: bool = True
    limit: float | None = None
    clear: float | None = None
    for_ms: int = 0


@dataclass(frozen=True, slots=True)
class LevelChange:
    """What an override says of a level; None: as it was."""

    level: str
    limit: float | None = None
    clear: float | None = None
    for_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Override:
    match: Match
    levels: tuple[LevelChange, ...]
    keep_ms: int | None = None


@dataclass(frozen=True, slots=True)
class NoData:
    after_ms: int
    metric: str
    state: NoDataState
    level: str


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    args: dict[str, Any]
    on: tuple[str, ...]
    cooldown_ms: int
    expires_ms: int
    within_ms: int | None = None
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """One alert or record rule. `match` holds what the group and the rule select; all must hold.

    `expr` is in normal writing; it is None where only `no_data` is asked for. `levels` is lowest first.
    """

    name: str
    group: str
    record: bool = False
    match: tuple[Match, ...] = ()
    expr: str | None = None
    clear_expr: str | None = None
    levels: tuple[Level, ...] = ()
    keep_ms: int = 0
    no_data: NoData | None = None
    overrides: tuple[Override, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    commands: tuple[Command, ...] = ()
    warmup_ms: int = 0
    repeat_ms: int | None = None
    notify_device: bool = True
    on_change: OnChange = "keep"
    unit: str | None = None

    @property
    def analysis(self) -> Analysis | None:
        return None if self.expr is None else analyse(self.expr)

    @property
    def clear_analysis(self) -> Analysis | None:
        return None if self.clear_expr is None else analyse(self.clear_expr)

    @property
    def metrics(self) -> tuple[tuple[str, bool], ...]:
        """(name, holds texts) of every metric whose reading evaluates the rule, the first named first."""
        analyses = [analysis for analysis in (self.analysis, self.clear_analysis) if analysis is not None]
        named = [(name, state) for analysis in analyses for name, state in _named(analysis)]
        return tuple(dict.fromkeys(named))

    @property
    def metric(self) -> str:
        """The metric a transition is about: the first number of the expression, else the first text."""
        if self.metrics:
            return min(self.metrics, key=lambda metric: metric[1])[0]
        return self.no_data.metric if self.no_data else ""

    @property
    def is_condition(self) -> bool:
        return self.analysis is not None and self.analysis.is_condition


@dataclass(frozen=True)
class RuleSet:
    """All rules in force, in the order of the files."""

    rules: tuple[Rule, ...] = ()

    @classmethod
    def empty(cls) -> RuleSet:
        return cls()

    @cached_property
    def hash(self) -> str:
        """16 hex digits that change whenever what the rules say changes."""
        content = msgspec.json.encode(self.to_plain(), order="deterministic")
        return blake2b(content, digest_size=8).hexdigest()

    @property
    def alerts(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if not rule.record)

    @property
    def records(self) -> tuple[Rule, ...]:
        """The record rules, each after those whose metric it names."""
        return in_order(tuple(rule for rule in self.rules if rule.record))

    @property
    def tags(self) -> frozenset[str]:
        """Names of all tags that any rule selects by, compares or tells."""
        return frozenset(tag for rule in self.rules for tag in _tags(rule))

    @property
    def unit_metrics(self) -> frozenset[str]:
        """Names of the metrics whose unit a rule wants."""
        return frozenset(rule.metric for rule in self.rules if rule.unit is not None)

    def to_plain(self) -> dict[str, Any]:
        """As nested dicts, lists and scalars; `from_plain` reads it back without the files."""
        return {"format": FORMAT, "rules": [msgspec.to_builtins(rule) for rule in self.rules]}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> RuleSet:
        if plain["format"] != FORMAT:
            raise ValueError(f"a rule set of format {plain['format']}, this program reads {FORMAT}")
        return cls(tuple(msgspec.convert(plain["rules"], list[Rule])))


def _tags(rule: Rule) -> Iterator[str]:
    for match in (*rule.match, *(override.match for override in rule.overrides)):
        yield from match
    for analysis in (rule.analysis, rule.clear_analysis):
        yield from () if analysis is None else analysis.tags
    for text in (*rule.labels.values(), *rule.annotations.values()):
        yield from (name for kind, name, _ in parts_of(text) if kind == "tags")


def _named(analysis: Analysis) -> list[tuple[str, bool]]:
    return [(name, False) for name in analysis.numbers] + [(name, True) for name in analysis.states]


def levels_of(rule: Rule, override: Override | None) -> tuple[Level, ...]:
    """The rule's levels with an override's changes."""
    if override is None:
        return rule.levels
    changes = {change.level: change for change in override.levels}
    return tuple(_changed(level, changes.get(level.level)) for level in rule.levels)


def _changed(level: Level, change: LevelChange | None) -> Level:
    if change is None:
        return level
    return Level(
        level.level,
        level.above,
        level.limit if change.limit is None else change.limit,
        level.clear if change.clear is None else change.clear,
        level.for_ms if change.for_ms is None else change.for_ms,
    )


def cycle_of(records: tuple[Rule, ...]) -> tuple[str, ...]:
    """Names of record rules that need each other in a ring; empty where there is none."""
    return tuple(rule.name for rule in _by_need(records)[1])


def in_order(records: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Record rules so that each comes after those it needs; the order of the files where that is free."""
    ordered, ring = _by_need(records)
    return (*ordered, *ring)


def _by_need(records: tuple[Rule, ...]) -> tuple[list[Rule], list[Rule]]:
    """Record rules in order, and those that cannot be ordered, in time that grows with their number alone."""
    names = {rule.name for rule in records}
    missing = [_needs(rule) & names for rule in records]
    users: dict[str, list[int]] = {name: [] for name in names}
    for position, needs in enumerate(missing):
        for name in needs:
            users[name].append(position)
    ordered: list[Rule] = []
    ready = [position for position, needs in enumerate(missing) if not needs]
    while ready:
        ordered += (records[position] for position in ready)
        freed = []
        for name in [records[position].name for position in ready]:
            for user in users[name]:
                missing[user].discard(name)
                freed += [] if missing[user] else [user]
        ready = sorted(freed)
    return ordered, [rule for rule, needs in zip(records, missing, strict=True) if needs]


def _needs(rule: Rule) -> set[str]:
    return {name for name, _ in rule.metrics}

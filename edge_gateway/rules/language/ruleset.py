"""Rules as the gateway runs them: complete, checked, and independent of their files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from hashlib import blake2b
from typing import Any, Final, Literal

import msgspec

from edge_gateway.rules.language.analysis import Analysis, analyse
from edge_gateway.rules.language.inhibits import Inhibit
from edge_gateway.rules.language.inlining import formulas_of, with_formulas
from edge_gateway.rules.language.inventory import ExpectedDevice
from edge_gateway.rules.language.template import parts_of
from edge_gateway.rules.language.zones import UTC_EVERYWHERE, Zones

Match = dict[str, list[str]]
"""Key (site, device, type or a tag) to globs, one of which must fit."""

OnChange = Literal["keep", "reset"]
"""What happens to a rule's state when the rule is edited."""

NoDataState = Literal["alerting", "no_data", "ok", "keep_last"]
"""alerting raises the alert, ok resolves it, no_data only reports, keep_last changes nothing."""

FORMAT: Final = 3
_BESIDE: Final = ("zones", "inhibits", "inventory")
ONLINE: Final = 1 << 60
"""A lookback longer than any time: the last value counts while its device is online."""
DEFAULT_LOOKBACK: Final = 300_000
"""How long the last value of a metric counts, ms, where neither rules nor gateway.yaml say."""


@dataclass(frozen=True, slots=True)
class Level:
    """One level of an alert rule. It is reached strictly above or below `limit`, which is None for a condition.

    `expr`: the level's own condition, None if the rule has one expression for all; `clear_expr` ends a condition.
    `clear` None means the limit itself. Times in ms. `for_readings`, if it is not 0, stands for `for_ms`: at so many
    time stamps in a row. `at`: the times of the week at which the level is active, all if empty.
    `limits`: other limits at times of the week, of which the first that fits stands for `limit`; beside them `deadband`
    says how far on the other side of the limit the level is clear.
    """

    level: str
    above: bool = True
    limit: float | None = None
    clear: float | None = None
    for_ms: int = 0
    for_readings: int = 0
    expr: str | None = None
    clear_expr: str | None = None
    at: tuple[str, ...] = ()
    limits: tuple[tuple[str, float], ...] = ()
    deadband: float = 0.0


@dataclass(frozen=True, slots=True)
class LevelChange:
    """What an override changes in a level; None: nothing. `for_ms` and `for_readings` change together."""

    level: str
    limit: float | None = None
    clear: float | None = None
    for_ms: int | None = None
    for_readings: int | None = None


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
    """A command of a rule, by the order of the file; `id` is its own within the rule. Times in ms."""

    id: str
    name: str
    args: dict[str, Any]
    on: tuple[str, ...]
    cooldown_ms: int
    expires_ms: int
    within_ms: int | None = None
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """One alert or record rule. Times in ms.

    `match`: those of group and rule, which must all fit. `expr` is normalised; it is None for a rule with only
    `no_data`, and where each level has a condition of its own. `levels` is lowest first. `lookbacks`: how long last
    values count, of metrics with a time of their own. `at`: the times of the week at which the rule is active.
    With the formula of a record in the expressions, `shown` is the metric that transitions name, and `value_expr` its
    formula. `by`: the keys by whose values the rule groups devices; it is evaluated for each device if there are none.
    """

    name: str
    group: str
    record: bool = False
    match: tuple[Match, ...] = ()
    expr: str | None = None
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
    lookbacks: dict[str, int] = field(default_factory=dict)
    shown: str = ""
    value_expr: str = ""
    at: tuple[str, ...] = ()
    by: tuple[str, ...] = ()

    @property
    def schedules(self) -> tuple[tuple[str, ...], ...]:
        """The times at which the rule or its levels are active, if not always, or have other limits."""
        of_levels = [level.at for level in self.levels]
        of_limits = [(time,) for level in self.levels for time, _ in level.limits]
        return tuple(dict.fromkeys(each for each in (self.at, *of_levels, *of_limits) if each))

    @property
    def analysis(self) -> Analysis | None:
        return None if self.expr is None else analyse(self.expr)

    @property
    def expressions(self) -> tuple[str, ...]:
        """The rule's expression, those of its levels, and those that clear them."""
        of_levels = (text for level in self.levels for text in (level.expr, level.clear_expr))
        return tuple(dict.fromkeys(text for text in (self.expr, *of_levels) if text is not None))

    @property
    def analyses(self) -> tuple[Analysis, ...]:
        return tuple(map(analyse, self.expressions))

    @property
    def metrics(self) -> tuple[tuple[str, bool], ...]:
        """(name, whether read as text) of every metric whose readings evaluate the rule, in order of mention."""
        return _metrics_in(self.expressions)

    @property
    def metric(self) -> str:
        """The metric that transitions name: the expression's first number, else its first text."""
        if self.shown:
            return self.shown
        if self.metrics:
            return min(self.metrics, key=lambda metric: metric[1])[0]
        return self.no_data.metric if self.no_data else next(iter(self.silences), "")

    @property
    def silences(self) -> tuple[str, ...]:
        """The metrics whose silence the expressions name."""
        return tuple(dict.fromkeys(name for analysis in self.analyses for name in analysis.silences))

    @property
    def watches_silence(self) -> bool:
        """Whether anything happens when the metric of `no_data` stays away."""
        return self.no_data is not None and (self.no_data.state != "keep_last" or self.commands_silence)

    @property
    def commands_silence(self) -> bool:
        """Whether a command is sent when the metric of `no_data` stays away."""
        return any("no_data" in command.on for command in self.commands)

    @property
    def is_condition(self) -> bool:
        analysis = self.analysis
        return any(level.expr for level in self.levels) or (analysis is not None and analysis.is_condition)


@dataclass(frozen=True)
class RuleSet:
    """All rules and inhibits in force, in the order of the files.

    `zones`: time zones of sites, if a rule asks for the time. `inventory`: the devices that are expected.
    """

    rules: tuple[Rule, ...] = ()
    zones: Zones = UTC_EVERYWHERE
    inhibits: tuple[Inhibit, ...] = ()
    inventory: tuple[ExpectedDevice, ...] = ()

    @classmethod
    def empty(cls) -> RuleSet:
        return cls()

    def within(self, zones: Zones) -> RuleSet:
        """The same rules for sites in these time zones."""
        return replace(self, zones=zones) if any(rule.schedules for rule in self.rules) else self

    @cached_property
    def hash(self) -> str:
        """16 hex digits that change with the content of the rules."""
        content = msgspec.json.encode(self.to_plain(), order="deterministic")
        return blake2b(content, digest_size=8).hexdigest()

    @cached_property
    def alerts(self) -> tuple[Rule, ...]:
        """The alert rules of devices, with the formulas of records in the place of their names."""
        return tuple(rule for rule in self._alerts if not rule.by)

    @cached_property
    def group_alerts(self) -> tuple[Rule, ...]:
        """As `alerts`, those of groups of devices."""
        return tuple(rule for rule in self._alerts if rule.by)

    @cached_property
    def _alerts(self) -> tuple[Rule, ...]:
        records = formulas_of(self.records)
        return tuple(with_formulas(rule, records) for rule in self.rules if not rule.record)

    @property
    def records(self) -> tuple[Rule, ...]:
        """The record rules, each after those whose metrics it names."""
        return in_order(tuple(rule for rule in self.rules if rule.record))

    @property
    def tags(self) -> frozenset[str]:
        """All tags that a rule or an inhibit matches, compares or shows."""
        of_rules = (tag for rule in self.rules for tag in _tags(rule))
        return frozenset([*of_rules, *(tag for each in self.inhibits for tag in each.tags)])

    @property
    def unit_metrics(self) -> frozenset[str]:
        """The metrics whose unit a rule checks."""
        return frozenset(rule.metric for rule in self.rules if rule.unit is not None)

    def to_plain(self) -> dict[str, Any]:
        """Nested dicts, lists and scalars, from which `from_plain` restores the set without the files."""
        rules = [msgspec.to_builtins(rule) for rule in self.rules]
        others = {name: msgspec.to_builtins(getattr(self, name)) for name in _BESIDE}
        return {"format": FORMAT, "rules": rules, **others}

    def to_brief(self) -> dict[str, Any]:
        """As `to_plain`, without the inventory, and without what a rule leaves at its default.

        So 2,000 rules fit into one request.
        """
        usual = msgspec.to_builtins(Rule(name="", group=""))
        plain = self.to_plain()
        rules = [
            {key: value for key, value in rule.items() if value != usual[key]} for rule in plain["rules"]
        ]
        return {**plain, "rules": rules, "inventory": []}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> RuleSet:
        """Restore a set. ValueError for another format."""
        if plain["format"] != FORMAT:
            raise ValueError(f"rule set of format {plain['format']}; this version reads format {FORMAT}")
        rules = msgspec.convert(plain["rules"], tuple[Rule, ...])
        inhibits = msgspec.convert(plain["inhibits"], tuple[Inhibit, ...])
        inventory = msgspec.convert(plain["inventory"], tuple[ExpectedDevice, ...])
        return cls(rules, msgspec.convert(plain["zones"], Zones), inhibits, inventory)


def _tags(rule: Rule) -> Iterator[str]:
    for match in (*rule.match, *(override.match for override in rule.overrides)):
        yield from match
    yield from rule.by
    for analysis in rule.analyses:
        yield from analysis.tags
    for text in (*rule.labels.values(), *rule.annotations.values()):
        yield from (name for kind, name, _ in parts_of(text) if kind == "tags")


@lru_cache(maxsize=16_384)
def _metrics_in(expressions: tuple[str, ...]) -> tuple[tuple[str, bool], ...]:
    named = (
        (name, is_text)
        for analysis in map(analyse, expressions)
        for names, is_text in ((analysis.numbers, False), (analysis.states, True))
        for name in names
    )
    return tuple(dict.fromkeys(named))


def lookbacks_of(rules: Iterable[Rule]) -> dict[str, int]:
    """How long last values count, ms, of metrics with a time of their own: the longest that any rule says."""
    said: dict[str, int] = {}
    for rule in rules:
        for name, ms in rule.lookbacks.items():
            said[name] = max(ms, said.get(name, 0))
    return said


def levels_of(rule: Rule, override: Override | None) -> tuple[Level, ...]:
    """The rule's levels with an override's changes."""
    if override is None:
        return rule.levels
    changes = {change.level: change for change in override.levels}
    return tuple(_changed(level, changes.get(level.level)) for level in rule.levels)


def _changed(level: Level, change: LevelChange | None) -> Level:
    if change is None:
        return level
    given = {name: getattr(change, name) for name in ("limit", "clear", "for_ms", "for_readings")}
    found = replace(level, **{name: value for name, value in given.items() if value is not None})
    return found if change.limit is None else replace(found, limits=())


def cycle_of(records: tuple[Rule, ...]) -> tuple[str, ...]:
    """Names of the record rules in a circular dependency, or that need one; empty if there is none."""
    return tuple(rule.name for rule in _sorted(records)[1])


def in_order(records: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Record rules sorted so that each comes after those it needs, otherwise in file order."""
    ordered, cycle = _sorted(records)
    return (*ordered, *cycle)


def _sorted(records: tuple[Rule, ...]) -> tuple[list[Rule], list[Rule]]:
    """Record rules in order, and those that cannot be ordered. Linear in the number of dependencies."""
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

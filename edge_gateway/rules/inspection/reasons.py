"""The reasons why a rule fires, waits, rests or does not run, in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edge_gateway.records.alerts import LEVELS
from edge_gateway.rules.columns.program import ABSENT, NEVER
from edge_gateway.rules.inspection.wording import alternatives
from edge_gateway.rules.language.printing import number_text, readable
from fleet_config.durations import format_duration, rounded_duration
from fleet_config.match import Match
from fleet_config.problems import suggest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edge_gateway.rules.alerts.evaluator import Evaluator
    from edge_gateway.rules.alerts.state_machine import ActiveAlert, LevelState
    from edge_gateway.rules.inspection.last_evaluation import InputReading, LastEvaluation, Value
    from edge_gateway.rules.language.ruleset import Level, Rule

_PROPERTIES: Final = {"site": "site", "device": "name", "type": "type"}


@dataclass(frozen=True, slots=True)
class RuleOnDevice:
    """What is known of a rule on a device that it runs on.

    Attributes:
        value: of the expression at the last evaluation.
        cleared: of the `clear` condition then.
        levels: the latches, highest first.
        conditions: of the levels that have a condition of their own, by name, at the last evaluation.
        limits: of the levels now, by name; those that have none are missing.
        closed: the levels whose times do not hold now.
        now: the device's now, ms; None if it has sent nothing.
        first_seen: when it sent its first reading, ms; 0: never.
        silent_since: when the metric whose silence the rule watches came last, ms; 0: never, or it watches none.
        sent: the metrics that the device has sent.
    """

    rule: Rule
    last: LastEvaluation
    value: Value
    cleared: Value
    active: ActiveAlert | None
    levels: Sequence[LevelState]
    conditions: Mapping[str, Value]
    limits: Mapping[str, float]
    closed: frozenset[str]
    now: int | None
    first_seen: int
    silent_since: int
    sent: frozenset[str]

    @property
    def state(self) -> str:
        if self.active is not None:
            return "firing" if self.active.firing else "pending"
        return "recorded" if self.rule.record and self.value is not None else "inactive"

    @property
    def since(self) -> int | None:
        """Since when the alert has been pending, or firing at its level, ms."""
        return None if self.active is None else self.active.at

    def value_of(self, level: LevelState) -> Value:
        """The value that a level judges."""
        return self.conditions.get(LEVELS[level.latch.rank], self.value)

    def definition(self, level: LevelState) -> Level | None:
        """What the rule says of a level; None of its silence."""
        if level.latch.key == ABSENT:
            return None
        return next((each for each in self.rule.levels if each.level == LEVELS[level.latch.rank]), None)

    def clear_limit(self, level: LevelState) -> float | None:
        """The value at which a level with a limit is clear, now."""
        latch, said = level.latch, self.definition(level)
        limit = self.limits.get(LEVELS[latch.rank])
        if said is None or limit is None:
            return None
        return limit - latch.sign * said.deadband if said.limits else latch.sign * latch.clear_threshold

    def ago(self, at: int) -> int:
        """How long before the device's now, ms."""
        return max(0, (self.now or at) - at)


def not_run(evaluator: Evaluator, rule: Rule, device: int) -> list[str]:
    """Why a rule does not run on a device: what of the match differs, or the unit; empty if it runs."""
    registry = evaluator.state.registry
    name, site, kind = registry.device_name[device], registry.device_site[device], registry.type(device)
    tags = registry.tags(device)
    values = {**tags, "site": site, "device": name, "type": kind}
    differing = [
        _differs(key, globs, values)
        for match in rule.match
        for key, globs in match.items()
        if not Match.of({key: globs}).matches(site, name, kind, tags)
    ]
    if differing:
        return ["the rule does not match this device", *differing]
    if device >= len(evaluator.state.cells.class_of):
        return ["the device is so new that the rules do not know it yet; ask again in a second"]
    number = None if rule.record else evaluator.state.program.number_of[rule.name]
    unit = None if number is None else evaluator.unit_mismatches.get((device, number))
    return [] if unit is None else [f"the units differ: {unit}"]


def _differs(key: str, globs: Sequence[str], values: Mapping[str, str]) -> str:
    wanted = f"it is for devices with {_PROPERTIES.get(key, f'the tag {key}')} {alternatives(globs)}"
    return f"{wanted}; this one has {values.get(key, 'no such tag')}"


def reasons(facts: RuleOnDevice) -> list[str]:
    """Why the rule does what it does on the device."""
    if facts.active is not None and facts.active.firing:
        return [*_why_firing(facts, facts.active), *_silence(facts)]
    if facts.active is not None:
        return [*_why_pending(facts), *_silence(facts)]
    return [*_why_not(facts), *_silence(facts)]


def _why_firing(facts: RuleOnDevice, active: ActiveAlert) -> Iterator[str]:
    yield f"it fires at {LEVELS[active.rank]}, for {rounded_duration(facts.ago(active.at))}"
    highest = next((level for level in facts.levels if level.on and level.latch.raises), None)
    if highest is None:
        yield "its rule has been changed; the next reading that evaluates it decides"
    elif highest.latch.key == ABSENT:
        yield "it was raised by silence; a reading ends it"
    elif highest.down:
        clear, keep = facts.ago(highest.down), highest.latch.keep_ms
        yield f"it has been clear for {rounded_duration(clear)} of {format_duration(keep)}, then it ends"
    else:
        yield f"it ends {_end(facts, highest)}"
    yield from _doubts(facts)


def _end(facts: RuleOnDevice, level: LevelState) -> str:
    said, clear = facts.definition(level), facts.clear_limit(level)
    if said is not None and said.clear_expr is not None:
        return f"when {readable(said.clear_expr)}"
    if clear is None:
        return "when the condition does not hold"
    return f"when the value is {number_text(clear)} or {'less' if level.latch.sign > 0 else 'more'}"


def _why_pending(facts: RuleOnDevice) -> Iterator[str]:
    for level in facts.levels:
        if level.up and not level.on:
            yield (
                f"it waits at {LEVELS[level.latch.rank]} for {_waited(facts, level)},"
                " then it fires unless a reading ends it"
            )
    yield from _doubts(facts)


def _waited(facts: RuleOnDevice, level: LevelState) -> str:
    latch = level.latch
    if latch.for_count != NEVER:
        return f"{level.stamps} of {latch.for_count} readings"
    return f"{rounded_duration(facts.ago(level.up))} of {format_duration(latch.for_ms)}"


def _why_not(facts: RuleOnDevice) -> Iterator[str]:
    rule, doubts = facts.rule, [*_doubts(facts)]
    for level in sorted(facts.closed, key=LEVELS.index, reverse=True):
        yield f"{level} is not active now: its times do not hold"
    if facts.conditions:
        yield from (
            _condition(name, facts.conditions[name]) for name in reversed(LEVELS) if name in facts.conditions
        )
        yield from doubts
        return
    if rule.expr is None:
        if facts.now is None:
            yield "the device has sent nothing yet"
        return
    if facts.value is None:
        yield from doubts or ["the expression has no value: a division by 0, or an empty range"]
        return
    if rule.record:
        yield "it has a value"
    elif rule.is_condition:
        yield _condition("", facts.value)
    else:
        yield from _within_limits(facts)
    yield from doubts


def _condition(level: str, value: Value) -> str:
    what = f"the condition of {level}" if level else "the condition"
    if value is None:
        return f"{what} is unknown"
    return f"{what} holds, but no reading has evaluated it yet" if value else f"{what} does not hold"


def _within_limits(facts: RuleOnDevice) -> Iterator[str]:
    value = float(facts.value or 0)
    for level in facts.levels:
        name, latch = LEVELS[level.latch.rank], level.latch
        if latch.key == ABSENT or name not in facts.limits or name in facts.closed:
            continue
        side, limit = "above" if latch.sign > 0 else "below", facts.limits[name]
        if latch.sign * value > latch.sign * limit:
            yield f"{value:.6g} is {side} {number_text(limit)} ({name}), but no reading has evaluated that yet"
        else:
            yield f"{value:.6g} is not {side} {number_text(limit)} ({name})"


def _doubts(facts: RuleOnDevice) -> Iterator[str]:
    """What keeps the value from being known, or from counting."""
    if facts.now is None:
        yield "the device has sent nothing yet"
        return
    for reading in facts.last.readings():
        yield from _doubts_of(facts, reading)
    warmup = facts.rule.warmup_ms
    if facts.now - facts.first_seen < warmup:
        seen = rounded_duration(facts.now - facts.first_seen)
        yield f"warm-up: the device has been known for {seen} of {format_duration(warmup)}"


def _doubts_of(facts: RuleOnDevice, reading: InputReading) -> Iterator[str]:
    metric, counts_for = reading.metric, f"it counts for {format_duration(reading.lookback)} (lookback)"
    if not reading.at:
        near = suggest(metric, facts.sent - {metric})
        yield f"no value of {metric} has come from this device{near}"
    elif not reading.counts:
        older = rounded_duration(reading.age)
        yield f"{metric} is unknown: it was {older} older than the rule's newest reading, and {counts_for}"
    elif facts.ago(reading.at) > reading.lookback:
        yield f"{metric} is too old now: it came {rounded_duration(facts.ago(reading.at))} ago, and {counts_for}"


def _silence(facts: RuleOnDevice) -> Iterator[str]:
    no_data = facts.rule.no_data
    if no_data is None:
        return
    after = format_duration(no_data.after_ms)
    if not facts.silent_since:
        yield f"{no_data.metric}, whose silence it watches ({after}), has not come from this device"
    else:
        ago = rounded_duration(facts.ago(facts.silent_since))
        yield f"{no_data.metric}, whose silence it watches, came {ago} ago; it may stay away for {after}"

"""Why a rule fires on a device, or does not: its last evaluation value by value, and what stands in its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_gateway.records.alerts import LEVELS
from edge_gateway.rules.columns.program import ABSENT, NEVER
from edge_gateway.rules.inspection.in_force import kind_of
from edge_gateway.rules.inspection.last_evaluation import LastEvaluation, as_plain
from edge_gateway.rules.inspection.reasons import RuleOnDevice, not_run, reasons
from edge_gateway.rules.language.analysis import analyse
from edge_gateway.rules.language.printing import readable
from edge_gateway.rules.muting.subject import AlertSubject, attributes_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from edge_gateway.rules.alerts.evaluator import Evaluator
    from edge_gateway.rules.alerts.state_machine import LevelState
    from edge_gateway.rules.language.expression import Node
    from edge_gateway.rules.language.ruleset import Rule


def explain(evaluator: Evaluator, rule: Rule, device: int, sent: Collection[str]) -> dict[str, Any]:
    """Explain what a rule in force does on a device, by number; `sent` are the metrics that the device has sent.

    All times are device times in ms, ages and durations ms. `state` is firing, pending, inactive, recorded (a record
    has a value), or not_run. `why` says it in sentences, the most telling first. `expr` is that of the file; `parts`
    are of what is evaluated, with the formulas of records in the place of their names.
    """
    registry = evaluator.state.registry
    found: dict[str, Any] = {
        "rule": rule.name,
        "kind": kind_of(rule),
        "device": registry.device_name[device],
        "site": registry.device_site[device],
        "type": registry.type(device),
    }
    if rule.by:
        asked = ",".join(f"{key}=…" for key in rule.by)
        return {**found, "state": "not_run", "why": [f"it is of groups of devices; ask with --group {asked}"]}
    if why := not_run(evaluator, rule, device):
        return {**found, "state": "not_run", "why": why}
    expr = None if rule.expr is None else readable(rule.expr)
    rule = _evaluated(evaluator, rule)
    facts = _facts(evaluator, rule, device, sent)
    last = facts.last
    return {
        **found,
        "state": facts.state,
        "since": facts.since,
        "why": [*reasons(facts), *_muted(evaluator, rule, device)],
        "now": facts.now,
        "evaluated": last.at or None,
        "inputs": [as_plain(reading) for reading in last.readings()],
        "expr": expr,
        "value": facts.value,
        "parts": [part._asdict() for tree in _trees(rule) for part in last.parts(tree)],
        "clear": None if (text := _clear_text(rule)) is None else readable(text),
        "cleared": facts.cleared,
        "levels": [level_row(facts, level) for level in facts.levels],
    }


def _muted(evaluator: Evaluator, rule: Rule, device: int) -> Iterator[str]:
    """What mutes the alert of a rule on a device, and who has seen it."""
    if rule.record:
        return
    muting, state = evaluator.muting, evaluator.state
    active = state.active.get((device, state.program.number_of[rule.name]))
    name = state.registry.device_name[device]
    rank = 0 if active is None else active.rank
    subject = AlertSubject(rule.name, name, LEVELS[rank], attributes_of(state.registry, device), {})
    silences = {f"silence {one.id}": one for one in muting.silences}
    for by in muting.standing(subject):
        silence = silences.get(by)
        told = "" if silence is None else f" ({silence.by}: {silence.why})"
        yield f"nobody is told: {by}{told}"
    given = None if active is None else muting.acknowledgements.of(subject.key, active.id)
    if given is not None:
        yield f"acknowledged by {given.by}{f': {given.why}' if given.why else ''}; its notice is not repeated"


def _evaluated(evaluator: Evaluator, rule: Rule) -> Rule:
    """A rule as it is evaluated: an alert's with the formulas of records for their names."""
    return rule if rule.record else evaluator.state.rules[evaluator.state.program.number_of[rule.name]]


def _facts(evaluator: Evaluator, rule: Rule, device: int, sent: Collection[str]) -> RuleOnDevice:
    state, last = evaluator.state, LastEvaluation.of(evaluator, rule, device)
    number = None if rule.record else state.program.number_of[rule.name]
    heard = device < len(state.inputs.cursor) and int(state.inputs.first_seen[device]) > 0
    levels = [] if number is None else _highest_first(state.levels(device, number))
    return RuleOnDevice(
        rule=rule,
        last=last,
        value=None if rule.analysis is None else last.evaluate(rule.analysis.tree),
        cleared=None if (text := _clear_text(rule)) is None else last.evaluate(analyse(text).tree),
        active=None if number is None else state.active.get((device, number)),
        levels=levels,
        conditions={
            each.level: last.evaluate(analyse(each.expr).tree)
            for each in rule.levels
            if each.expr is not None
        },
        limits=_limits(evaluator, levels, device),
        closed=_closed(evaluator, levels, device),
        now=int(state.now(evaluator.listening)[device]) if heard else None,
        first_seen=int(state.inputs.first_seen[device]) if heard else 0,
        silent_since=_silent_since(evaluator, rule, device),
        sent=frozenset(sent),
    )


def _trees(rule: Rule) -> list[Node]:
    """The expressions by which levels are reached, the highest level first."""
    texts = [rule.expr, *(level.expr for level in reversed(rule.levels))]
    return [analyse(text).tree for text in texts if text is not None]


def _clear_text(rule: Rule) -> str | None:
    """The `clear` condition beside a condition that is the whole rule's."""
    return rule.levels[0].clear_expr if rule.expr is not None and rule.levels else None


def _limits(evaluator: Evaluator, levels: Sequence[LevelState], device: int) -> dict[str, float]:
    state, now = evaluator.state, _now(evaluator, device)
    found = {
        LEVELS[each.latch.rank]: state.limit(device, each.latch.rule, each.latch.rank, now)
        for each in levels
        if each.latch.key != ABSENT
    }
    return {name: limit for name, limit in found.items() if limit is not None}


def _closed(evaluator: Evaluator, levels: Sequence[LevelState], device: int) -> frozenset[str]:
    """The levels whose times do not hold at the device's now."""
    if not levels or not evaluator.state.program.schedules:
        return frozenset()
    schedule = np.array([each.latch.schedule for each in levels])
    own, now = np.full(len(levels), device), np.full(len(levels), _now(evaluator, device))
    begin, _ = evaluator.state.schedules.spans_at(schedule, own, now)
    return frozenset(
        LEVELS[each.latch.rank] for each, at in zip(levels, begin.tolist(), strict=True) if not at
    )


def _now(evaluator: Evaluator, device: int) -> int:
    return int(evaluator.state.now(evaluator.listening)[device])


def _highest_first(levels: tuple[LevelState, ...]) -> list[LevelState]:
    return sorted(levels, key=lambda level: (-level.latch.rank, level.latch.key))


def _silent_since(evaluator: Evaluator, rule: Rule, device: int) -> int:
    """When the metric whose silence a rule watches came last, ms; 0: never, or it watches none."""
    state = evaluator.state
    if rule.no_data is None or device >= len(state.inputs.last_at):
        return 0
    return int(state.inputs.last_at[device, list(state.program.watched(rule.no_data.metric))].max())


def level_row(facts: RuleOnDevice, level: LevelState) -> dict[str, Any]:
    """One level of an alert: its limit now, whether the value is beyond it, and since when it is or is clear again."""
    latch, said, value = level.latch, facts.definition(level), facts.value_of(level)
    name, silence, limit = LEVELS[latch.rank], said is None, None
    threshold = latch.threshold
    if not silence and name in facts.limits:
        limit = facts.limits[name]
        threshold = latch.sign * limit
    counts = latch.for_count != NEVER
    return {
        "level": name,
        "silence": silence,
        "expr": None if said is None or said.expr is None else readable(said.expr),
        "above": latch.sign > 0,
        "limit": limit,
        "clear": facts.clear_limit(level),
        "for": None if counts else latch.for_ms,
        "for_readings": latch.for_count if counts else None,
        "keep": latch.keep_ms,
        "active": name not in facts.closed,
        "reached": None if silence or value is None else bool(latch.sign * float(value) > threshold),
        "on": level.on,
        "since": level.up or None,
        "clear_since": level.down or None,
    }

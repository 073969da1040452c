"""Why a rule fires on a device, or does not: its last evaluation value by value, and what stands in its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_gateway.records.alerts import LEVELS
from edge_gateway.rules.columns.program import ABSENT
from edge_gateway.rules.inspection.in_force import kind_of
from edge_gateway.rules.inspection.last_evaluation import LastEvaluation, as_plain
from edge_gateway.rules.inspection.reasons import RuleOnDevice, not_run, reasons
from edge_gateway.rules.language.printing import readable

if TYPE_CHECKING:
    from collections.abc import Collection

    from edge_gateway.rules.alerts.evaluator import Evaluator
    from edge_gateway.rules.alerts.state_machine import LevelState
    from edge_gateway.rules.inspection.last_evaluation import Value
    from edge_gateway.rules.language.ruleset import Rule


def explain(evaluator: Evaluator, rule: Rule, device: int, sent: Collection[str]) -> dict[str, Any]:
    """Explain what a rule in force does on a device, by number; `sent` are the metrics that the device has sent.

    All times are device times in ms, ages and durations ms. `state` is firing, pending, inactive, recorded (a record
    has a value), or not_run. `why` says it in sentences, the most telling first.
    """
    registry = evaluator.state.registry
    found: dict[str, Any] = {
        "rule": rule.name,
        "kind": kind_of(rule),
        "device": registry.device_name[device],
        "site": registry.device_site[device],
        "type": registry.type(device),
    }
    if why := not_run(evaluator, rule, device):
        return {**found, "state": "not_run", "why": why}
    facts = _facts(evaluator, rule, device, sent)
    last = facts.last
    return {
        **found,
        "state": facts.state,
        "since": facts.since,
        "why": reasons(facts),
        "now": facts.now,
        "evaluated": last.at or None,
        "inputs": [as_plain(reading) for reading in last.readings()],
        "expr": None if rule.expr is None else readable(rule.expr),
        "value": facts.value,
        "parts": [] if rule.analysis is None else [part._asdict() for part in last.parts(rule.analysis.tree)],
        "clear": None if rule.clear_expr is None else readable(rule.clear_expr),
        "cleared": facts.cleared,
        "levels": [level_row(rule, level, facts.value) for level in facts.levels],
    }


def _facts(evaluator: Evaluator, rule: Rule, device: int, sent: Collection[str]) -> RuleOnDevice:
    state, last = evaluator.state, LastEvaluation.of(evaluator, rule, device)
    number = None if rule.record else state.program.number_of[rule.name]
    heard = device < len(state.inputs.cursor) and int(state.inputs.first_seen[device]) > 0
    return RuleOnDevice(
        rule=rule,
        last=last,
        value=None if rule.analysis is None else last.evaluate(rule.analysis.tree),
        cleared=None if rule.clear_analysis is None else last.evaluate(rule.clear_analysis.tree),
        active=None if number is None else state.active.get((device, number)),
        levels=[] if number is None else _highest_first(state.levels(device, number)),
        now=int(state.now(evaluator.listening)[device]) if heard else None,
        first_seen=int(state.inputs.first_seen[device]) if heard else 0,
        silent_since=_silent_since(evaluator, rule, device),
        sent=frozenset(sent),
    )


def _highest_first(levels: tuple[LevelState, ...]) -> list[LevelState]:
    return sorted(levels, key=lambda level: (-level.latch.rank, level.latch.key))


def _silent_since(evaluator: Evaluator, rule: Rule, device: int) -> int:
    """When the metric whose silence a rule watches came last, ms; 0: never, or it watches none."""
    state = evaluator.state
    if rule.no_data is None or device >= len(state.inputs.last_at):
        return 0
    return int(state.inputs.last_at[device, list(state.program.watched(rule.no_data.metric))].max())


def level_row(rule: Rule, level: LevelState, value: Value) -> dict[str, Any]:
    """One level of an alert: its limit, whether the value is beyond it, and since when it is or is clear again."""
    latch = level.latch
    silence = latch.key == ABSENT
    fixed = latch.limit is not None and rule.clear_expr is None
    return {
        "level": LEVELS[latch.rank],
        "silence": silence,
        "above": latch.sign > 0,
        "limit": latch.limit,
        "clear": latch.sign * latch.clear_threshold if fixed else None,
        "for": latch.for_ms,
        "keep": latch.keep_ms,
        "reached": None if silence or value is None else bool(latch.sign * float(value) > latch.threshold),
        "on": level.on,
        "since": level.up or None,
        "clear_since": level.down or None,
    }

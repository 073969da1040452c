"""Why a rule fires for a group of devices, or does not: what it sees of them now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge_gateway.records.alerts import LEVELS
from edge_gateway.rules.groups.aggregates import split
from edge_gateway.rules.language.printing import number_text, readable, text_of
from fleet_config.durations import format_duration, rounded_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edge_gateway.rules.alerts.evaluator import Evaluator
    from edge_gateway.rules.alerts.rule_state import Instant
    from edge_gateway.rules.alerts.state_machine import ActiveAlert, LevelState
    from edge_gateway.rules.groups.looks import GroupLook
    from edge_gateway.rules.language.ruleset import Rule


class _RuleOnGroup(NamedTuple):
    """What is known of a rule for a group; `limits` by rank, `now` in ms of the clock by which groups wait."""

    active: ActiveAlert | None
    levels: Sequence[LevelState]
    value: float | None
    limits: Mapping[int, float | None]
    now: int


def explain_group(evaluator: Evaluator, rule: Rule, subject: str) -> dict[str, Any]:
    """Explain what a rule in force does for the group that alerts call `subject`; keys as of `explain`.

    `devices`: how many are in the group; `named`: those that the value is about. Times are the gateway's, ms.
    """
    groups, at = evaluator.groups, evaluator.newest_tick
    found: dict[str, Any] = {"rule": rule.name, "kind": "alert", "group": subject}
    number = next((place for place, each in enumerate(groups.rules) if each.name == rule.name), None)
    if number is None:
        return {**found, "state": "not_run", "why": ["it is evaluated for each device; ask with --device"]}
    group = groups.groups.find(subject)
    members = groups.membership.of(number)
    if group is None or group not in members.groups:
        return {**found, "state": "not_run", "why": [_no_such_group(evaluator, number, rule)]}
    look, value, named = groups.shown(number, group, at)
    active = groups.state.active.get((group, number))
    levels = sorted(groups.state.levels(group, number), key=lambda level: -level.latch.rank)
    limits = {
        level.latch.rank: groups.state.limit(group, number, level.latch.rank, at.wall or 0)
        for level in levels
    }
    facts = _RuleOnGroup(active, levels, value, limits, at.listening + 1)
    return {
        **found,
        "state": "inactive" if active is None else "firing" if active.firing else "pending",
        "since": None if active is None else active.stamp,
        "why": [*_reasons(facts), *_named(named)],
        "now": at.wall,
        "evaluated": at.wall,
        "devices": int(
            np.diff(members.start, append=len(members.devices))[np.searchsorted(members.groups, group)]
        ),
        "named": named,
        "inputs": [],
        "expr": None if rule.expr is None else readable(rule.expr),
        "value": value,
        "parts": [] if look is None else [*_parts(evaluator, number, look, group)],
        "clear": None,
        "cleared": None,
        "levels": [_level_row(level, value, limits[level.latch.rank], at) for level in levels],
    }


def _no_such_group(evaluator: Evaluator, number: int, rule: Rule) -> str:
    names = evaluator.groups.groups.device_name
    known = sorted(names[group] for group in evaluator.groups.membership.of(number).groups.tolist())
    has = ", ".join(known[:10]) or "none: no device matches"
    return f"no device that it matches is in such a group; {rule.name} has {has}"


def _reasons(facts: _RuleOnGroup) -> Iterator[str]:
    active, now = facts.active, facts.now
    if active is not None and active.firing:
        yield f"it fires at {LEVELS[active.rank]}, for {rounded_duration(max(0, now - active.at))}"
    for level in facts.levels:
        if level.on and level.down:
            clear, keep = rounded_duration(now - level.down), format_duration(level.latch.keep_ms)
            yield f"it has been clear for {clear} of {keep}, then it ends"
        elif level.up and not level.on:
            waited, wait = rounded_duration(now - level.up), format_duration(level.latch.for_ms)
            yield f"it waits at {LEVELS[level.latch.rank]} for {waited} of {wait}"
    if facts.value is None:
        yield "its value is unknown: no device of the group has one"
    else:
        yield from _beside_limits(facts, facts.value)


def _beside_limits(facts: _RuleOnGroup, value: float) -> Iterator[str]:
    for level in facts.levels:
        limit, above = facts.limits[level.latch.rank], level.latch.sign > 0
        if limit is not None:
            beyond = value > limit if above else value < limit
            side = f"{'' if beyond else 'not '}{'above' if above else 'below'}"
            yield f"{value:.6g} is {side} {number_text(limit)} ({LEVELS[level.latch.rank]})"


def _named(named: str) -> list[str]:
    return [f"the devices it is about: {named}"] if named else []


def _parts(evaluator: Evaluator, number: int, look: GroupLook, group: int) -> Iterator[dict[str, Any]]:
    """Each aggregate with its value."""
    calls, program = split(evaluator.groups.rules).aggregates, evaluator.groups.state.program
    place = int(np.searchsorted(look.members.groups, group))
    for metric in program.rules[number].metrics:
        value = float(look.x[program.symbols.inputs[metric]][place])
        yield {"text": text_of(calls[metric[0]]), "value": None if np.isnan(value) else value}


def _level_row(level: LevelState, value: float | None, limit: float | None, at: Instant) -> dict[str, Any]:
    latch, now = level.latch, at.listening + 1

    def clock(moment: int) -> int | None:
        return (at.wall or now) - (now - moment) if moment else None

    return {
        "level": LEVELS[latch.rank],
        "silence": False,
        "expr": None,
        "above": latch.sign > 0,
        "limit": limit,
        "clear": None if limit is None else latch.sign * latch.clear_threshold,
        "for": latch.for_ms,
        "for_readings": None,
        "keep": latch.keep_ms,
        "active": True,
        "reached": None if value is None or limit is None else bool(latch.sign * value > latch.sign * limit),
        "on": level.on,
        "since": clock(level.up),
        "clear_since": clock(level.down),
    }

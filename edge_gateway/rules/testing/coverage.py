"""Find what no test reached: a rule, a level, its clearing, or missing data."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from edge_gateway.records.alerts import Transition
    from edge_gateway.rules.language.ruleset import Rule

Reached = tuple["Sequence[Transition]", frozenset[str]]
"""The transitions of a test, and the metrics that had values in it."""


def unreached(rules: Iterable[Rule], tests: Sequence[Reached]) -> tuple[str, ...]:
    """One line for each rule, level, clearing or missing data that no test reached."""
    transitions = [transition for transitions, _ in tests for transition in transitions]
    metrics = frozenset(metric for _, seen in tests for metric in seen)
    return tuple(line for rule in rules for line in _unreached_of(rule, transitions, metrics))


def _unreached_of(rule: Rule, transitions: Sequence[Transition], metrics: frozenset[str]) -> Iterator[str]:
    if rule.record:
        if rule.name not in metrics:
            yield f"{rule.name}: never recorded a value"
        return
    own = [transition for transition in transitions if transition.rule == rule.name]
    if not own:
        yield f"{rule.name}: no transition"
        return
    fired = {each.level for each in own if each.state == "firing" and each.cause != "no_data"}
    left = {
        each.was
        for each in own
        if each.event in ("deescalated", "resolved") and each.cause in ("reading", "time")
    }
    for level in rule.levels:
        if level.level not in fired:
            yield f"{rule.name}: {level.level} never fired"
        elif level.level not in left:
            yield f"{rule.name}: {level.level} was never cleared"
    if rule.watches_silence and not any(each.cause == "no_data" for each in own):
        yield f"{rule.name}: no_data never occurred"

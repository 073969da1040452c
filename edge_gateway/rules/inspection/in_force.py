"""The rules in force one by one: what each says, how many devices it is for, and what it does there now."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np

from edge_gateway.records.alerts import LEVELS
from edge_gateway.rules.inspection.wording import devices_of, limits_of
from edge_gateway.rules.language.printing import readable

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from edge_gateway.columns.frame import IntColumn
    from edge_gateway.rules.alerts.evaluator import Evaluator
    from edge_gateway.rules.alerts.rule_state import RuleState
    from edge_gateway.rules.alerts.state_machine import ActiveAlert
    from edge_gateway.rules.columns.inputs import Inputs
    from edge_gateway.rules.groups.alerts import GroupAlerts
    from edge_gateway.rules.language.ruleset import Rule

MOST_LISTED: Final = 20
"""Devices that a rule's entry names."""


class Standing(NamedTuple):
    """What one rule does on the fleet.

    Attributes:
        devices: numbers of the devices it runs on, ascending.
        other_unit: how many it selects but does not run on, because their birth gives its metric another unit.
        newest: device time (ms) of the newest reading that it has of any of its metrics; 0 without one.
        evaluated: whether a reading has evaluated it since it was loaded, or the gateway started.
    """

    devices: IntColumn
    other_unit: int
    newest: int
    evaluated: bool


class ActiveOfRule(NamedTuple):
    """The alerts of a rule that fire or wait: how many, and the first of them: what fires before what waits."""

    firing: int
    pending: int
    first: list[dict[str, Any]]


_NO_ALERTS: Final = ActiveOfRule(0, 0, [])
_NO_DEVICES: Final = np.zeros(0, np.int64)


def standings(evaluator: Evaluator, wanted: Iterable[Rule]) -> dict[str, Standing]:
    """What these of the rules in force do, by `key_of`."""
    keys = {key_of(rule) for rule in wanted}
    alerts = {**dict(_of_alerts(evaluator, keys)), **dict(_of_group_alerts(evaluator, keys))}
    return {**alerts, **dict(_of_records(evaluator, keys))}


def key_of(rule: Rule) -> str:
    """A rule's name in `standings`: an alert and a record may have one name."""
    return f"{kind_of(rule)}:{rule.name}"


def kind_of(rule: Rule) -> str:
    return "record" if rule.record else "alert"


def _of_alerts(evaluator: Evaluator, keys: Container[str]) -> Iterator[tuple[str, Standing]]:
    state = evaluator.state
    of_rule = _by_first(*state.cells.classes.rule_classes())
    in_class = _by_first(state.cells.class_of, np.arange(len(state.cells.class_of)))
    mismatched = Counter(rule for _, rule in evaluator.unit_mismatches)
    for number, rule in enumerate(state.rules):
        if key_of(rule) not in keys:
            continue
        classes = of_rule.get(number, _NO_DEVICES).tolist()
        own = [in_class[each] for each in classes if each in in_class]
        devices = np.sort(np.concatenate([_NO_DEVICES, *own]))
        reads = [state.program.symbols.inputs[metric] for metric in rule.metrics]
        newest = _newest(state.inputs, devices, state.program.clocks[number])
        evaluated = not reads or state.evaluated.sent(classes, reads)
        yield key_of(rule), Standing(devices, mismatched[number], newest, evaluated)


def _of_group_alerts(evaluator: Evaluator, keys: Container[str]) -> Iterator[tuple[str, Standing]]:
    groups, state = evaluator.groups, evaluator.state
    mismatched = Counter(rule for _, rule in groups.membership.unit_mismatches)
    for number, rule in enumerate(groups.rules):
        if key_of(rule) not in keys:
            continue
        devices = np.sort(groups.membership.of(number).devices)
        reads = {state.program.symbols.inputs[metric] for metric in rule.metrics}
        reads.update(each for name in rule.silences for each in state.program.watched(name))
        newest = _newest(state.inputs, devices, sorted(reads))
        yield key_of(rule), Standing(devices, mismatched[number], newest, newest > 0 or bool(rule.silences))


def _of_records(evaluator: Evaluator, keys: Container[str]) -> Iterator[tuple[str, Standing]]:
    records = evaluator.records
    for rule in evaluator.rules.records:
        if key_of(rule) not in keys:
            continue
        compiled = records.compiled(rule.name)
        devices = np.flatnonzero(compiled.applies)
        newest = _newest(records.inputs, devices, compiled.triggers)
        yield key_of(rule), Standing(devices, 0, newest, compiled.evaluated)


def _newest(inputs: Inputs, devices: IntColumn, numbers: Sequence[int]) -> int:
    """The newest time of any of these inputs on any of the devices, ms; 0 without one."""
    if not numbers:
        return 0
    return int(inputs.last_at[devices][:, list(numbers)].max(initial=0))


def _by_first(first: IntColumn, second: IntColumn) -> dict[int, IntColumn]:
    """For each value of the first column those of the second beside it."""
    if not len(first):
        return {}
    order = np.argsort(first, kind="stable")
    values, starts = np.unique(first[order], return_index=True)
    return dict(zip(values.tolist(), np.split(second[order], starts[1:].tolist()), strict=True))


def describe(rule: Rule) -> dict[str, Any]:
    """What a rule says, as `rules ls` shows it with or without a running gateway."""
    return {
        "name": rule.name,
        "kind": kind_of(rule),
        "group": rule.group,
        "match": devices_of(rule.match),
        "by": list(rule.by),
        "expr": None if rule.expr is None else readable(rule.expr),
        "limits": limits_of(rule),
        "overrides": [
            {"match": devices_of([override.match]), "limits": limits_of(rule, override)}
            for override in rule.overrides
        ],
        "content": msgspec.to_builtins(rule),
    }


def describe_in_force(evaluator: Evaluator) -> list[dict[str, Any]]:
    """Every rule in force, in the order of the files.

    To what it says are added: `devices`, how many it runs on, and the first of their names in `some_devices`;
    `other_unit`; `firing` and `pending`, how many alerts, and the first of them in `alerts`; `newest`, the device time
    (ms) of the newest reading it has, None without one; `evaluated`, whether a reading has evaluated it since its load.
    """
    found, alerts = standings(evaluator, evaluator.rules.rules), _alerts(evaluator)
    names = evaluator.state.registry.device_name
    described = []
    for rule in evaluator.rules.rules:
        standing = found[key_of(rule)]
        own = _NO_ALERTS if rule.record else alerts.get(rule.name, _NO_ALERTS)
        described.append(
            {
                **describe(rule),
                "devices": len(standing.devices),
                "some_devices": [names[device] for device in standing.devices[:MOST_LISTED].tolist()],
                "other_unit": standing.other_unit,
                "firing": own.firing,
                "pending": own.pending,
                "alerts": own.first,
                "newest": standing.newest or None,
                "evaluated": standing.evaluated,
            }
        )
    return described


def _alerts(evaluator: Evaluator) -> dict[str, ActiveOfRule]:
    """The alerts that fire or wait, by rule."""
    state = evaluator.state
    by_rule: dict[int, list[tuple[bool, int, int]]] = {}
    for (device, number), active in state.active.items():
        by_rule.setdefault(number, []).append((not active.firing, active.at, device))
    found = {}
    for number, own in by_rule.items():
        pending = sum(waits for waits, *_ in own)
        rows = [_active_row(state, device, number) for *_, device in sorted(own)[:MOST_LISTED]]
        found[state.rules[number].name] = ActiveOfRule(len(own) - pending, pending, rows)
    return found | _group_alerts(evaluator.groups)


def _group_alerts(groups: GroupAlerts) -> dict[str, ActiveOfRule]:
    found = {}
    for number, rule in enumerate(groups.rules):
        own = [(group, active) for (group, of), active in groups.state.active.items() if of == number]
        own.sort(key=lambda one: (not one[1].firing, one[1].stamp, groups.groups.device_name[one[0]]))
        if own:
            pending = sum(not active.firing for _, active in own)
            rows = [
                {**_row(groups.groups.device_name[group], active), "since": active.stamp}
                for group, active in own[:MOST_LISTED]
            ]
            found[rule.name] = ActiveOfRule(len(own) - pending, pending, rows)
    return found


def _active_row(state: RuleState, device: int, number: int) -> dict[str, Any]:
    return _row(state.registry.device_name[device], state.active[device, number])


def _row(subject: str, active: ActiveAlert) -> dict[str, Any]:
    return {
        "device": subject,
        "state": "firing" if active.firing else "pending",
        "level": LEVELS[active.rank],
        "since": active.at,
    }

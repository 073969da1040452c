"""Questions of operators about the rules in force, answered from the live state without changing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge_gateway.records.alerts import group_subject
from edge_gateway.rules.inspection.changes import as_row, compare
from edge_gateway.rules.inspection.explanation import explain
from edge_gateway.rules.inspection.group_explanation import explain_group
from edge_gateway.rules.inspection.in_force import describe_in_force
from edge_gateway.rules.inspection.inhibit_changes import compare_inhibits, inhibit_row
from edge_gateway.rules.inspection.trial import reload_on_trial
from edge_gateway.rules.language.ruleset import RuleSet
from fleet_config.problems import quoted, suggest
from fleet_wire.printable import printable

if TYPE_CHECKING:
    from edge_gateway.fleet.registry import Registry
    from edge_gateway.fold.pipeline import Pipeline
    from edge_gateway.records.alerts import Transition
    from edge_gateway.rules.language.ruleset import Rule


MOST_TOUCHED: Final = 100
"""Alerts of a rule that are listed."""


@dataclass(frozen=True, slots=True)
class RuleQuestions:
    """Answers from the rules of the fold, as they are between two inputs; ValueError says what is wrong with one."""

    pipeline: Pipeline

    def in_force(self) -> list[dict[str, Any]]:
        """Describe the rules in force."""
        return describe_in_force(self.pipeline.rules)

    def explain(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Explain what the rules named `rule`, an alert or a record or both, do on the device named `device`.

        With `group`, a mapping of keys to values, what they do for that group of devices.
        """
        rules = self._rules(request.get("rule"))
        if isinstance(group := request.get("group"), Mapping):
            return [explain_group(self.pipeline.rules, rule, _subject(rule, group)) for rule in rules]
        registry = self.pipeline.registry
        device = _device(registry, request.get("device"))
        sent = {
            registry.metric_names[metric]
            for metric in registry.series_metric[registry.table.of_device(device)]
        }
        return [explain(self.pipeline.rules, rule, device, sent) for rule in rules]

    def try_rules(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Say what a reload with other `rules`, a set as plain data, would do to each rule and to which alerts.

        Every change of `compare` and every inhibit that is added or removed is a row; `alerts` are the transitions that
        the reload would give, or the alerts that the inhibit mutes; `touched` is how many.
        """
        rules, evaluator = _rule_set(request.get("rules")), self.pipeline.rules
        alerts: dict[str, list[dict[str, Any]]] = {}
        trial = reload_on_trial(evaluator, self.pipeline.registry, rules)
        for transition in trial.transitions:
            alerts.setdefault(transition.rule, []).append(_touched(transition))
        of_rules = [
            {**as_row(change), "touched": len(own), "alerts": own[:MOST_TOUCHED]}
            for change in compare(evaluator.rules, rules)
            for own in [[] if change.rule.record else alerts.get(change.rule.name, [])]
        ]
        changed = compare_inhibits(evaluator, trial.evaluator)
        return [*of_rules, *(inhibit_row(each, MOST_TOUCHED) for each in changed)]

    def _rules(self, name: Any) -> list[Rule]:
        every = self.pipeline.rules.rules.rules
        found = [rule for rule in every if rule.name == name]
        if not found:
            near = suggest(name, [rule.name for rule in every])
            raise ValueError(f"no rule {quoted(printable(name))} is in force{near}")
        return found


def _device(registry: Registry, name: Any) -> int:
    device = registry.find(name) if isinstance(name, str) else None
    if device is None or not registry.is_live(device):
        known = [each for number, each in enumerate(registry.device_name) if registry.is_live(number)]
        raise ValueError(f"no device {quoted(printable(name))} is known here{suggest(name, known)}")
    return device


def _subject(rule: Rule, group: Mapping[Any, Any]) -> str:
    """How alerts of a rule call a group; ValueError if its keys are others than those of the rule."""
    if rule.by and set(group) != set(rule.by):
        raise ValueError(f"the groups of {rule.name} are by {', '.join(rule.by)}; name one by these keys")
    keys = rule.by or tuple(group)
    return group_subject({str(key): str(group[key]) for key in keys})


def _rule_set(plain: Any) -> RuleSet:
    try:
        return RuleSet.from_plain(plain)
    except (TypeError, KeyError, msgspec.ValidationError) as error:
        raise ValueError(f"'rules' is no set of rules of this version: {error}") from error


def _touched(transition: Transition) -> dict[str, Any]:
    """One alert that a reload changes: what it becomes, and why."""
    return {
        "device": transition.subject,
        "level": transition.level,
        "previous": transition.was,
        "becomes": transition.state,
        "cause": transition.cause,
    }

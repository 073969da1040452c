"""Questions of operators about the rules in force, answered from the live state without changing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_gateway.rules.inspection.explanation import explain
from edge_gateway.rules.inspection.in_force import describe_in_force
from fleet_config.problems import quoted, suggest
from fleet_wire.printable import printable

if TYPE_CHECKING:
    from edge_gateway.fleet.registry import Registry
    from edge_gateway.fold.pipeline import Pipeline
    from edge_gateway.rules.language.ruleset import Rule


@dataclass(frozen=True, slots=True)
class RuleQuestions:
    """Answers from the rules of the fold, as they are between two inputs; ValueError says what is wrong with one."""

    pipeline: Pipeline

    def in_force(self) -> list[dict[str, Any]]:
        """Describe the rules in force."""
        return describe_in_force(self.pipeline.rules)

    def explain(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Explain what the rules named `rule`, an alert or a record or both, do on the device named `device`."""
        rules = self._rules(request.get("rule"))
        registry = self.pipeline.registry
        device = _device(registry, request.get("device"))
        sent = {
            registry.metric_names[metric]
            for metric in registry.series_metric[registry.table.of_device(device)]
        }
        return [explain(self.pipeline.rules, rule, device, sent) for rule in rules]

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

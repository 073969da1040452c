"""What a reload would do to the alerts: a copy of the evaluator is reloaded, by the code that reloads the gateway's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_gateway.columns.frame import IntColumn
    from edge_gateway.columns.strings import StringTable
    from edge_gateway.fleet.registry import Registry
    from edge_gateway.records.alerts import Transition
    from edge_gateway.rules.alerts.evaluator import Evaluator
    from edge_gateway.rules.language.ruleset import RuleSet

_FIRST_CODE: Final = 1 << 40
"""Of the texts that only a trial names: above every code that the gateway's own table ever gives."""


class TrialStrings:
    """A table of texts beside the gateway's: what that does not have gets a code here."""

    def __init__(self, table: StringTable) -> None:
        self._table = table
        self._codes: dict[str, int] = {}

    def code(self, text: str) -> int:
        known = self._table.known(text)
        return self._codes.setdefault(text, _FIRST_CODE + len(self._codes)) if known is None else known

    def text(self, code: int) -> str:
        return self._table.text(code) if code < _FIRST_CODE else list(self._codes)[code - _FIRST_CODE]


class TrialRegistry:
    """The gateway's registry as rules see it, for a copy of them: new names are numbered here and not there."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._metrics: dict[str, int] = {}
        self._strings = TrialStrings(registry.strings)
        self.version = registry.version
        self.device_name, self.device_site = registry.device_name, registry.device_site

    @property
    def strings(self) -> TrialStrings:
        return self._strings

    @property
    def devices(self) -> int:
        return self._registry.devices

    @property
    def series_metric(self) -> IntColumn:
        return self._registry.series_metric

    @property
    def series_epoch(self) -> int:
        return self._registry.series_epoch

    def changed_devices(self, since: int) -> IntColumn:
        return self._registry.changed_devices(since)

    def find(self, device: str) -> int | None:
        return self._registry.find(device)

    def is_live(self, device: int) -> bool:
        return self._registry.is_live(device)

    def type(self, device: int) -> str:
        return self._registry.type(device)

    def tags(self, device: int) -> Mapping[str, str]:
        return self._registry.tags(device)

    def units(self, device: int) -> Mapping[str, str]:
        return self._registry.units(device)

    def metric(self, name: str) -> int:
        table = self._registry.table
        known = table.known_metric(name)
        if known is not None:
            return known
        return self._metrics.setdefault(name, len(table.metric_names) + len(self._metrics))

    def derived(self, device: int, metric: int) -> int:
        """No series: a trial takes no readings, so none is derived."""
        del device, metric
        return -1


class ReloadTrial(NamedTuple):
    """A copy of the evaluator that was reloaded, and the transitions that the reload returned."""

    evaluator: Evaluator
    transitions: list[Transition]


def reload_on_trial(evaluator: Evaluator, registry: Registry, rules: RuleSet) -> ReloadTrial:
    """Reload a copy with these rules; neither evaluator nor registry is changed.

    ExpressionError for an expression that is wrong.
    """
    copy = evaluator.copied(TrialRegistry(registry))
    return ReloadTrial(copy, copy.reload(rules))

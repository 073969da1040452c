"""Assign rules to devices as they appear, change their tags or type, and retire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_gateway.rules.alerts.reload import judge_by_limits
from edge_gateway.rules.alerts.single_alert import AlertEvent, SingleAlert
from edge_gateway.rules.alerts.state_machine import NOTHING
from edge_gateway.rules.language.matching import RuleMatcher

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edge_gateway.columns.frame import IntColumn
    from edge_gateway.rules.alerts.rule_state import AlertKey, RuleState
    from edge_gateway.rules.language.matching import Variant
    from edge_gateway.rules.language.ruleset import Rule
    from fleet_wire.control_messages import AlertCause


class RuleAssignment:
    """Keeps each device's rules up to date with the registry.

    `registry_version` is the version applied last. `unit_mismatches` gives for (device, rule) why the rule does not
    run there.
    """

    def __init__(self, state: RuleState) -> None:
        self._state = state
        self._matcher = RuleMatcher(state.rules)
        self.registry_version = 0
        self.unit_mismatches: dict[AlertKey, str] = {}

    def follow_registry(self) -> list[AlertKey]:
        """Apply what changed in the registry; the alerts whose latches moved, to be passed to `reconcile`."""
        registry = self._state.registry
        if registry.version == self.registry_version:
            return []
        devices = registry.changed_devices(self.registry_version)
        self.registry_version = registry.version
        self._state.make_room()
        return self._assign(devices)

    def _assign(self, devices: IntColumn) -> list[AlertKey]:
        state, cells = self._state, self._state.cells
        classes = cells.classes.numbers([self._variants_of(device) for device in devices.tolist()])
        moved = np.flatnonzero(classes != cells.class_of[devices])
        state.schedules.learn_zones(devices.tolist(), state.registry)
        saved, changed = cells.move(devices[moved], classes[moved])
        judge_by_limits(state, changed)
        cells.compact()
        self._enrol(devices[moved], classes[moved])
        state.histories.learn_tags(state.program.tags, devices.tolist(), state.registry)
        return sorted(set(zip(saved.device.tolist(), saved.rule.tolist(), strict=True)))

    def _variants_of(self, device: int) -> tuple[Variant, ...]:
        registry = self._state.registry
        if not registry.is_live(device):
            self._forget_units(device)
            return ()
        site, name = registry.device_site[device], registry.device_name[device]
        selected = self._matcher.variants(site, name, registry.type(device), registry.tags(device))
        return self._with_matching_unit(device, selected) if self._state.program.any_unit else selected

    def _forget_units(self, device: int) -> None:
        self.unit_mismatches = {key: why for key, why in self.unit_mismatches.items() if key[0] != device}

    def _with_matching_unit(self, device: int, selected: tuple[Variant, ...]) -> tuple[Variant, ...]:
        """Leave out and note the rules whose unit differs from the one in the device's birth."""
        units = self._state.registry.units(device)
        fitting: list[Variant] = []
        for variant in selected:
            why = other_unit(self._state.rules[variant[0]], units)
            if why is None:
                fitting.append(variant)
                self.unit_mismatches.pop((device, variant[0]), None)
            else:
                self.unit_mismatches[device, variant[0]] = why
        return tuple(fitting)

    def _enrol(self, devices: IntColumn, classes: IntColumn) -> None:
        wanted: dict[int, list[int]] = {}
        for device, of in zip(devices.tolist(), classes.tolist(), strict=True):
            for ring in self._state.cells.classes.rings(of):
                wanted.setdefault(ring, []).append(device)
        for ring, members in sorted(wanted.items()):
            self._state.histories.enrol(ring, np.array(members, np.int64))


def other_unit(rule: Rule, units: Mapping[str, str]) -> str | None:
    """Why a rule does not run on a device whose birth gives its metrics these units; None if it runs."""
    unit = units.get(rule.metric)
    if rule.unit is None or not unit or unit == rule.unit:
        return None
    return f"{rule.name} wants {rule.metric} in {rule.unit}, the device sends {unit}"


def reconcile(
    state: RuleState, keys: Iterable[AlertKey], cause: AlertCause | None = None
) -> list[AlertEvent]:
    """Bring alerts in line with levels that were moved or removed.

    By default the cause is that the device was retired, or that its site, type or tags changed.
    """
    events: list[AlertEvent] = []
    for device, number in keys:
        active = state.active.get((device, number))
        if active is not None:
            alert = SingleAlert(device, number, list(state.levels(device, number)), active)
            left: AlertCause = "moved" if state.registry.is_live(device) else "retired"
            alert.step(int(state.inputs.cursor[device]), NOTHING, cause or left)
            state.store_active(alert)
            events += alert.events
    return events

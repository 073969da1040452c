"""Devices come, change their tags, and go: each gets the rules that fit it now, and keeps what still applies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_gateway.rules.alerts.judge import Case, Verdict
from edge_gateway.rules.alerts.state import NOTHING
from edge_gateway.rules.language.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_gateway.columns.frame import IntColumn
    from edge_gateway.records.alerts import Cause
    from edge_gateway.rules.alerts.rule_state import AlertKey, RuleState
    from edge_gateway.rules.language.selection import Choice


class Placement:
    """Follows the registry. `unit_mismatches`: (device, rule number) to why the rule does not run there."""

    def __init__(self, held: RuleState) -> None:
        self._held = held
        self._selection = Selection(held.rules)
        self.known = 0
        """Version of the registry that was followed last."""
        self.unit_mismatches: dict[AlertKey, str] = {}

    def follow(self) -> list[AlertKey]:
        """Take in what changed of the fleet; returns the alerts whose latches moved, to be reconciled."""
        registry = self._held.registry
        if registry.version == self.known:
            return []
        devices = registry.changed_devices(self.known)
        self.known = registry.version
        self._held.make_room()
        return self._place(devices)

    def _place(self, devices: IntColumn) -> list[AlertKey]:
        held, cells = self._held, self._held.cells
        classes = cells.classes.numbers([self._choices(device) for device in devices.tolist()])
        moved = np.flatnonzero(classes != cells.class_of[devices])
        saved = cells.take_out(cells.busy_of(devices[moved]))
        cells.place(devices[moved], classes[moved])
        cells.put_in(saved)
        cells.compact()
        self._enrol(devices[moved], classes[moved])
        held.histories.learn_tags(held.program.tags, devices.tolist(), held.registry)
        return sorted(set(zip(saved.device.tolist(), saved.rule.tolist(), strict=True)))

    def _choices(self, device: int) -> tuple[Choice, ...]:
        registry = self._held.registry
        if not registry.is_live(device):
            self._forget_units(device)
            return ()
        site, name = registry.device_site[device], registry.device_name[device]
        chosen = self._selection.choices(site, name, registry.type(device), registry.tags(device))
        return self._of_fitting_unit(device, chosen) if self._held.program.any_unit else chosen

    def _forget_units(self, device: int) -> None:
        self.unit_mismatches = {key: why for key, why in self.unit_mismatches.items() if key[0] != device}

    def _of_fitting_unit(self, device: int, chosen: tuple[Choice, ...]) -> tuple[Choice, ...]:
        """Without the rules whose unit the device's birth contradicts; these are noted."""
        units = self._held.registry.units(device)
        fitting: list[Choice] = []
        for choice in chosen:
            rule = self._held.rules[choice[0]]
            told = units.get(rule.metric)
            if rule.unit is None or not told or told == rule.unit:
                fitting.append(choice)
                self.unit_mismatches.pop((device, choice[0]), None)
            else:
                why = f"{rule.name} wants {rule.metric} in {rule.unit}, the device sends {told}"
                self.unit_mismatches[device, choice[0]] = why
        return tuple(fitting)

    def _enrol(self, devices: IntColumn, classes: IntColumn) -> None:
        wanted: dict[int, list[int]] = {}
        for device, of in zip(devices.tolist(), classes.tolist(), strict=True):
            for ring in self._held.cells.classes.rings(of):
                wanted.setdefault(ring, []).append(device)
        for ring, members in sorted(wanted.items()):
            self._held.histories.enrol(ring, np.array(members, np.int64))


def reconcile(held: RuleState, keys: Iterable[AlertKey], cause: Cause | None = "removed") -> list[Verdict]:
    """Bring alerts in line with levels that were moved or taken from them; `cause` is why."""
    verdicts: list[Verdict] = []
    for device, number in keys:
        standing = held.standings.get((device, number))
        if standing is not None:
            case = Case(device, number, list(held.levels(device, number)), standing)
            case.step(int(held.inputs.cursor[device]), NOTHING, cause)
            held.stand(case)
            verdicts += case.verdicts
    return verdicts

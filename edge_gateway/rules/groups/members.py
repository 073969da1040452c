"""Which devices are in which group of which rule: kept up with the registry, looked at on every tick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edge_gateway.columns.growing import with_room
from edge_gateway.rules.alerts.assignment import other_unit
from edge_gateway.rules.columns.runs import run_starts
from edge_gateway.rules.language.matching import RuleMatcher
from fleet_config.match import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_gateway.columns.frame import IntColumn
    from edge_gateway.rules.columns.registry_view import RegistryView
    from edge_gateway.rules.groups.names import Groups
    from edge_gateway.rules.language.matching import Variant
    from edge_gateway.rules.language.ruleset import Rule

_OUTSIDE: Final = -2
"""The override of a rule on devices that it does not match."""


class Members(NamedTuple):
    """The devices of a rule, by group and then by number.

    `start`: the first of each group. By group, ascending: its number in `groups`, and the number of its override.
    """

    devices: IntColumn
    start: IntColumn
    groups: IntColumn
    overrides: IntColumn


_NONE: Final = np.zeros(0, np.int64)
_NOBODY: Final = Members(_NONE, _NONE, _NONE, _NONE)


class Membership:
    """The members of every group of every rule.

    `unit_mismatches`: why a rule that selects a device leaves it out, by (device, number of the rule).
    """

    def __init__(self, rules: tuple[Rule, ...], registry: RegistryView, groups: Groups) -> None:
        self._rules = rules
        self._registry = registry
        self._groups = groups
        self._matcher = RuleMatcher(rules)
        self._keys = tuple(dict.fromkeys(rule.by for rule in rules))
        self._group_of = [np.full(0, -1, np.int64) for _ in self._keys]
        self._override = [np.full(0, _OUTSIDE, np.int64) for _ in rules]
        self._known = 0
        self._members = [_NOBODY for _ in rules]
        self.unit_mismatches: dict[tuple[int, int], str] = {}

    def follow(self) -> bool:
        """Apply what changed in the registry; whether that was anything."""
        registry = self._registry
        if not self._rules or registry.version == self._known:
            return False
        devices = registry.changed_devices(self._known).tolist()
        self._known = registry.version
        self._group_of = [with_room(column, registry.devices, -1) for column in self._group_of]
        self._override = [with_room(column, registry.devices, _OUTSIDE) for column in self._override]
        for device in devices:
            self._assign(device)
        self._members = [self._found(number) for number in range(len(self._rules))]
        return bool(devices)

    def _assign(self, device: int) -> None:
        for column in self._override:
            column[device] = _OUTSIDE
        if not self._registry.is_live(device):
            return
        values = self._values(device)
        for number, override in self._variants(device):
            self._override[number][device] = override
            place = self._keys.index(self._rules[number].by)
            own = {key: values.get(key, UNKNOWN) for key in self._rules[number].by}
            self._group_of[place][device] = self._groups.number(own)

    def _values(self, device: int) -> dict[str, str]:
        """What a device says of itself, by the keys of `match`."""
        registry = self._registry
        return {
            **registry.tags(device),
            "site": registry.device_site[device],
            "type": registry.type(device),
        }

    def _variants(self, device: int) -> Iterator[Variant]:
        """The device's rules, without those whose unit is another one."""
        registry = self._registry
        name, tags = registry.device_name[device], registry.tags(device)
        chosen = self._matcher.variants(registry.device_site[device], name, registry.type(device), tags)
        for variant in chosen:
            why = other_unit(self._rules[variant[0]], registry.units(device))
            if why is None:
                self.unit_mismatches.pop((device, variant[0]), None)
                yield variant
            else:
                self.unit_mismatches[device, variant[0]] = why

    def _found(self, number: int) -> Members:
        override = self._override[number]
        devices = np.flatnonzero(override != _OUTSIDE)
        group = self._group_of[self._keys.index(self._rules[number].by)][devices]
        order = np.argsort(group, kind="stable")
        devices, group = devices[order], group[order]
        start = run_starts(group)
        return Members(devices, start, group[start], override[devices[start]])

    def of(self, rule: int) -> Members:
        """The members of a rule's groups."""
        return self._members[rule]

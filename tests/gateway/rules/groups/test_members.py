from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_gateway.rules.groups.members import Membership
from edge_gateway.rules.groups.names import Groups
from tests.gateway.rules.fleet import Fleet
from tests.gateway.rules.groups.grouped import rules_in


def membership_of(path: Path, fleet: Fleet, *rules: str) -> tuple[Membership, Groups]:
    groups = Groups()
    return Membership(rules_in(path, *rules).group_alerts, fleet.registry, groups), groups


def members_of(membership: Membership, groups: Groups, rule: int = 0) -> dict[str, list[int]]:
    found = membership.of(rule)
    ends = [*found.start.tolist(), len(found.devices)]
    return {
        groups.device_name[group]: found.devices[ends[place] : ends[place + 1]].tolist()
        for place, group in enumerate(found.groups.tolist())
    }


def test_devices_are_grouped_by_the_values_of_the_keys(tmp_path: Path) -> None:
    fleet = Fleet()
    a, b = fleet.born("a", room="1"), fleet.born("b")
    c = fleet.born("c", "lyon", kind="pump", room="1")
    rules = (
        "{alert: A, expr: avg(x), by: [site], above: 1}",
        "{alert: B, expr: avg(x), by: [room], above: 1, match: {type: freezer}}",
        "{alert: C, expr: avg(x), by: [type, site], above: 1}",
    )
    membership, groups = membership_of(tmp_path, fleet, *rules)
    assert membership.follow()
    assert not membership.follow()
    assert members_of(membership, groups) == {"site=berlin": [a, b], "site=lyon": [c]}
    assert members_of(membership, groups, 1) == {"room=1": [a], "room=unknown": [b]}
    assert members_of(membership, groups, 2) == {
        "type=freezer, site=berlin": [a, b],
        "type=pump, site=lyon": [c],
    }


def test_a_device_that_changes_or_retires_changes_its_groups(tmp_path: Path) -> None:
    fleet = Fleet()
    a, b = fleet.born("a", room="1"), fleet.born("b", room="1")
    membership, groups = membership_of(tmp_path, fleet, "{alert: A, expr: avg(x), by: [room], above: 1}")
    membership.follow()
    fleet.born("a", room="2")
    assert membership.follow()
    assert members_of(membership, groups) == {"room=1": [b], "room=2": [a]}
    fleet.registry.retire(np.array([b]))
    assert membership.follow()
    assert members_of(membership, groups) == {"room=2": [a]}


def test_a_device_with_another_unit_is_left_out_and_told(tmp_path: Path) -> None:
    fleet = Fleet()
    a, b = fleet.device("a"), fleet.device("b")
    fleet.registry.needed = fleet.registry.needed._replace(units=frozenset(("x",)))
    fleet.born("a", units={"x": "bar"})
    fleet.born("b", units={"x": "psi"})
    rule = "{alert: A, expr: avg(x), by: [site], above: 1, unit: bar}"
    membership, groups = membership_of(tmp_path, fleet, rule)
    membership.follow()
    assert members_of(membership, groups) == {"site=berlin": [a]}
    assert membership.unit_mismatches == {(b, 0): "A wants x in bar, the device sends psi"}
    fleet.born("b", units={"x": "bar"}, room="2")
    membership.follow()
    assert members_of(membership, groups) == {"site=berlin": [a, b]}
    assert not membership.unit_mismatches


def test_the_override_of_a_group(tmp_path: Path) -> None:
    fleet = Fleet()
    fleet.born("a")
    fleet.born("c", "lyon")
    rule = "{alert: A, expr: avg(x), by: [site], above: 1, overrides: [{match: {site: l*}, above: 2}]}"
    membership, groups = membership_of(tmp_path, fleet, rule)
    membership.follow()
    found = membership.of(0)
    assert [groups.device_name[each] for each in found.groups.tolist()] == ["site=berlin", "site=lyon"]
    assert found.overrides.tolist() == [-1, 0]

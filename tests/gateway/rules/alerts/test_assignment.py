"""Which rules a device has as it appears, changes and retires; and what its alerts keep."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge_gateway.rules.alerts.assignment import RuleAssignment, reconcile
from edge_gateway.rules.alerts.rule_state import Ages, RuleState
from edge_gateway.rules.language.ruleset import Rule
from tests.gateway.rules.alerts.hot import HOT
from tests.gateway.rules.fleet import Fleet, Stage, events

L1 = replace(HOT, name="L1", match=({"line": ["L1"]},))


class Assigned:
    def __init__(self, *rules: Rule) -> None:
        self.fleet = Fleet()
        self.state = RuleState.initial(rules, self.fleet.registry, Ages(60_000))
        self.assignment = RuleAssignment(self.state)

    def rules_of(self, device: int) -> list[str]:
        self.assignment.follow_registry()
        return [
            rule.name for number, rule in enumerate(self.state.rules) if self.state.levels(device, number)
        ]


def test_a_device_gets_the_rules_that_fit_it() -> None:
    assigned = Assigned(HOT, L1)
    one, two = assigned.fleet.born("a", line="L1"), assigned.fleet.born("b")
    assert (assigned.rules_of(one), assigned.rules_of(two)) == (["Hot", "L1"], ["Hot"])
    assigned.fleet.born("b", line="L1")
    assigned.fleet.born("a", line="L2")
    assert (assigned.rules_of(one), assigned.rules_of(two)) == (["Hot"], ["Hot", "L1"])


def test_nothing_changed_is_nothing_to_do() -> None:
    assigned = Assigned(HOT)
    assigned.fleet.born("a")
    assigned.assignment.follow_registry()
    version = assigned.assignment.registry_version
    assert assigned.assignment.follow_registry() == []
    assert assigned.assignment.registry_version == version == assigned.fleet.registry.version


def test_a_retired_device_has_no_rules() -> None:
    assigned = Assigned(HOT, replace(HOT, name="F", unit="°F"))
    device = assigned.fleet.born("a", units={"t": "°C"})
    assert assigned.rules_of(device) == ["Hot"]
    assert assigned.assignment.unit_mismatches
    assigned.fleet.registry.retire(np.array([device]))
    assert assigned.rules_of(device) == []
    assert assigned.assignment.unit_mismatches == {}


def test_a_unit_that_the_birth_contradicts() -> None:
    assigned = Assigned(replace(HOT, unit="°C"), replace(HOT, name="Any"))
    other = assigned.fleet.born("f", units={"t": "°F"})
    silent = assigned.fleet.born("s")
    assert (assigned.rules_of(other), assigned.rules_of(silent)) == (["Any"], ["Hot", "Any"])
    assert assigned.assignment.unit_mismatches == {(other, 0): "Hot wants t in °C, the device sends °F"}
    assigned.fleet.born("f", units={"t": "°C"}, fresh="yes")
    assert assigned.rules_of(other) == ["Hot", "Any"]
    assert assigned.assignment.unit_mismatches == {}


def test_what_fires_moves_with_the_device() -> None:
    stage = Stage(HOT, L1)
    stage.fleet.born("d", line="L1")
    stage.read(0, t=15)
    before = {each.rule: each.id for each in stage.evaluator.firing()}
    stage.fleet.born("d", line="L2")
    assert [(each.event, each.cause) for each in stage.tick(1)] == [("resolved", "moved")]
    assert {each.rule: each.id for each in stage.evaluator.firing()} == {"Hot": before["Hot"]}
    assert events(stage.read(2, t=5)) == ["resolved"]


def test_histories_are_kept_for_the_devices_that_rules_read_them_of() -> None:
    assigned = Assigned(replace(L1, expr="avg_over_time(t, 1m)"))
    for name, line in (("a", "L2"), ("b", "L1"), ("c", "L1")):
        assigned.fleet.born(name, line=line)
    assigned.assignment.follow_registry()
    (saved,) = assigned.state.histories.snapshot()
    assert saved["slot"].tolist()[:3] == [-1, 0, 1]


def test_an_alert_is_reconciled_with_its_levels() -> None:
    stage = Stage(HOT)
    stage.read(0, t=15)
    assert reconcile(stage.state, [(0, 0), (5, 0)]) == []
    stage.state.cells.extract(stage.state.cells.all_busy())
    (event,) = reconcile(stage.state, [(0, 0)])
    assert event.change[:3] == ("resolved", "moved", "resolved")
    assert stage.state.active == {}

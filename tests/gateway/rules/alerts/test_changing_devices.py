"""Which rules a device has while it is born, changes its tags or units, and is retired."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge_gateway.rules.alerts.evaluator import Evaluator
from edge_gateway.rules.language.ruleset import Level, LevelChange, Override, RuleSet
from tests.gateway.rules.alerts.hot import HOT, command
from tests.gateway.rules.fleet import T0, Row, Stage, events


def test_match_and_overrides() -> None:
    rule = replace(
        HOT,
        match=({"type": ["freezer"]}, {"site": ["b*"], "line": ["L1", "L2"]}),
        overrides=(Override({"device": ["d2"]}, (), keep_ms=5_000),),
    )
    stage = Stage(rule)
    stage.fleet.born("d1", line="L1")
    stage.fleet.born("d2", line="L2")
    stage.fleet.born("d3", line="L3")
    stage.fleet.born("d4", site="oslo", line="L1")
    stage.fleet.born("d5", kind="oven", line="L1")
    rows = [
        Row(f"d{n}", T0 + second * 1000, {"t": t}, site="oslo" if n == 4 else "berlin")
        for second, t in ((0, 15), (1, 5), (7, 5))
        for n in range(1, 6)
    ]
    transitions = stage.evaluator.evaluate(stage.fleet.frame(rows), 0)
    assert [(each.subject, each.event, each.at - T0) for each in transitions] == [
        ("d1", "firing", 0),
        ("d2", "firing", 0),
        ("d1", "resolved", 1_000),
        ("d2", "resolved", 7_000),
    ]


def test_a_device_that_changes_its_tags_gets_other_rules() -> None:
    stage = Stage(replace(HOT, match=({"line": ["L1"]},)), replace(HOT, name="Other"))
    stage.fleet.born("d", line="L1")
    stage.read(0, t=15)
    stage.fleet.born("d", line="L2")
    (transitions,) = stage.read(1, t=15)
    assert (transitions.rule, transitions.cause, transitions.state) == ("Hot", "moved", "resolved")
    assert [each.rule for each in stage.evaluator.firing()] == ["Other"]


def test_a_rule_in_another_unit_does_not_run_and_says_so() -> None:
    stage = Stage(replace(HOT, unit="°C"))
    stage.fleet.born("f", units={"t": "°F"})
    stage.fleet.born("c", units={"t": "°C"})
    assert stage.read(0, "f", t=99) == []
    assert events(stage.read(0, "c", t=99)) == ["firing"]
    assert stage.evaluator.idle_rules() == ["f: Hot wants t in °C, the device sends °F"]
    stage.fleet.born("f", units={"t": "°C"}, fresh="yes")
    assert events(stage.read(1, "f", t=99)) == ["firing"]
    assert stage.evaluator.idle_rules() == []


def test_the_same_device_number_far_away() -> None:
    """Devices come in any number and order, also long after the rules."""
    stage = Stage(HOT)
    for number in range(300):
        stage.fleet.born(f"x{number}")
    assert events(stage.read(0, "x299", t=15)) == ["firing"]
    stage.fleet.born("y")
    assert events(stage.read(1, "y", t=15)) == ["firing"]
    assert {each.subject for each in stage.evaluator.firing()} == {"x299", "y"}


def test_a_device_that_changes_its_tags_for_ever_takes_no_more_room() -> None:
    rules = [replace(HOT, name=f"R{n}", match=({"line": [f"L{n % 2}"]},)) for n in range(600)]
    stage = Stage(*rules, replace(HOT, name="Always"))
    stage.fleet.born("other", line="L1")
    stage.read(0, "other", t=15)
    stage.fleet.born("d", line="L0")
    firing = stage.read(0, t=15)
    for change in range(600):
        stage.fleet.born("d", line=f"L{change % 2}", change=str(change))
        stage.tick(0)
    assert len(stage.evaluator._state.cells.busy) < 300_000
    always = next(each.id for each in firing if each.rule == "Always")
    assert [each.id for each in stage.evaluator.firing() if each.subject == "d"] == [always]
    assert events(stage.read(1, t=15)) == ["firing"] * 300
    assert len(stage.evaluator.firing()) == 2 * 301
    assert events(stage.read(2, "other", t=5)) == ["resolved"] * 301
    assert events(stage.read(2, t=5)) == ["resolved"] * 301


def test_a_restore_into_a_changed_fleet_ends_what_no_longer_applies() -> None:
    stage = Stage(replace(HOT, match=({"line": ["L1"]},)))
    stage.fleet.born("d", line="L1")
    stage.read(0, t=15)
    snapshot = stage.evaluator.snapshot()
    stage.fleet.born("d", line="L2")
    again = Evaluator(RuleSet.empty(), stage.fleet.registry)
    again.restore(snapshot)
    assert [each.cause for each in again.tick(0)] == ["moved"]
    assert again.tick(0) == []


def test_a_retired_device_ends_its_alerts_and_its_number_starts_over() -> None:
    stage = Stage(replace(HOT, commands=(command(),)))
    stage.read(100, t=15)
    stage.fleet.registry.retire(np.array([0]))
    assert [each.cause for each in stage.tick(101)] == ["retired"]
    stage.evaluator.forget(np.array([0]))
    assert stage.fleet.device("new") == 0
    (fired,) = stage.read(1, "new", t=15)
    assert (fired.subject, fired.event, len(fired.commands)) == ("new", "firing", 1)


def test_an_empty_frame_shows_only_what_changed_in_the_fleet() -> None:
    stage = Stage(replace(HOT, match=({"line": ["L1"]},)))
    stage.fleet.born("d", line="L1")
    stage.read(0, t=15)
    stage.fleet.born("d", line="L2")
    assert [each.cause for each in stage.evaluator.evaluate(stage.fleet.frame([]))] == ["moved"]


def test_a_device_that_gets_other_limits_is_judged_by_them_and_by_those_that_stay_it_is_not() -> None:
    level = Level("warning", limit=30.0, for_ms=60_000, limits=(("00:00-01:00", 10.0),))
    other = Override({"line": ["L2"]}, (LevelChange("warning", limit=20.0),))
    rules = (replace(HOT, levels=(level,), overrides=(other,)), replace(HOT, name="Same", levels=(level,)))
    for restarted in (False, True):
        stage = Stage(*rules)
        stage.fleet.born("d", line="L1")
        stage.read(0, t=15)
        stage.fleet.born("d", line="L2")
        if restarted:
            stage.restart()
        assert [(each.rule, each.event, each.cause) for each in stage.tick(60)] == [
            ("Hot", "resolved", "moved"),
            ("Same", "firing", "time"),
        ]

"""The state of all rules: what it answers about a device, and what it stores of an alert."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge_gateway.records.alerts import NO_READING
from edge_gateway.rules.alerts.rule_state import NewestReadings
from edge_gateway.rules.alerts.single_alert import SingleAlert
from edge_gateway.rules.alerts.state_machine import NOTHING, ActiveAlert, StateChange
from edge_gateway.rules.alerts.transition_builder import Reading
from edge_gateway.rules.language.ruleset import Level, Rule
from tests.gateway.rules.fleet import T0, Stage

HOT = Rule(
    name="Hot", group="g", expr="t", levels=(Level("warning", limit=10.0), Level("critical", limit=20.0))
)


def test_now_is_the_newest_time_and_the_listening_since() -> None:
    stage = Stage(HOT)
    stage.read(100, t=1)
    assert stage.state.now(100_000)[0] == T0 + 100_000
    assert stage.state.now(107_000)[0] == T0 + 107_000
    assert stage.state.now(50_000)[0] == T0 + 100_000


def test_the_levels_and_limits_of_a_rule_on_a_device() -> None:
    stage = Stage(HOT, replace(HOT, name="Cond", expr="t > 5", levels=(Level("info"),)))
    stage.read(0, t=15)
    levels = stage.state.levels(0, 0)
    assert [(each.latch.limit, each.on, each.up) for each in levels] == [(10.0, True, T0), (20.0, False, 0)]
    assert (
        stage.state.limit(0, 0, 2, T0),
        stage.state.limit(0, 0, 0, T0),
        stage.state.limit(0, 1, 0, T0),
    ) == (
        20.0,
        None,
        None,
    )


def test_an_alert_is_stored_with_its_levels() -> None:
    stage = Stage(HOT)
    stage.read(0, t=15)
    state = stage.state
    levels = list(state.levels(0, 0))
    for level in levels:
        level.on, level.up = True, T0
    first = min(level.cell for level in levels)
    state.store(
        SingleAlert(
            0, 0, levels, ActiveAlert(StateChange("firing", "reading", "firing", 2, NOTHING, T0), T0)
        ),
        first,
    )
    assert state.active[0, 0].rank == 2
    assert (state.cells.raised[first], [each.on for each in state.levels(0, 0)]) == (2, [True, True])
    for level in levels:
        level.on, level.up = False, 0
    state.store(SingleAlert(0, 0, levels, None), first)
    assert (state.active, state.cells.raised[first], state.cells.all_busy().tolist()) == ({}, 0, [])


def test_the_newest_reading_of_a_device() -> None:
    stage = Stage(HOT)
    assert NewestReadings.empty().snapshot(0)["boot"].tolist() == []
    stage.read(0, backlog=True, t=1)
    stage.fleet.device("silent")
    stage.state.make_room()
    assert stage.state.newest.reading(0) == Reading(1, 0, backlog=True)
    assert stage.state.newest.reading(1) == Reading(NO_READING, NO_READING, backlog=False)
    again = NewestReadings.empty()
    again.make_room(2)
    again.restore(stage.state.newest.snapshot(2))
    assert again.reading(0) == stage.state.newest.reading(0)


def test_a_forgotten_device_has_sent_nothing() -> None:
    stage = Stage(HOT)
    stage.read(100, backlog=True, t=1)
    stage.state.forget(np.array([0]))
    assert stage.state.newest.reading(0) == Reading(NO_READING, NO_READING, backlog=False)
    assert stage.state.inputs.cursor[0] == 0


def test_an_alert_that_is_active_moves_with_its_device_s_clock_and_keeps_its_id() -> None:
    stage = Stage(HOT)
    stage.read(100, t=15)
    stage.read(100, "other", t=15)
    stage.state.shift(np.array([0]), np.array([-90_000]))
    moved, other = stage.state.active[0, 0], stage.state.active[1, 0]
    assert (moved.stamp, moved.at, moved.notified_at) == (T0 + 100_000, T0 + 10_000, T0 + 10_000)
    assert moved.id != other.id
    assert other.at == T0 + 100_000
    assert stage.state.inputs.cursor[:2].tolist() == [0, T0 + 100_000]

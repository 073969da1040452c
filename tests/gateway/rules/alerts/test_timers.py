"""What time alone does: waits that end, missing data, and repeated notices."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_gateway.rules.language.ruleset import Level, NoData, Rule, RuleSet
from tests.gateway.rules.alerts.hot import HOT
from tests.gateway.rules.fleet import T0, Stage

SILENT = Rule(name="Silent", group="g", no_data=NoData(30_000, "t", "alerting", "info"))


def ticked(stage: Stage, second: float) -> list[tuple[str, str, str, int]]:
    return [(each.subject, each.rule, each.event, (each.at - T0) // 1000) for each in stage.tick(second)]


def test_changes_come_in_the_order_in_which_they_were_due() -> None:
    stage = Stage(
        replace(HOT, name="Slow", levels=(Level("warning", limit=10.0, for_ms=20_000),)),
        replace(HOT, name="Fast", levels=(Level("warning", limit=10.0, for_ms=10_000),)),
    )
    stage.read(0, "b", t=15)
    stage.read(0, "a", t=15)
    assert ticked(stage, 60) == [
        ("b", "Fast", "firing", 10),
        ("a", "Fast", "firing", 10),
        ("b", "Slow", "firing", 20),
        ("a", "Slow", "firing", 20),
    ]
    assert ticked(stage, 120) == []


def test_a_clear_that_lasts_resolves_without_a_reading() -> None:
    stage = Stage(replace(HOT, keep_ms=30_000))
    stage.read(0, t=15)
    stage.read(10, t=5)
    assert ticked(stage, 39) == []
    assert ticked(stage, 40) == [("d", "Hot", "resolved", 40)]


def test_missing_data_once_until_it_comes_back() -> None:
    stage = Stage(SILENT)
    stage.read(0, t=1)
    assert ticked(stage, 29) == []
    assert ticked(stage, 30) == [("d", "Silent", "firing", 30)]
    assert ticked(stage, 300) == []
    assert [each.event for each in stage.read(301, t=1)] == ["resolved"]
    assert ticked(stage, 331) == [("d", "Silent", "firing", 331)]


def test_data_that_stops_again_while_the_alert_is_about_to_resolve() -> None:
    stage = Stage(replace(SILENT, keep_ms=60_000))
    stage.read(0, t=1)
    assert ticked(stage, 30) == [("d", "Silent", "firing", 30)]
    stage.read(100, t=1)
    assert ticked(stage, 159) == [], "missing again since 130, which ends the wait to resolve"
    assert ticked(stage, 400) == []
    assert [each.rule for each in stage.evaluator.firing()] == ["Silent"]


@pytest.mark.parametrize("returns", [False, True])
def test_silence_between_whose_times_no_tick_came_begins_anew_in_the_next(returns: bool) -> None:
    stage = Stage(replace(SILENT, at=("00:00-00:01", "00:02-00:03"), keep_ms=60_000))
    stage.read(0, t=1)
    assert ticked(stage, 30) == [("d", "Silent", "firing", 30)]
    if returns:
        stage.read(59, t=1)
    assert ticked(stage, 125) == [("d", "Silent", "resolved", 60), ("d", "Silent", "firing", 120)]


def test_a_reading_from_before_a_silence_ends_it_for_no_times_that_an_edit_brings() -> None:
    stage = Stage(SILENT)
    stage.read(0, t=1)
    assert ticked(stage, 40) == [("d", "Silent", "firing", 30)]
    stage.evaluator.reload(RuleSet((replace(SILENT, at=("12:00-13:00",)),)))
    assert stage.read(10, t=1, backlog=True) == []
    (ended,) = stage.tick(80)
    assert (ended.event, ended.cause, ended.notify) == ("resolved", "schedule", True)


def test_a_device_whose_readings_wait_for_their_time_is_not_silent_and_no_wait_of_its_ends() -> None:
    stage = Stage(SILENT, replace(HOT, levels=(Level("warning", limit=10.0, for_ms=40_000),)))
    stage.read(0, t=15)
    for second in range(20, 300, 20):
        stage.hear(second)
        assert ticked(stage, second + 19) == []
    assert ticked(stage, 309) == []
    assert ticked(stage, 310) == [("d", "Silent", "firing", 30)]


def test_a_device_that_was_silent_is_found_again_by_a_reading_only() -> None:
    stage = Stage(SILENT)
    stage.read(0, t=1)
    assert ticked(stage, 30) == [("d", "Silent", "firing", 30)]
    stage.hear(100)
    assert ticked(stage, 200) == []
    assert [each.event for each in stage.read(201, t=1)] == ["resolved"]


@pytest.mark.parametrize(("warmup", "at"), [(0, 30), (50_000, 50)])
def test_a_young_device_is_not_missed(warmup: int, at: int) -> None:
    stage = Stage(replace(SILENT, warmup_ms=warmup))
    stage.read(0, t=1)
    assert ticked(stage, at - 1) == []
    assert ticked(stage, at) == [("d", "Silent", "firing", at)]


def test_only_firing_alerts_of_rules_that_ask_for_it_are_repeated() -> None:
    waiting = (Level("warning", limit=10.0, for_ms=900_000),)
    stage = Stage(
        HOT, replace(HOT, name="Again", repeat_ms=60_000), replace(HOT, name="W", levels=waiting, repeat_ms=9)
    )
    stage.read(0, t=15)
    assert ticked(stage, 130) == [("d", "Again", "repeat", 120)]
    assert ticked(stage, 180) == [("d", "Again", "repeat", 180)]


def test_a_level_that_is_clear_ends_as_soon_as_another_holds_the_alert() -> None:
    silent = NoData(10_000, "u", "alerting", "critical")
    stage = Stage(replace(HOT, expr="t", no_data=silent, keep_ms=400_000))
    stage.read(0, t=1, u=1)
    assert [each.cause for each in stage.tick(10)] == ["no_data"]
    assert stage.read(20, u=1) == [], "the last that is on: it waits"
    assert stage.read(21, t=15) == []
    assert [(each.event, each.level) for each in stage.tick(22)] == [("deescalated", "warning")]


def test_a_repeat_and_a_report_come_in_the_order_of_their_times() -> None:
    watched = replace(HOT, repeat_ms=20_000, no_data=NoData(30_000, "t", "no_data", "info"))
    stage = Stage(watched)
    stage.read(0, t=15)
    assert ticked(stage, 35) == [("d", "Hot", "repeat", 20), ("d", "Hot", "no_data", 30)]


def test_the_changes_of_an_alert_stay_in_order_where_its_device_is_behind_the_wall_clock() -> None:
    stage = Stage(replace(SILENT, keep_ms=5_000))
    device = stage.fleet.device("d")
    stage.evaluator.birth(device, ("t",), 1, 0)
    assert [each.event for each in stage.evaluator.tick(40_000, T0 + 40_000)] == ["firing"]
    stage.read(10, t=1)  # the device's clock is half a minute behind
    found = stage.evaluator.tick(100_000, T0 + 100_000)
    assert [each.event for each in found] == ["resolved", "firing"]
    assert found[0].at < found[1].at
    assert [each.id for each in stage.evaluator.firing()] == [found[1].id]

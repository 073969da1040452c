"""One frame through the rules: only what switches becomes an event."""

from __future__ import annotations

from dataclasses import replace

from edge_gateway.rules.alerts.step import evaluate_frame
from edge_gateway.rules.language.ruleset import Level, NoData
from tests.gateway.rules.alerts.hot import HOT
from tests.gateway.rules.fleet import T0, Row, Stage


def events(stage: Stage, *rows: Row) -> list[tuple[int, int, int, str]]:
    """(row, device, rule, event) of each event of a frame."""
    frame = stage.fleet.frame(list(rows))
    stage.evaluator.tick(0)
    result = evaluate_frame(stage.state, frame, 0)
    source = result.columns.rows.source.tolist()
    return [(source[each.row], each.device, each.rule, each.change.event) for each in result.events]


def at(device: str, second: int, t: float, **more: float) -> Row:
    return Row(device, T0 + second * 1000, {"t": t, **more})


def test_events_come_in_the_order_of_arrival_and_then_of_rules() -> None:
    stage = Stage(HOT, replace(HOT, name="B"))
    found = events(stage, at("b", 0, 15), at("a", 0, 15), at("b", 1, 5), at("a", 1, 12))
    assert found == [
        (0, 0, 0, "firing"),
        (0, 0, 1, "firing"),
        (1, 1, 0, "firing"),
        (1, 1, 1, "firing"),
        (2, 0, 0, "resolved"),
        (2, 0, 1, "resolved"),
    ]


def test_a_calm_device_is_not_busy_and_a_cleared_one_no_longer() -> None:
    stage = Stage(HOT)
    events(stage, at("a", 0, 5), at("b", 0, 15))
    assert stage.state.cells.device_busy[:2].tolist() == [False, True]
    events(stage, at("b", 1, 5))
    assert stage.state.cells.device_busy[:2].tolist() == [False, False]


def test_a_reading_without_the_rules_metric_says_nothing() -> None:
    stage = Stage(HOT)
    events(stage, at("a", 0, 15))
    assert events(stage, Row("a", T0 + 1000, {"u": 1.0})) == []
    assert stage.state.cells.device_busy[0]


def test_the_last_value_of_a_busy_latch_is_kept() -> None:
    stage = Stage(HOT, replace(HOT, name="C", expr='door == "open"', levels=(Level("info"),)))
    events(stage, at("a", 0, 15), at("a", 1, 16))
    (cell,) = stage.state.cells.all_busy()
    assert stage.state.cells.value[cell] == 16.0


def test_a_young_device_is_not_evaluated() -> None:
    stage = Stage(replace(HOT, warmup_ms=2000))
    assert events(stage, at("a", 0, 15), at("a", 1, 15), at("a", 2, 15)) == [(2, 0, 0, "firing")]


def test_keep_firing_for_holds_the_last_level_alone() -> None:
    levels = (Level("warning", limit=10.0), Level("critical", limit=20.0))
    stage = Stage(replace(HOT, levels=levels, keep_ms=5000))
    found = events(stage, at("a", 0, 25), at("a", 1, 5), at("a", 5, 5), at("a", 6, 5))
    assert found == [(0, 0, 0, "firing"), (1, 0, 0, "deescalated"), (3, 0, 0, "resolved")]


def test_a_reading_that_is_the_newest_of_its_metric_counts_at_the_now_of_its_rule() -> None:
    stage = Stage(replace(HOT, expr="t + u"), replace(HOT, name="U", expr="u"))
    events(stage, at("a", 10, 15))
    frame = stage.fleet.frame([Row("a", T0 + 5_000, {"u": 20.0}), Row("a", T0 + 4_000, {"u": 30.0})])
    result = evaluate_frame(stage.state, frame, 0)
    assert [(each.rule, each.change.event, each.change.at - T0) for each in result.events] == [
        (0, "firing", 10_000),
        (1, "firing", 5_000),
    ]


def test_a_wait_starts_anew_after_a_gap_longer_than_the_lookback() -> None:
    slow = replace(HOT, levels=(Level("warning", limit=10.0, for_ms=400_000),))
    stage = Stage(slow)
    frame = stage.fleet.frame([at("a", 0, 15), at("a", 300, 15), at("a", 601, 15), at("a", 700, 15)])
    stage.evaluator.tick(0)
    found = evaluate_frame(stage.state, frame, 0).events
    assert [(each.row, *each.change[:3], each.change.at - T0) for each in found] == [
        (0, "pending", "reading", "pending", 0),
        (2, "resolved", "expired", "inactive", 600_000),
        (2, "pending", "reading", "pending", 601_000),
    ]
    assert found[0].alert is found[1].alert is not found[2].alert


def test_silence_is_not_ended_by_a_reading_as_old_as_itself() -> None:
    stage = Stage(replace(HOT, no_data=NoData(20_000, "u", "alerting", "info")))
    stage.read(0, t=1, u=1)
    stage.read(60, t=1)
    assert [each.cause for each in stage.tick(60)] == ["no_data"]
    assert stage.read(40, u=1) == []
    assert [each.event for each in stage.read(41, u=1)] == ["resolved"]

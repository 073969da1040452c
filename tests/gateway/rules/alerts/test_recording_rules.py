"""A recording rule's result is a metric like any other, on time and late."""

from __future__ import annotations

from dataclasses import replace

from edge_gateway.rules.language.ruleset import Rule
from tests.gateway.rules.alerts.hot import HOT
from tests.gateway.rules.fleet import T0, Row, Stage, events


def test_a_record_is_a_metric_like_any_other() -> None:
    fleet_rules = (
        Rule(name="twice", group="g", record=True, expr="half * 4"),
        Rule(name="half", group="g", record=True, expr="t / 2"),
        replace(HOT, expr="twice"),
    )
    stage = Stage(*fleet_rules)
    frame = stage.fleet.frame([Row("d", T0, {"t": 6.0}), Row("d", T0 + 1, {"u": 1.0})])
    frame.quality[0] = 700
    extended = stage.evaluator.add_records(frame)
    names = [
        stage.fleet.registry.metric_names[int(stage.fleet.registry.series_metric[s])] for s in extended.series
    ]
    assert list(
        zip(names, extended.value.tolist(), extended.row.tolist(), extended.quality.tolist(), strict=True)
    ) == [
        ("t", 6.0, 0, 700),
        ("u", 1.0, 1, 1000),
        ("half", 3.0, 0, 700),
        ("twice", 12.0, 0, 700),
    ]
    assert events(stage.evaluator.evaluate(extended, 0)) == ["firing"]


def test_a_late_value_is_derived_from_its_own_row() -> None:
    stage = Stage(
        Rule(name="s", group="g", record=True, expr="t + u"),
        Rule(name="m", group="g", record=True, expr="avg_over_time(t, 1m)"),
    )
    stage.read(100, t=1, u=1)
    frame = stage.fleet.frame(
        [Row("d", T0 + 50_000, {"t": 5.0}), Row("d", T0 + 60_000, {"t": 5.0, "u": 2.0})]
    )
    extended = stage.evaluator.add_records(frame)
    assert extended.value.tolist() == [5.0, 5.0, 2.0, 7.0]
    assert stage.evaluator.add_records(
        stage.fleet.frame([Row("d", T0 + 110_000, {"t": 3.0})])
    ).value.tolist() == [3.0, 4.0, 3.0], "the mean of 5, 1 and 3: the other is older than a minute"


def test_frames_without_records_pass_unchanged() -> None:
    stage = Stage(HOT)
    frame = stage.fleet.frame([Row("d", T0, {"t": 1.0})])
    assert stage.evaluator.add_records(frame) is frame

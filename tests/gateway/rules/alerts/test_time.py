"""The times rules go by: readings', ticks', silence, repeats and clocks that step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge_gateway.records import codec
from edge_gateway.rules.language.ruleset import Level, NoData, Rule
from tests.gateway.rules.alerts.hot import HOT, TWO, command
from tests.gateway.rules.fleet import T0, Row, Stage, events


def test_a_tick_stamps_what_was_due_not_when_it_looked() -> None:
    stage = Stage(
        replace(
            TWO,
            levels=(Level("warning", limit=10.0, for_ms=2_000), Level("critical", limit=20.0, for_ms=5_000)),
        )
    )
    stage.read(0, t=25)
    transitions = stage.tick(60)
    assert [(each.event, each.at) for each in transitions] == [
        ("firing", T0 + 2_000),
        ("escalated", T0 + 5_000),
    ]


def test_only_listening_counts_as_silence() -> None:
    stage = Stage(replace(HOT, no_data=NoData(30_000, "t", "alerting", "info")))
    stage.evaluator.evaluate(stage.fleet.frame([Row("d", T0, {"t": 1.0})]), 1_000_000)
    assert stage.evaluator.tick(1_029_999) == []
    assert [each.cause for each in stage.evaluator.tick(1_030_000)] == ["no_data"]


def test_a_tick_without_effect_leaves_no_trace() -> None:
    stage = Stage(replace(HOT, no_data=NoData(30_000, "t", "alerting", "info")))
    stage.read(0, t=1)
    before = codec.pack(stage.evaluator.snapshot())
    assert stage.tick(29) == []
    assert codec.pack(stage.evaluator.snapshot()) == before


def test_no_data_ok_resolves_and_no_data_only_reports() -> None:
    stage = Stage(
        replace(HOT, name="A", no_data=NoData(10_000, "t", "ok", "info")),
        replace(HOT, name="B", no_data=NoData(10_000, "t", "no_data", "info")),
    )
    stage.read(0, t=15)
    transitions = stage.tick(10)
    assert [(each.rule, each.event, each.cause, each.state, each.level) for each in transitions] == [
        ("A", "resolved", "no_data", "resolved", "warning"),
        ("B", "no_data", "no_data", "firing", "warning"),
    ]
    assert [each.rule for each in stage.evaluator.firing()] == ["B"]
    assert stage.tick(100) == []


def test_a_metric_a_device_never_sent_is_not_missed() -> None:
    stage = Stage(Rule(name="S", group="g", no_data=NoData(10_000, "t", "alerting", "info")))
    stage.read(0, other=1)
    assert stage.tick(100) == []


def test_repeat() -> None:
    stage = Stage(replace(HOT, repeat_ms=60_000, commands=(command(on=("repeat",), cooldown_ms=0),)))
    stage.read(0, t=15)
    stage.read(30, t=15)
    assert stage.tick(59) == []
    (transitions,) = stage.tick(60)
    assert (
        transitions.event,
        transitions.state,
        transitions.at,
        transitions.notify,
        len(transitions.commands),
    ) == (
        "repeat",
        "firing",
        T0 + 60_000,
        True,
        1,
    )
    assert stage.tick(119) == []
    assert events(stage.tick(120)) == ["repeat"]


def test_late_times_do_not_advance_a_rule_and_repeated_ones_do() -> None:
    stage = Stage(HOT)
    stage.read(10, t=5)
    assert stage.read(9, t=15) == []
    assert events(stage.read(10, u=3)) == []
    assert events(stage.read(10, t=15)) == ["firing"]
    assert events(stage.read(10, t=5)) == ["resolved"]


def test_two_messages_of_one_time_may_bring_two_metrics() -> None:
    stage = Stage(replace(HOT, expr="t + u"))
    assert stage.read(10, t=5) == []
    assert events(stage.read(10, u=6)) == ["firing"]


def back_to(stage: Stage, second: int, *, listening: int) -> None:
    """Set the device's clock back to so many seconds; `listening` in seconds."""
    at = np.array([T0 + second * 1000])
    stage.evaluator.rewind(np.array([0]), at, at, listening * 1000)


def test_over_a_clock_step_waits_and_repeats_and_cooldowns_keep_their_durations() -> None:
    slow = replace(HOT, name="Slow", levels=(Level("warning", limit=10.0, for_ms=60_000),))
    told = replace(HOT, name="Told", repeat_ms=60_000, commands=(command(),))
    stage = Stage(slow, told)
    assert events(stage.read(1000, t=15)) == ["pending", "firing"]
    back_to(stage, 10, listening=1040)
    assert stage.read(10, t=15) == [], "40 s have passed"
    resolved, *_ = stage.read(11, t=5)
    assert (resolved.state, resolved.at) == ("inactive", T0 + 1_000_001), "after the wait, as it was told"
    firing = [each for each in stage.read(29, t=15) if each.rule == "Told"]
    assert [len(each.commands) for each in firing] == [0], "59 s after the first"


def test_a_wait_that_ends_after_a_clock_step_ends_when_it_would_have() -> None:
    stage = Stage(replace(HOT, levels=(Level("warning", limit=10.0, for_ms=60_000),)))
    assert events(stage.read(1000, t=15)) == ["pending"]
    back_to(stage, 10, listening=1040)
    assert stage.read(10, t=15) == []
    assert stage.read(29, t=15) == []
    (fired,) = stage.read(30, t=15)
    assert (fired.event, fired.at) == ("firing", T0 + 1_000_001), "after the wait, as it was told"


def test_ranges_start_anew_after_a_clock_step() -> None:
    stage = Stage(replace(HOT, expr="count_over_time(t, 1m)", levels=(Level("warning", limit=2.0),)))
    assert [events(stage.read(second, t=1)) for second in (100, 101)] == [[], []]
    back_to(stage, 10, listening=102)
    assert [events(stage.read(second, t=1)) for second in (10, 11, 12)] == [[], [], ["firing"]]


def test_warmup() -> None:
    stage = Stage(replace(HOT, warmup_ms=60_000))
    assert stage.read(0, t=15) == []
    assert stage.read(59, t=15) == []
    assert events(stage.read(60, t=15)) == ["firing"]

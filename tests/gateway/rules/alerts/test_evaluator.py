"""What the evaluator tells beside levels and times: commands, texts, joins, derived metrics, devices that change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_gateway.records import codec
from edge_gateway.records.alerts import CommandIntent, Transition, alert_id
from edge_gateway.rules.alerts.evaluator import Evaluator
from edge_gateway.rules.language.ruleset import Command, Level, NoData, Override, Rule, RuleSet
from tests.gateway.rules.fleet import T0, Row, Stage, causes

HOT = Rule(name="Hot", group="g", expr="t", levels=(Level("warning", limit=10.0),))
TWO = replace(HOT, levels=(Level("warning", limit=10.0), Level("critical", limit=20.0)))


def test_a_transition_says_everything() -> None:
    rule = replace(
        HOT,
        labels={"line": "{{ tags.line }}", "fixed": "x"},
        annotations={
            "summary": "{{ device }} ({{ type | upper }}) at {{ value | round(1) }}, limit {{ limit }}, "
            "{{ labels.line }}"
        },
    )
    stage = Stage(rule)
    stage.fleet.born("d", line="L1")
    (transitions,) = stage.read(5, t=10.25)
    assert transitions == Transition(
        id=alert_id("g", "Hot", "d", T0 + 5000),
        group="g",
        rule="Hot",
        level="warning",
        previous_level=None,
        state="firing",
        subject="d",
        site="berlin",
        metric="t",
        value=10.25,
        limit=10.0,
        at=T0 + 5000,
        boot=1,
        seq=0,
        cause="firing",
        notify=True,
        labels={"line": "L1", "fixed": "x"},
        annotations={"summary": "d (FREEZER) at 10.2, limit 10, L1"},
    )
    assert len(transitions.id) == 16


def test_the_limit_itself_is_not_beyond_and_clears() -> None:
    stage = Stage(HOT)
    assert stage.read(0, t=10) == []
    assert causes(stage.read(1, t=10.001)) == ["firing"]
    assert causes(stage.read(2, t=10)) == ["resolved"]


def test_below() -> None:
    stage = Stage(replace(HOT, levels=(Level("info", above=False, limit=2.0, clear=3.0),)))
    assert causes(stage.read(0, t=1.9)) == ["firing"]
    assert stage.read(1, t=2.9) == []
    assert causes(stage.read(2, t=3.0)) == ["resolved"]


# --- commands


def command(**changes: Any) -> Command:
    return replace(Command("fan", {"speed": 3}, ("firing", "escalated"), 60_000, 30_000, 5_000, 2), **changes)


def test_a_command_carries_its_terms() -> None:
    stage = Stage(replace(TWO, commands=(command(),)))
    (transitions,) = stage.read(0, t=15)
    assert transitions.commands == (CommandIntent("fan", {"speed": 3}, 30_000, 5_000, 2),)


def test_cooldown_is_per_level_and_an_escalation_does_not_wait() -> None:
    stage = Stage(replace(TWO, commands=(command(),)))
    values = [15, 25, 15, 25, 5, 15, 15, 5, 15]
    given = [len(each.commands) for second, t in enumerate(values) for each in stage.read(second * 10, t=t)]
    #        firing, escalated, de, escalated again (hot), resolved, firing (hot), resolved, firing after 80 s
    assert given == [1, 1, 0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("on", "given"),
    [
        ("firing", [1, 0, 0, 0]),
        ("escalated", [0, 1, 0, 0]),
        ("deescalated", [0, 0, 1, 0]),
        ("resolved", [0, 0, 0, 1]),
        ("no_data", [0, 0, 0, 0]),
    ],
)
def test_commands_on(on: str, given: list[int]) -> None:
    stage = Stage(replace(TWO, commands=(command(on=(on,), cooldown_ms=0),)))
    transitions = [each for second, t in enumerate((15, 25, 15, 5)) for each in stage.read(second, t=t)]
    assert [len(each.commands) for each in transitions] == given


def test_silence_commands_only_where_it_is_asked_for() -> None:
    rule = replace(HOT, no_data=NoData(10_000, "t", "alerting", "critical"))
    stage = Stage(replace(rule, commands=(command(), command(name="siren", on=("no_data",)))))
    stage.read(0, t=1)
    (transitions,) = stage.tick(10)
    assert [intent.name for intent in transitions.commands] == ["siren"]
    assert (transitions.cause, transitions.level, transitions.value, transitions.limit, transitions.at) == (
        "no_data",
        "critical",
        None,
        None,
        T0 + 10_000,
    )


def test_backlog_moves_the_state_and_nothing_else() -> None:
    stage = Stage(replace(HOT, commands=(command(),)))
    (transitions,) = stage.read(0, backlog=True, t=15)
    assert (transitions.state, transitions.backlog, transitions.notify, transitions.commands) == (
        "firing",
        True,
        False,
        (),
    )
    (transitions,) = stage.read(1, t=5)
    assert (transitions.state, transitions.backlog, transitions.notify) == ("resolved", False, True)


def test_for_that_completes_on_a_tick_inherits_the_backlog() -> None:
    rule = replace(HOT, levels=(Level("warning", limit=10.0, for_ms=5_000),), commands=(command(),))
    stage = Stage(rule)
    stage.read(0, backlog=True, t=15)
    (transitions,) = stage.tick(6)
    assert (transitions.state, transitions.at, transitions.backlog, transitions.commands) == (
        "firing",
        T0 + 5_000,
        True,
        (),
    )


def test_notify_device_false() -> None:
    stage = Stage(replace(HOT, notify_device=False))
    assert [each.notify for each in stage.read(0, t=15)] == [False]


# --- time


def test_a_tick_stamps_what_was_due_not_when_it_looked() -> None:
    stage = Stage(
        replace(
            TWO,
            levels=(Level("warning", limit=10.0, for_ms=2_000), Level("critical", limit=20.0, for_ms=5_000)),
        )
    )
    stage.read(0, t=25)
    transitions = stage.tick(60)
    assert [(each.cause, each.at) for each in transitions] == [
        ("firing", T0 + 2_000),
        ("escalated", T0 + 5_000),
    ]


def test_only_listening_counts_as_silence() -> None:
    stage = Stage(replace(HOT, no_data=NoData(30_000, "t", "alerting", "info")))
    stage.evaluator.evaluate(stage.fleet.frame([Row("d", T0, {"t": 1.0})]), 1_000_000)
    assert stage.evaluator.tick(1_029_999) == []
    assert causes(stage.evaluator.tick(1_030_000)) == ["no_data"]


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
    assert [(each.rule, each.cause, each.state, each.level) for each in transitions] == [
        ("A", "no_data", "resolved", "warning"),
        ("B", "no_data", "firing", "warning"),
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
        transitions.cause,
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
    assert causes(stage.tick(120)) == ["repeat"]


def test_late_times_do_not_advance_a_rule_and_repeated_ones_do() -> None:
    stage = Stage(HOT)
    stage.read(10, t=5)
    assert stage.read(9, t=15) == []
    assert causes(stage.read(10, u=3)) == []
    assert causes(stage.read(10, t=15)) == ["firing"]
    assert causes(stage.read(10, t=5)) == ["resolved"]


def test_two_messages_of_one_time_may_bring_two_metrics() -> None:
    stage = Stage(replace(HOT, expr="t + u"))
    assert stage.read(10, t=5) == []
    assert causes(stage.read(10, u=6)) == ["firing"]


def back_to(stage: Stage, second: int, *, listening: int) -> None:
    """Set the device's clock back to so many seconds; `listening` in seconds."""
    stage.evaluator.rewind(np.array([0]), np.array([T0 + second * 1000]), listening * 1000)


def test_over_a_clock_step_waits_and_repeats_and_cooldowns_keep_their_durations() -> None:
    slow = replace(HOT, name="Slow", levels=(Level("warning", limit=10.0, for_ms=60_000),))
    told = replace(HOT, name="Told", repeat_ms=60_000, commands=(command(),))
    stage = Stage(slow, told)
    assert causes(stage.read(1000, t=15)) == ["pending", "firing"]
    back_to(stage, 10, listening=1040)
    assert stage.read(10, t=15) == [], "40 s have passed"
    resolved, *_ = stage.read(11, t=5)
    assert (resolved.cause, resolved.at) == ("inactive", T0 + 11_000)
    firing = [each for each in stage.read(29, t=15) if each.rule == "Told"]
    assert [len(each.commands) for each in firing] == [0], "59 s after the first"


def test_a_wait_that_ends_after_a_clock_step_ends_when_it_would_have() -> None:
    stage = Stage(replace(HOT, levels=(Level("warning", limit=10.0, for_ms=60_000),)))
    assert causes(stage.read(1000, t=15)) == ["pending"]
    back_to(stage, 10, listening=1040)
    assert stage.read(10, t=15) == []
    assert stage.read(29, t=15) == []
    (fired,) = stage.read(30, t=15)
    assert (fired.cause, fired.at) == ("firing", T0 + 30_000)


def test_ranges_start_anew_after_a_clock_step() -> None:
    stage = Stage(replace(HOT, expr="count_over_time(t, 1m)", levels=(Level("warning", limit=2.0),)))
    assert [causes(stage.read(second, t=1)) for second in (100, 101)] == [[], []]
    back_to(stage, 10, listening=102)
    assert [causes(stage.read(second, t=1)) for second in (10, 11, 12)] == [[], [], ["firing"]]


# --- expressions


def test_a_join_takes_the_last_value_until_it_is_too_old() -> None:
    stage = Stage(replace(HOT, expr="t + u"))
    stage.read(0, u=8)
    assert causes(stage.read(300, t=5)) == ["firing"]
    assert stage.read(301, t=1) == []
    assert causes(stage.read(302, u=1)) == ["resolved"]


def test_unknown_is_neither_true_nor_false() -> None:
    stage = Stage(replace(HOT, expr="t > 5 and not u > 5", levels=(Level("warning"),)))
    assert stage.read(0, t=9) == []
    (fired,) = stage.read(1, u=1)
    assert (fired.state, fired.value, fired.limit, fired.metric) == ("firing", 9.0, None, "t")
    assert stage.read(400, t=9) == []
    assert causes(stage.read(401, t=1)) == ["resolved"]


def test_a_clear_condition_ends_what_a_condition_began() -> None:
    rule = replace(HOT, expr='pump == "on" and flow < 1', clear_expr="flow > 3", levels=(Level("critical"),))
    stage = Stage(rule)
    stage.read(0, pump="on")
    assert causes(stage.read(1, flow=0.5)) == ["firing"]
    assert stage.read(2, flow=2.0) == []
    assert stage.read(3, pump="off") == []
    assert causes(stage.read(4, flow=3.5)) == ["resolved"]


@pytest.mark.parametrize(
    ("expr", "values", "holds"),
    [
        ('door == "open"', {"door": "open"}, True),
        ('door != "open"', {"door": "open"}, False),
        ('door in ("open", "ajar")', {"door": "ajar"}, True),
        ('door not in ("open", "ajar")', {"door": "ajar"}, False),
        ("leak == true", {"leak": "true"}, True),
        ('t > 1 and tag.zone == "cold"', {"t": 2}, True),
        ('t > 1 and tag.nothing == "unknown"', {"t": 2}, True),
        ('t > 1 and tag.zone in ("a", "b")', {"t": 2}, False),
        ("1 < t <= 2", {"t": 2}, True),
        ("1 < t < 2", {"t": 2}, False),
        ("t in (1, 2)", {"t": 2}, True),
        ("clamp(t, 0, 1) == 1", {"t": 2}, True),
        ("min(t, u) == 2 and max(t, u) == 5 and abs(-t) == 2", {"t": 2, "u": 5}, True),
        ("t / u > 0", {"t": 2, "u": 0}, False),
        ("not t / u > 0", {"t": 2, "u": 0}, False),
        ("u / t == 2.5 and -t + 2 * u - 8 == 0", {"t": 2, "u": 5}, True),
    ],
)
def test_what_expressions_say(expr: str, values: dict[str, Any], holds: bool) -> None:
    stage = Stage(replace(HOT, expr=expr, levels=(Level("warning"),)))
    stage.fleet.born("d", zone="cold")
    assert causes(stage.read(0, **values)) == (["firing"] if holds else [])


# --- records


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
    assert causes(stage.evaluator.evaluate(extended, 0)) == ["firing"]


def test_a_late_row_is_derived_from_its_own_values() -> None:
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
    ).value.tolist() == [3.0, 4.0, 2.0]


def test_frames_without_records_pass_unchanged() -> None:
    stage = Stage(HOT)
    frame = stage.fleet.frame([Row("d", T0, {"t": 1.0})])
    assert stage.evaluator.add_records(frame) is frame


# --- devices


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
    assert [(each.subject, each.cause, each.at - T0) for each in transitions] == [
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
    assert (transitions.rule, transitions.cause, transitions.state) == ("Hot", "removed", "resolved")
    assert [each.rule for each in stage.evaluator.firing()] == ["Other"]


def test_a_rule_in_another_unit_does_not_run_and_says_so() -> None:
    stage = Stage(replace(HOT, unit="°C"))
    stage.fleet.born("f", units={"t": "°F"})
    stage.fleet.born("c", units={"t": "°C"})
    assert stage.read(0, "f", t=99) == []
    assert causes(stage.read(0, "c", t=99)) == ["firing"]
    assert stage.evaluator.idle_rules() == ["f: Hot wants t in °C, the device sends °F"]
    stage.fleet.born("f", units={"t": "°C"}, fresh="yes")
    assert causes(stage.read(1, "f", t=99)) == ["firing"]
    assert stage.evaluator.idle_rules() == []


def test_warmup() -> None:
    stage = Stage(replace(HOT, warmup_ms=60_000))
    assert stage.read(0, t=15) == []
    assert stage.read(59, t=15) == []
    assert causes(stage.read(60, t=15)) == ["firing"]


def test_the_same_device_number_far_away() -> None:
    """Devices come in any number and order, also long after the rules."""
    stage = Stage(HOT)
    for number in range(300):
        stage.fleet.born(f"x{number}")
    assert causes(stage.read(0, "x299", t=15)) == ["firing"]
    stage.fleet.born("y")
    assert causes(stage.read(1, "y", t=15)) == ["firing"]
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
    assert causes(stage.read(1, t=15)) == ["firing"] * 300
    assert len(stage.evaluator.firing()) == 2 * 301
    assert causes(stage.read(2, "other", t=5)) == ["resolved"] * 301
    assert causes(stage.read(2, t=5)) == ["resolved"] * 301


def test_a_full_restore_goes_on_alike() -> None:
    rule = replace(
        TWO,
        keep_ms=30_000,
        repeat_ms=60_000,
        commands=(command(),),
        no_data=NoData(90_000, "t", "alerting", "info"),
    )
    record = Rule(name="twice", group="g", record=True, expr="t * 2")
    ranged = replace(
        HOT, name="Avg", expr="avg_over_time(twice, 1m)", levels=(Level("info", limit=30.0, for_ms=20_000),)
    )
    one, two = Stage(rule, record, ranged), Stage()
    for second in range(0, 40, 10):
        one.read(second, t=15 + second)
    two.fleet = one.fleet
    two.evaluator = Evaluator(RuleSet.empty(), one.fleet.registry)
    two.evaluator.restore(codec.unpack(codec.pack(one.evaluator.snapshot())))
    for second in range(40, 200, 10):
        values = {"t": 30.0 - second / 5}
        frame = one.fleet.frame([Row("d", T0 + second * 1000, values)])
        assert one.evaluator.evaluate(
            one.evaluator.add_records(frame), second * 1000
        ) == two.evaluator.evaluate(two.evaluator.add_records(frame), second * 1000)
        assert one.tick(second + 5) == two.tick(second + 5)
    assert one.tick(400) == two.tick(400)
    assert codec.pack(one.evaluator.snapshot()) == codec.pack(two.evaluator.snapshot())


def test_a_restore_into_a_changed_fleet_ends_what_no_longer_applies() -> None:
    stage = Stage(replace(HOT, match=({"line": ["L1"]},)))
    stage.fleet.born("d", line="L1")
    stage.read(0, t=15)
    snapshot = stage.evaluator.snapshot()
    stage.fleet.born("d", line="L2")
    again = Evaluator(RuleSet.empty(), stage.fleet.registry)
    again.restore(snapshot)
    assert causes(again.tick(0)) == ["removed"]
    assert again.tick(0) == []


def test_a_retired_device_ends_its_alerts_and_its_number_starts_over() -> None:
    stage = Stage(replace(HOT, commands=(command(),)))
    stage.read(100, t=15)
    stage.fleet.registry.retire(np.array([0]))
    assert causes(stage.tick(101)) == ["removed"]
    stage.evaluator.forget(np.array([0]))
    assert stage.fleet.device("new") == 0
    (fired,) = stage.read(1, "new", t=15)
    assert (fired.subject, fired.cause, len(fired.commands)) == ("new", "firing", 1)


def test_an_empty_frame_shows_only_what_changed_in_the_fleet() -> None:
    stage = Stage(replace(HOT, match=({"line": ["L1"]},)))
    stage.fleet.born("d", line="L1")
    stage.read(0, t=15)
    stage.fleet.born("d", line="L2")
    assert causes(stage.evaluator.evaluate(stage.fleet.frame([]))) == ["removed"]


def test_the_strings_in_use_are_those_of_rules_values_tags_and_records() -> None:
    code = (
        stage := Stage(
            replace(HOT, expr='door == "open" and tag.zone == "cold"', levels=(Level("info"),)),
            Rule(name="r", group="g", record=True, expr="t * 2"),
        )
    ).fleet.registry.strings.code
    stage.fleet.born("d", zone="hall")
    stage.read(0, door="shut")
    assert stage.evaluator.texts() == {code(each) for each in ("open", "cold", "hall", "shut")}

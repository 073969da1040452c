"""What a transition says, what expressions decide, and what a restored evaluator goes on with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_gateway.records import codec
from edge_gateway.records.alerts import Transition, alert_id
from edge_gateway.rules.alerts.evaluator import Evaluator
from edge_gateway.rules.language.ruleset import Level, NoData, Rule, RuleSet
from tests.gateway.rules.alerts.hot import HOT, TWO, command
from tests.gateway.rules.fleet import T0, Fleet, Row, Stage, events


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
        id=alert_id("Hot", "d", T0 + 5000, 1),
        group="g",
        rule="Hot",
        level="warning",
        was=None,
        state="firing",
        subject="d",
        site="berlin",
        metric="t",
        value=10.25,
        limit=10.0,
        at=T0 + 5000,
        boot=1,
        seq=0,
        event="firing",
        cause="reading",
        notify=True,
        labels={"line": "L1", "fixed": "x"},
        annotations={"summary": "d (FREEZER) at 10.2, limit 10, L1"},
    )
    assert len(transitions.id) == 16


def test_the_limit_itself_is_not_beyond_and_clears() -> None:
    stage = Stage(HOT)
    assert stage.read(0, t=10) == []
    assert events(stage.read(1, t=10.001)) == ["firing"]
    assert events(stage.read(2, t=10)) == ["resolved"]


def test_below() -> None:
    stage = Stage(replace(HOT, levels=(Level("info", above=False, limit=2.0, clear=3.0),)))
    assert events(stage.read(0, t=1.9)) == ["firing"]
    assert stage.read(1, t=2.9) == []
    assert events(stage.read(2, t=3.0)) == ["resolved"]


def test_a_join_takes_the_last_value_until_it_is_too_old() -> None:
    stage = Stage(replace(HOT, expr="t + u"))
    stage.read(0, u=8)
    assert events(stage.read(300, t=5)) == ["firing"]
    assert stage.read(301, t=1) == []
    assert events(stage.read(302, u=1)) == ["resolved"]


def test_unknown_is_neither_true_nor_false() -> None:
    stage = Stage(replace(HOT, expr="t > 5 and not u > 5", levels=(Level("warning"),)))
    assert stage.read(0, t=9) == []
    (fired,) = stage.read(1, u=1)
    assert (fired.state, fired.value, fired.limit, fired.metric) == ("firing", 9.0, None, "t")
    assert stage.read(400, t=9) == []
    assert events(stage.read(401, t=1)) == ["resolved"]


def test_a_clear_condition_ends_what_a_condition_began() -> None:
    rule = replace(HOT, expr='pump == "on" and flow < 1', levels=(Level("critical", clear_expr="flow > 3"),))
    stage = Stage(rule)
    stage.read(0, pump="on")
    assert events(stage.read(1, flow=0.5)) == ["firing"]
    assert stage.read(2, flow=2.0) == []
    assert stage.read(3, pump="off") == []
    assert events(stage.read(4, flow=3.5)) == ["resolved"]


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
    assert events(stage.read(0, **values)) == (["firing"] if holds else [])


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
        one.begin()
        two.evaluator.begin(one.records)
        values = {"t": 30.0 - second / 5}
        frame = one.fleet.frame([Row("d", T0 + second * 1000, values)])
        assert one.evaluator.evaluate(
            one.evaluator.add_records(frame), second * 1000
        ) == two.evaluator.evaluate(two.evaluator.add_records(frame), second * 1000)
        two.records = one.records
        assert one.tick(second + 5) == two.tick(second + 5)
    assert one.tick(400) == two.tick(400)
    assert codec.pack(one.evaluator.snapshot()) == codec.pack(two.evaluator.snapshot())


@pytest.mark.parametrize("back", [False, True])
def test_a_restart_keeps_what_waits_or_is_held_by_a_limit_of_its_time(back: bool) -> None:
    """So it does where the clock of the device was set back since, to a time that has another limit."""
    level = Level("warning", limit=30.0, limits=(("00:10-00:20", 20.0),), deadband=2.0)
    waits = replace(HOT, name="Waits", levels=(replace(level, for_ms=60_000),))
    held = replace(HOT, name="Held", expr="u", keep_ms=60_000, levels=(replace(level, limit=10.0),))
    stage = Stage(waits, held)
    stage.read(600, t=25, u=35)
    stage.read(610, t=25, u=15)
    if back:
        at = np.array([T0 + 310_000])
        stage.evaluator.rewind(np.array([0]), at, at, 610_000)
        stage.evaluator.evaluate(stage.fleet.frame([Row("d", T0 + 310_000, {"other": 1})]), 610_000)
    stage.restart()
    assert [(each.rule, each.event) for each in stage.tick(700)] == [
        ("Waits", "firing"),
        ("Held", "resolved"),
    ]


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


def test_a_range_holds_what_is_older_than_the_lookback_at_once() -> None:
    """`b` is 30 s behind what `door` has shown, and its last value counts for 20 s; its range is its own."""
    rule = Rule(
        name="R", group="g", expr="last_over_time(b, 10s) + a * 0", levels=(Level("warning", limit=2.0),),
        lookbacks={"b": 20_000},
    )  # fmt: skip
    fleet = Fleet()
    evaluator = Evaluator(RuleSet((rule,)), fleet.registry)

    def take(at: int, **values: Any) -> list[Any]:
        return evaluator.evaluate(fleet.frame([Row("d", T0 + at, values)]), at)

    assert take(30_000, door="open") == take(0, b=5) == []
    assert [each.state for each in take(0, a=5)] == ["firing"]

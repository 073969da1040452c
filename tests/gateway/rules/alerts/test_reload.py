"""Other rules while alerts stand: what is kept, what begins anew, what ends."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_gateway.records.alerts import Transition
from edge_gateway.rules.alerts.evaluator import Evaluator
from edge_gateway.rules.alerts.latch_cells import SavedCells
from edge_gateway.rules.alerts.reload import judge_by_limits
from edge_gateway.rules.language.ruleset import Level, NoData, Rule, RuleSet
from tests.gateway.rules.fleet import T0, Fleet, Row

HOT = Rule(
    name="Hot", group="g", expr="t", levels=(Level("warning", limit=10.0), Level("critical", limit=20.0))
)
SLOW = replace(HOT, name="Slow", levels=(Level("warning", limit=10.0, for_ms=60_000),))


class Stage:
    def __init__(self, *rules: Rule) -> None:
        self.fleet = Fleet()
        self.evaluator = Evaluator(RuleSet(rules), self.fleet.registry)

    def take(self, second: int, **values: Any) -> list[Transition]:
        frame = self.fleet.frame([Row("d", T0 + second * 1000, values)])
        return self.evaluator.evaluate(self.evaluator.add_records(frame), second * 1000)

    def read(self, second: int, **values: Any) -> list[Any]:
        return brief(self.take(second, **values))

    def reload(self, *rules: Rule) -> list[Any]:
        return brief(self.evaluator.reload(RuleSet(rules)))


def brief(transitions: list[Transition]) -> list[Any]:
    return [(each.rule, each.cause, each.state, each.level) for each in transitions]


def test_other_limits_keep_what_fires_and_what_waits() -> None:
    stage = Stage(HOT, SLOW)
    stage.read(0, t=15)
    before = {each.rule: each.id for each in stage.evaluator.active_alerts()}
    other = replace(SLOW, levels=(Level("warning", limit=12.0, for_ms=50_000),))
    assert (
        stage.reload(
            other, replace(HOT, levels=(Level("warning", limit=14.0), Level("critical", limit=20.0)))
        )
        == []
    )
    assert {each.rule: each.id for each in stage.evaluator.active_alerts()} == before
    assert stage.read(50, t=14.5) == [("Slow", "reading", "firing", "warning")]
    assert stage.read(51, t=13.0) == [("Hot", "reading", "resolved", "warning")]


@pytest.mark.parametrize(
    ("metric", "events"), [("other", []), ("t", [("Slow", "reload", "inactive", "warning")])]
)
def test_a_lookback_is_content_of_the_rules_that_name_its_metric(metric: str, events: list[Any]) -> None:
    """Those of a group stand in all of its rules."""
    rule = replace(SLOW, on_change="reset")
    stage = Stage(rule)
    stage.read(0, t=15)
    assert stage.reload(replace(rule, lookbacks={metric: 20_000})) == events


def test_another_expression_does_not_forget_that_a_missed_metric_is_back() -> None:
    silent = replace(HOT, expr="u", keep_ms=20_000, no_data=NoData(30_000, "t", "alerting", "info"))
    stage = Stage(silent)
    stage.read(0, t=5)
    assert brief(stage.evaluator.tick(31_000)) == [("Hot", "no_data", "firing", "info")]
    stage.read(40, t=5)
    assert stage.reload(replace(silent, expr="u + 1")) == []
    assert brief(stage.evaluator.tick(60_000)) == [("Hot", "time", "resolved", "info")]


def test_another_condition_of_a_level_drops_what_waits_and_a_new_level_drops_nothing() -> None:
    waits = Level("warning", expr="t > 10", for_ms=60_000)
    stage = Stage(replace(HOT, expr=None, levels=(waits,)))
    stage.read(0, t=15)
    both = (waits, Level("critical", expr="t > 20"))
    assert stage.reload(replace(HOT, expr=None, levels=both)) == []
    other = (replace(waits, expr="t > 11"), both[1])
    assert stage.reload(replace(HOT, expr=None, levels=other)) == [("Hot", "reload", "inactive", "warning")]


def test_another_expression_drops_what_waits_and_keeps_what_fires_until_it_is_evaluated() -> None:
    stage = Stage(HOT, SLOW)
    stage.read(0, t=15, u=15)
    transitions = stage.reload(replace(HOT, expr="u"), replace(SLOW, expr="u"))
    assert transitions == [("Slow", "reload", "inactive", "warning")]
    assert [each.rule for each in stage.evaluator.firing()] == ["Hot"]
    assert stage.read(1, t=1) == []
    assert stage.read(2, u=15) == [("Slow", "reading", "pending", "warning")]
    assert stage.read(3, u=1) == [
        ("Hot", "reading", "resolved", "warning"),
        ("Slow", "reading", "inactive", "warning"),
    ]


def test_another_expression_begins_its_history_anew_and_others_keep_theirs() -> None:
    averages = [
        replace(HOT, name=name, expr="avg_over_time(t, 1m)", levels=(Level("info", limit=10.0),))
        for name in "AB"
    ]
    stage = Stage(*averages)
    stage.read(0, t=0)
    stage.read(1, t=9)
    assert stage.reload(averages[0], replace(averages[1], expr="avg_over_time(t, 2m)")) == []
    assert stage.read(2, t=12) == [("B", "reading", "firing", "info")]


def test_a_rule_that_is_gone_ends_its_alerts() -> None:
    stage = Stage(HOT, SLOW)
    stage.read(0, t=25)
    assert stage.reload() == [
        ("Hot", "removed", "resolved", "critical"),
        ("Slow", "removed", "inactive", "warning"),
    ]
    assert stage.evaluator.active_alerts() == []
    assert stage.reload(HOT) == []
    assert stage.read(1, t=25) == [("Hot", "reading", "firing", "critical")]


def test_a_reset_begins_anew_but_only_when_something_changed() -> None:
    resetting = replace(HOT, on_change="reset")
    stage = Stage(resetting)
    stage.read(0, t=15)
    assert stage.reload(resetting) == []
    changed = replace(resetting, labels={"a": "b"})
    assert stage.reload(changed) == [("Hot", "reload", "resolved", "warning")]
    assert stage.read(1, t=15) == [("Hot", "reading", "firing", "warning")]


def test_a_level_that_is_gone_gives_way_to_those_that_stay() -> None:
    stage = Stage(HOT)
    stage.read(0, t=25)
    assert stage.reload(replace(HOT, levels=(Level("warning", limit=10.0),))) == [
        ("Hot", "reload", "firing", "warning")
    ]
    assert stage.reload(replace(HOT, levels=(Level("critical", limit=12.0), Level("info", limit=30.0)))) == [
        ("Hot", "reload", "firing", "info")
    ], "of several the lowest takes its place"


@pytest.mark.parametrize(("severity", "event"), [("critical", "escalated"), ("info", "deescalated")])
def test_another_severity_keeps_the_alert(severity: str, event: str) -> None:
    rule = replace(HOT, levels=(Level("warning", limit=10.0),))
    stage = Stage(rule)
    (fired,) = stage.take(0, t=15)
    (changed,) = stage.evaluator.reload(RuleSet((replace(rule, levels=(Level(severity, limit=10.0),)),)))
    assert (changed.event, changed.cause, changed.state, changed.level, changed.was) == (
        *(event, "reload", "firing", severity, "warning"),
    )
    assert (changed.id, changed.value, changed.limit) == (fired.id, 15.0, 10.0)
    assert stage.read(1, t=5) == [("Hot", "reading", "resolved", severity)]


def test_another_severity_keeps_a_wait() -> None:
    stage = Stage(SLOW)
    stage.read(0, t=15)
    (waiting,) = stage.evaluator.active_alerts()
    assert stage.reload(replace(SLOW, levels=(Level("critical", limit=10.0, for_ms=50_000),))) == []
    assert stage.read(50, t=15) == [("Slow", "reading", "firing", "critical")]
    assert [each.id for each in stage.evaluator.firing()] == [waiting.id]


def test_a_group_of_another_name_keeps_the_alert() -> None:
    stage = Stage(HOT)
    (fired,) = stage.take(0, t=15)
    assert stage.reload(replace(HOT, group="another")) == []
    (resolved,) = stage.take(1, t=5)
    assert (resolved.event, resolved.group, resolved.id) == ("resolved", "another", fired.id)


def test_a_rule_that_comes_back_begins_another_alert_though_no_time_has_passed() -> None:
    stage = Stage(HOT)
    found = stage.take(0, t=15)
    found += stage.evaluator.reload(RuleSet())
    stage.reload(HOT)
    found += stage.take(0, t=15)
    assert [(each.event, each.at - T0) for each in found] == [("firing", 0), ("resolved", 1), ("firing", 2)]
    assert len({each.id for each in found}) == 2


def test_what_waits_is_judged_by_the_limits_in_force() -> None:
    stage = Stage(SLOW)
    stage.read(0, t=12)
    higher = replace(SLOW, levels=(Level("warning", limit=20.0, for_ms=50_000),))
    assert stage.reload(higher) == [("Slow", "reload", "inactive", "warning")]
    assert stage.evaluator.tick(60_000) == []


def test_what_is_held_is_judged_by_the_limits_in_force() -> None:
    held = replace(HOT, levels=(Level("warning", limit=10.0, clear=9.0),), keep_ms=30_000)
    stage = Stage(held)
    stage.read(0, t=15)
    stage.read(10, t=8)
    assert stage.reload(replace(held, levels=(Level("warning", limit=10.0, clear=5.0),))) == []
    assert stage.evaluator.tick(60_000) == [], "8 is not clear any more"
    assert stage.read(61, t=4) == []
    (resolved,) = stage.evaluator.tick(91_000)
    assert (resolved.event, resolved.cause, resolved.value, resolved.limit) == ("resolved", "time", 4.0, 10.0)


@pytest.mark.parametrize(
    ("on", "up", "down", "value", "kept"),
    [
        (False, 7, 0, 22.5, (True, 7, 0)),
        (False, 7, 0, 20.0, (False, 0, 0)),
        (False, 7, 0, math.nan, (False, 0, 0)),
        (True, 7, 0, 20.0, (True, 0, 0)),
        (True, 0, 9, 20.0, (True, 0, 9)),
        (True, 0, 9, 20.5, (True, 0, 0)),
    ],
)
def test_what_waits_or_is_held_is_judged_by_the_limits_of_its_cell(
    on: bool, up: int, down: int, value: float, kept: tuple[bool, int, int]
) -> None:
    stage = Stage(HOT)
    stage.read(0, t=5)
    state, one = stage.evaluator.state, np.ones(1, np.int64)
    saved = SavedCells(
        one * 0, one * 0, one * 2, one > 1 - on, one * up, one * down, one * 0, np.array([value]), one * T0
    )
    cells = state.cells.insert(saved)
    judge_by_limits(state, np.append(cells, -1))
    (cell,) = cells.tolist()
    assert (state.cells.busy[cell], state.cells.up[cell], state.cells.down[cell]) == kept
    assert (state.cells.on[cell], state.cells.raised.sum()) == (on, on)


@pytest.mark.parametrize("timed", [20.0, 30.0])
def test_what_waits_is_judged_by_the_limit_of_its_time(timed: float) -> None:
    """The default, 10, does not count at that time."""
    level = Level("warning", limit=10.0, for_ms=60_000, limits=(("00:00-01:00", 15.0),))
    stage = Stage(replace(SLOW, levels=(level,)))
    stage.read(0, t=25)
    other = replace(SLOW, levels=(replace(level, limits=(("00:00-01:00", timed),)),))
    assert stage.reload(other) == ([] if timed < 25 else [("Slow", "reload", "inactive", "warning")])


@pytest.mark.parametrize("timed", [15.0, 20.0])
def test_what_is_held_is_judged_by_the_limit_of_its_time(timed: float) -> None:
    level = Level("warning", limit=10.0, limits=(("00:00-01:00", 20.0),), deadband=2.0)
    held = replace(HOT, levels=(level,), keep_ms=30_000)
    stage = Stage(held)
    stage.read(0, t=25)
    stage.read(10, t=18)
    other = replace(held, levels=(replace(level, limits=(("00:00-01:00", timed),)),), labels={"a": "b"})
    assert stage.reload(other) == []
    assert len(stage.evaluator.tick(40_000)) == (timed == 20.0), "18 is clear of 20, and not of 15"


def test_another_condition_to_clear_is_waited_for_anew() -> None:
    held = replace(HOT, expr="t > 10", levels=(Level("warning", clear_expr="t < 9"),), keep_ms=30_000)
    stage = Stage(held)
    stage.read(0, t=15)
    stage.read(10, t=8)
    assert stage.reload(replace(held, levels=(Level("warning", clear_expr="t < 5"),))) == []
    assert stage.evaluator.tick(60_000) == []


@pytest.mark.parametrize("clear", ["t < 9", None])
def test_another_condition_to_clear_counts_though_the_severity_is_another_too(clear: str | None) -> None:
    held = replace(HOT, expr="t > 10", levels=(Level("warning", clear_expr="t < 9"),), keep_ms=30_000)
    stage = Stage(held)
    stage.read(0, t=15)
    stage.read(10, t=8)
    (changed,) = stage.reload(replace(held, levels=(Level("critical", clear_expr=clear),)))
    assert changed == ("Hot", "reload", "firing", "critical")
    assert len(stage.evaluator.tick(60_000)) == (clear is not None), (
        "held as before only if it clears as before"
    )


def test_no_value_of_another_expression_is_shown() -> None:
    stage = Stage(replace(HOT, repeat_ms=60_000))
    stage.read(0, t=15)
    stage.reload(replace(HOT, expr="t * 100", repeat_ms=60_000))
    (repeated,) = stage.evaluator.tick(60_000)
    assert (repeated.event, repeated.value, repeated.limit) == ("repeat", None, None)


def test_a_rule_that_no_longer_selects_the_device() -> None:
    stage = Stage(HOT)
    stage.read(0, t=15)
    assert stage.reload(replace(HOT, match=({"site": ["oslo"]},))) == [
        ("Hot", "reload", "resolved", "warning")
    ]
    assert stage.read(1, t=15) == []


def test_silence_survives_a_reload_unless_another_metric_is_watched() -> None:
    silent = Rule(name="S", group="g", no_data=NoData(10_000, "t", "alerting", "info"))
    stage = Stage(silent)
    stage.read(0, t=1, u=1)
    assert brief(stage.evaluator.tick(10_000)) == [("S", "no_data", "firing", "info")]
    assert stage.reload(silent, HOT) == []
    other = replace(silent, no_data=NoData(20_000, "u", "alerting", "info"))
    assert stage.reload(other, HOT) == [("S", "reload", "resolved", "info")]
    assert stage.read(15, u=1) == []


def test_the_order_of_rules_does_not_matter() -> None:
    stage = Stage(HOT, SLOW)
    stage.read(0, t=15)
    assert stage.reload(SLOW, Rule(name="r", group="g", record=True, expr="t * 2"), HOT) == []
    assert stage.read(60, t=15) == [("Slow", "reading", "firing", "warning")]


def test_records_keep_their_history() -> None:
    mean = Rule(name="m", group="g", record=True, expr="avg_over_time(t, 1m)")
    high = replace(HOT, expr="m", levels=(Level("info", limit=7.0),))
    stage = Stage(mean, high)
    stage.read(0, t=2)
    assert stage.reload(mean, replace(high, levels=(Level("info", limit=8.0),))) == []
    assert stage.read(1, t=12) == []
    assert stage.read(2, t=16) == [("Hot", "reading", "firing", "info")]

"""Other rules while alerts stand: what is kept, what begins anew, what ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edge_gateway.records.alerts import Transition
from edge_gateway.rules.alerts.evaluator import Evaluator
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

    def read(self, second: int, **values: Any) -> list[Any]:
        frame = self.fleet.frame([Row("d", T0 + second * 1000, values)])
        return brief(self.evaluator.evaluate(self.evaluator.add_records(frame), second * 1000))

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
    assert stage.read(50, t=14.5) == [("Slow", "firing", "firing", "warning")]
    assert stage.read(51, t=13.0) == [("Hot", "resolved", "resolved", "warning")]


def test_another_condition_of_a_level_drops_what_waits_and_a_new_level_drops_nothing() -> None:
    waits = Level("warning", expr="t > 10", for_ms=60_000)
    stage = Stage(replace(HOT, expr=None, levels=(waits,)))
    stage.read(0, t=15)
    both = (waits, Level("critical", expr="t > 20"))
    assert stage.reload(replace(HOT, expr=None, levels=both)) == []
    other = (replace(waits, expr="t > 11"), both[1])
    assert stage.reload(replace(HOT, expr=None, levels=other)) == [("Hot", "removed", "inactive", "warning")]


def test_another_expression_drops_what_waits_and_keeps_what_fires_until_it_is_evaluated() -> None:
    stage = Stage(HOT, SLOW)
    stage.read(0, t=15, u=15)
    transitions = stage.reload(replace(HOT, expr="u"), replace(SLOW, expr="u"))
    assert transitions == [("Slow", "removed", "inactive", "warning")]
    assert [each.rule for each in stage.evaluator.firing()] == ["Hot"]
    assert stage.read(1, t=1) == []
    assert stage.read(2, u=15) == [("Slow", "pending", "pending", "warning")]
    assert stage.read(3, u=1) == [
        ("Hot", "resolved", "resolved", "warning"),
        ("Slow", "inactive", "inactive", "warning"),
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
    assert stage.read(2, t=12) == [("B", "firing", "firing", "info")]


def test_a_rule_that_is_gone_ends_its_alerts() -> None:
    stage = Stage(HOT, SLOW)
    stage.read(0, t=25)
    assert stage.reload() == [
        ("Hot", "removed", "resolved", "critical"),
        ("Slow", "removed", "inactive", "warning"),
    ]
    assert stage.evaluator.active_alerts() == []
    assert stage.reload(HOT) == []
    assert stage.read(1, t=25) == [("Hot", "firing", "firing", "critical")]


def test_a_reset_begins_anew_but_only_when_something_changed() -> None:
    resetting = replace(HOT, on_change="reset")
    stage = Stage(resetting)
    stage.read(0, t=15)
    assert stage.reload(resetting) == []
    changed = replace(resetting, labels={"a": "b"})
    assert stage.reload(changed) == [("Hot", "removed", "resolved", "warning")]
    assert stage.read(1, t=15) == [("Hot", "firing", "firing", "warning")]


def test_a_level_that_is_gone_gives_way_to_those_that_stay() -> None:
    stage = Stage(HOT)
    stage.read(0, t=25)
    assert stage.reload(replace(HOT, levels=(Level("warning", limit=10.0),))) == [
        ("Hot", "deescalated", "firing", "warning")
    ]
    assert stage.reload(replace(HOT, levels=(Level("info", limit=10.0),))) == [
        ("Hot", "removed", "resolved", "warning")
    ]


def test_a_rule_that_no_longer_selects_the_device() -> None:
    stage = Stage(HOT)
    stage.read(0, t=15)
    assert stage.reload(replace(HOT, match=({"site": ["oslo"]},))) == [
        ("Hot", "removed", "resolved", "warning")
    ]
    assert stage.read(1, t=15) == []


def test_silence_survives_a_reload_unless_another_metric_is_watched() -> None:
    silent = Rule(name="S", group="g", no_data=NoData(10_000, "t", "alerting", "info"))
    stage = Stage(silent)
    stage.read(0, t=1, u=1)
    assert brief(stage.evaluator.tick(10_000)) == [("S", "no_data", "firing", "info")]
    assert stage.reload(silent, HOT) == []
    other = replace(silent, no_data=NoData(20_000, "u", "alerting", "info"))
    assert stage.reload(other, HOT) == [("S", "removed", "resolved", "info")]
    assert stage.read(15, u=1) == []


def test_the_order_of_rules_does_not_matter() -> None:
    stage = Stage(HOT, SLOW)
    stage.read(0, t=15)
    assert stage.reload(SLOW, Rule(name="r", group="g", record=True, expr="t * 2"), HOT) == []
    assert stage.read(60, t=15) == [("Slow", "firing", "firing", "warning")]


def test_records_keep_their_history() -> None:
    mean = Rule(name="m", group="g", record=True, expr="avg_over_time(t, 1m)")
    high = replace(HOT, expr="m", levels=(Level("info", limit=7.0),))
    stage = Stage(mean, high)
    stage.read(0, t=2)
    assert stage.reload(mean, replace(high, levels=(Level("info", limit=8.0),))) == []
    assert stage.read(1, t=12) == []
    assert stage.read(2, t=16) == [("Hot", "firing", "firing", "info")]

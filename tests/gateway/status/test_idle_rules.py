"""Rules that devices match and nothing evaluates: told after an hour, until a reading or a reload."""

from dataclasses import replace

import pytest

from edge_gateway.rules.language.ruleset import Level, NoData, Rule, RuleSet
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.idle_rules import IdleRules
from edge_gateway.status.problems import Problems
from tests.gateway.rules.fleet import Stage

HOT = Rule(
    name="Hot", group="g", match=({"type": ["freezer"]},), expr="t", levels=(Level("warning", limit=10.0),)
)
HOUR = 3_600


class Watch:
    def __init__(self, *rules: Rule) -> None:
        self.stage = Stage(*rules)
        self.idle = IdleRules()

    def told(self, second: float) -> str:
        self.stage.tick(second)
        return self.idle.check(self.stage.evaluator)


def test_a_rule_that_devices_match_and_nothing_evaluates_is_told_after_an_hour() -> None:
    watch = Watch(HOT)
    watch.stage.fleet.born("a")
    assert watch.told(0) == ""
    watch.stage.read(5, "a", u=20)
    assert watch.told(HOUR - 1) == ""
    assert watch.told(HOUR) == "Hot: 1 device matches, and no reading of t has come for an hour; 1 in all"
    watch.stage.fleet.born("b")
    assert "2 devices match" in watch.told(HOUR + 1)


def test_a_reading_ends_it_for_good() -> None:
    watch = Watch(HOT)
    watch.stage.fleet.born("a")
    watch.told(0)
    assert watch.told(HOUR)
    watch.stage.read(HOUR + 1, "a", t=1)
    assert watch.told(HOUR + 1) == ""
    assert watch.told(9 * HOUR) == ""


def test_a_reload_begins_anew() -> None:
    watch = Watch(HOT)
    watch.stage.fleet.born("a")
    watch.told(0)
    assert watch.told(HOUR)
    watch.stage.evaluator.reload(RuleSet((replace(HOT, levels=(Level("warning", limit=11.0),)),)))
    assert watch.told(HOUR + 1) == ""
    assert watch.told(2 * HOUR) == ""
    assert watch.told(2 * HOUR + 1)


def test_an_hour_without_devices_does_not_count() -> None:
    watch = Watch(HOT)
    assert watch.told(0) == ""
    assert watch.told(2 * HOUR) == ""
    watch.stage.fleet.born("a")
    assert watch.told(2 * HOUR) == ""
    assert watch.told(3 * HOUR)


def test_records_are_watched_and_rules_that_time_alone_evaluates_are_not() -> None:
    record = Rule(name="double", group="g", record=True, expr="u * 2")
    silent = Rule(name="Silent", group="g", no_data=NoData(600_000, "u", "alerting", "warning"))
    watch = Watch(record, silent)
    watch.stage.fleet.born("a")
    watch.stage.read(0, "a", t=1)
    watch.told(0)
    assert watch.told(HOUR) == "double: 1 device matches, and no reading of u has come for an hour; 1 in all"


def test_a_metric_of_several_is_enough() -> None:
    watch = Watch(replace(HOT, expr="t - h"))
    watch.stage.fleet.born("a")
    watch.told(0)
    assert "no reading of t or h has come" in watch.told(HOUR)
    watch.stage.read(HOUR + 1, "a", h=1)
    assert watch.told(HOUR + 1) == ""


def test_three_are_named_and_all_are_counted() -> None:
    watch = Watch(*[replace(HOT, name=f"R{number}") for number in range(5)])
    watch.stage.fleet.born("a")
    watch.told(0)
    text = watch.told(HOUR)
    assert text.count("1 device matches") == 3
    assert text.endswith("; 5 in all")


def test_another_unit_is_told_at_once() -> None:
    watch = Watch(replace(HOT, unit="°C"))
    watch.stage.fleet.born("f", units={"t": "°F"})
    assert watch.told(0) == "f: Hot wants t in °C, the device sends °F; 1 in all"


def test_a_device_that_measures_a_record_is_told_until_the_record_is_renamed() -> None:
    record = Rule(name="double", group="g", record=True, expr="u * 2")
    watch = Watch(record)
    watch.stage.read(0, "a", u=1)
    assert watch.told(0) == ""
    watch.stage.read(1, "a", u=1, double=5)
    assert watch.told(1) == "a: it measures double, which is a record; rename the record; 1 in all"
    watch.stage.evaluator.reload(RuleSet((replace(record, name="twice"),)))
    assert watch.told(2) == ""


@pytest.mark.problem("raises", "rules_idle")
@pytest.mark.problem("clears", "rules_idle")
def test_it_is_a_problem_that_a_reading_clears() -> None:
    watch, problems = Watch(HOT), Problems(lambda: 0)
    watch.stage.fleet.born("a")
    watch.told(0)
    problems.update(Problem.RULES_IDLE, watch.told(HOUR))
    assert "no reading of t" in problems.text_of(Problem.RULES_IDLE)
    watch.stage.read(HOUR + 1, "a", t=1)
    problems.update(Problem.RULES_IDLE, watch.told(HOUR + 1))
    assert Problem.RULES_IDLE not in problems

"""`rules check --cost`: rows by rule, totals for a fleet, and how they are shown."""

from itertools import count

from edge_gateway.cli.rule_costs import DEVICES, costs_of, costs_view
from edge_gateway.rules.language.ruleset import Level, Rule, RuleSet
from tests.gateway.cli.test_tables import looked_at

HOT = Rule(name="Hot", group="g", expr="t", levels=(Level("warning", limit=10.0),))
MEAN = Rule(name="Mean", group="g", expr="avg_over_time ( t , 1m )", levels=(Level("warning", limit=10.0),))
RULES = RuleSet((HOT, MEAN))


class Slower:
    """A clock by which every look takes a microsecond a device longer than the one before."""

    def __init__(self) -> None:
        self.looks, self.now = count(), 0.0

    def __call__(self) -> float:
        self.now += next(self.looks) * DEVICES / 1e6
        return self.now


def test_a_rule_costs_what_it_takes_beyond_no_rules() -> None:
    costs = costs_of(RULES, 10, Slower(), steps=1)
    hot, mean = costs["rules"]
    assert 0 < hot["ns"] < mean["ns"]
    assert (hot["relative"], mean["relative"]) == (hot["ns"] / mean["ns"], 1.0)
    assert costs["total"]["ns"] == hot["ns"] + mean["ns"]
    assert costs["total"]["range_bytes"] == 10 * mean["range_bytes"] > 0
    assert costs["caps"] == {"rules": 2_000, "nodes": 400}


def test_a_clock_that_does_not_move_divides_nothing_by_zero() -> None:
    costs = costs_of(RULES, 1, lambda: 0.0, steps=1)
    assert [row["relative"] for row in costs["rules"]] == [0.0, 0.0]
    assert costs_of(RuleSet(), 1, lambda: 0.0, steps=1)["total"]["ns"] == 0


def test_the_most_costly_is_shown_first() -> None:
    lines = looked_at(costs_view(costs_of(RULES, 1_000, Slower(), steps=1)))
    assert lines[0].split() == ["rule", "time", "relative", "ranges", "columns", "of", "the", "cap"]
    assert [line.split()[0] for line in lines[1:3]] == ["Mean", "Hot"]
    assert "100%" in lines[1]
    assert "none" in lines[2]
    assert lines[3].startswith("in all: 2 of at most 2,000 rules, ")
    assert lines[3].endswith(" if every rule runs on 1,000 devices")

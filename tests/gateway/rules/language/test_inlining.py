"""Formulas of records in the place of their names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_gateway.rules.language.inlining import formulas_of, with_formulas
from edge_gateway.rules.language.ruleset import Level, NoData, Rule, RuleSet

GAP = Rule(name="gap", group="g", record=True, expr="t - u", lookbacks={"t": 5, "u": 9})
HOT = Rule(name="Hot", group="g", levels=(Level("warning", limit=10.0),), lookbacks={"t": 7})


@pytest.mark.parametrize(
    ("expr", "becomes"),
    [
        ("gap", "( t - u )"),
        ("2 * gap", "2 * ( t - u )"),
        ("gap > 5 and gap < 9", "( t - u ) > 5 and ( t - u ) < 9"),
        ("max ( gap , v )", "max ( ( t - u ) , v )"),
        ("avg_over_time ( gap , 5m ) + gap", "avg_over_time ( gap , 5m ) + ( t - u )"),
    ],
)
def test_a_name_gives_way_to_its_formula_but_in_ranges(expr: str, becomes: str) -> None:
    found = with_formulas(replace(HOT, expr=expr), {"gap": GAP})
    assert (found.expr, found.metric, found.value_expr) == (becomes, "gap", "t - u")
    assert found.lookbacks == {"t": 7, "u": 9}, "the longest holds"


@pytest.mark.parametrize("expr", ["avg_over_time ( gap , 5m )", "t + 1"])
def test_a_rule_that_reads_no_last_value_of_a_record_stays(expr: str) -> None:
    rule = replace(HOT, expr=expr)
    assert with_formulas(rule, {"gap": GAP}) is rule


def test_the_condition_to_clear_is_replaced_too() -> None:
    rule = replace(HOT, expr="v > 5", levels=(Level("warning", clear_expr="gap < 2"),))
    found = with_formulas(rule, {"gap": GAP})
    assert (found.expr, found.levels[0].clear_expr, found.metric) == ("v > 5", "( t - u ) < 2", "v")


def test_the_conditions_of_levels_are_replaced() -> None:
    levels = (Level("warning", expr="gap > 5"), Level("critical", expr="v > 9", clear_expr="gap < 1"))
    found = with_formulas(replace(HOT, expr=None, levels=levels), {"gap": GAP})
    assert [(each.expr, each.clear_expr) for each in found.levels] == [
        ("( t - u ) > 5", None),
        ("v > 9", "( t - u ) < 1"),
    ]


def test_a_record_of_other_devices_stays_by_name() -> None:
    only = replace(GAP, match=({"type": ["freezer"]},))
    rule = replace(HOT, expr="gap")
    assert with_formulas(rule, {"gap": only}) is rule
    same = replace(rule, match=({"site": ["oslo"]}, {"type": ["freezer"]}))
    assert with_formulas(same, {"gap": only}).expr == "( t - u )"


def test_an_expression_that_would_become_too_long_keeps_the_name() -> None:
    long = replace(GAP, expr=" + ".join(["t"] * 100))
    rule = replace(HOT, expr="gap + gap")
    assert with_formulas(rule, {"gap": long}) is rule


def test_silence_is_that_of_the_formula_s_metric_unless_another_is_watched() -> None:
    rule = replace(HOT, expr="gap", no_data=NoData(1, "gap", "alerting", "info"))
    found = with_formulas(rule, {"gap": GAP})
    assert found.no_data == NoData(1, "t", "alerting", "info")
    other = replace(rule, no_data=NoData(1, "v", "alerting", "info"))
    assert with_formulas(other, {"gap": GAP}).no_data == other.no_data


def test_records_of_records_are_replaced_all_the_way() -> None:
    twice = Rule(name="twice", group="g", record=True, expr="gap * 2")
    assert formulas_of((GAP, twice))["twice"].expr == "( t - u ) * 2"
    rules = RuleSet((replace(HOT, expr="twice"), twice, GAP))
    assert [rule.expr for rule in rules.alerts] == ["( ( t - u ) * 2 )"]
    assert [rule.expr for rule in rules.records] == ["t - u", "gap * 2"], "which go on to be recorded"

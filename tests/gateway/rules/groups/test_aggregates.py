from edge_gateway.rules.groups.aggregates import split
from edge_gateway.rules.language.expression import Call, MetricRef, Number
from edge_gateway.rules.language.ruleset import Level, Rule


def rule(name: str, expr: str, *levels: Level) -> Rule:
    return Rule(name=name, group="g", expr=expr, levels=levels, by=("site",))


def test_equal_aggregates_of_several_rules_are_one() -> None:
    found = split([rule("A", "avg(x) - avg(y)"), rule("B", "avg( x ) * 2")])
    assert [each.expr for each in found.rules] == ["aggregate_0 - aggregate_1", "aggregate_0 * 2"]
    assert found.aggregates == {
        "aggregate_0": Call("avg", (MetricRef("x", 0),), 0),
        "aggregate_1": Call("avg", (MetricRef("y", 0),), 0),
    }


def test_functions_of_several_values_and_the_rest_stay() -> None:
    expr = 'not max(min(x), 3) > 1 or -clamp(count(x == "a"), 0, 1) in (1, 2) and abs(sum(x)) < 2'
    (found,) = split([rule("A", expr)]).rules
    assert found.expr == (
        "not max(aggregate_0, 3) > 1 or -clamp(aggregate_1, 0, 1) in (1, 2) and abs(aggregate_2) < 2"
    )


def test_conditions_of_levels_and_their_ends_are_split_too() -> None:
    level = Level("warning", expr="avg(x) > 5", clear_expr="avg(x) < max(y)")
    found = split([Rule(name="A", group="g", levels=(level,), by=("site",))])
    assert (found.rules[0].levels[0].expr, found.rules[0].levels[0].clear_expr) == (
        "aggregate_0 > 5",
        "aggregate_0 < aggregate_1",
    )


def test_min_of_two_is_no_aggregate() -> None:
    found = split([rule("A", "min(avg(x), 3)")])
    assert found.aggregates == {"aggregate_0": Call("avg", (MetricRef("x", 0),), 0)}
    assert Call("min", (MetricRef("x", 0), Number(3, 0)), 0) not in found.aggregates.values()

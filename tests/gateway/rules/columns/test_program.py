"""Alert rules compiled together: columns, latches, and what they share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge_gateway.columns.strings import StringTable
from edge_gateway.records.alerts import LEVELS
from edge_gateway.rules.columns.program import ABSENT, NO_COLUMN, Program
from edge_gateway.rules.language.ruleset import Level, LevelChange, NoData, Override, Rule

HOT = Rule(name="Hot", group="g", expr="t", levels=(Level("warning", limit=10.0, clear=8.0, for_ms=5),))
WARNING = LEVELS.index("warning")


def program(*rules: Rule) -> Program:
    return Program(rules, StringTable(100, 100))


def test_a_limit_on_a_metric_is_a_latch_on_the_input_itself() -> None:
    compiled = program(replace(HOT, keep_ms=7, warmup_ms=9))
    (number,) = compiled.latches_of((0, -1))
    latch = compiled.latches[number]
    assert compiled.inputs == (("t", False),)
    assert compiled.expressions == []
    assert (latch.column, latch.clear_column, latch.value_column) == (0, 0, 0)
    assert (latch.threshold, latch.clear_threshold, latch.sign, latch.limit) == (10.0, 8.0, 1.0, 10.0)
    assert (latch.for_ms, latch.keep_ms, latch.warmup_ms, latch.key) == (5, 7, 9, WARNING)
    assert latch.raises
    assert not latch.coupled


def test_below_is_above_of_the_negated_column() -> None:
    compiled = program(replace(HOT, levels=(Level("info", above=False, limit=2.0, clear=3.0),)))
    latch = compiled.latches[compiled.latches_of((0, -1))[0]]
    assert (latch.sign, latch.threshold, latch.clear_sign, latch.clear_threshold) == (-1.0, -2.0, -1.0, -3.0)


def test_equal_expressions_are_computed_once() -> None:
    compiled = program(
        replace(HOT, expr="t + u"), replace(HOT, expr="t + u", name="Other"), replace(HOT, expr="t - u")
    )
    assert len(compiled.expressions) == 2
    assert compiled.expressions[0].triggers == (0, 1)


def test_a_condition_shows_its_first_number() -> None:
    condition = replace(HOT, expr='door == "open" and t > u', levels=(Level("info"),))
    compiled = program(condition, replace(condition, expr="t > 5"), replace(condition, expr='door == "open"'))
    first, second, third = (compiled.latches[compiled.latches_of((rule, -1))[0]] for rule in range(3))
    assert first.value_column >= compiled.first_expression
    assert second.value_column == 0
    assert third.value_column == NO_COLUMN
    assert (first.threshold, first.clear_threshold, first.limit) == (0.5, 0.5, None)
    assert compiled.main_metric == ("t", "t", "door")


def test_a_clear_condition_is_computed_beside_the_condition() -> None:
    compiled = program(replace(HOT, expr="t > 5", levels=(Level("info", clear_expr="u < 1"),)))
    latch = compiled.latches[compiled.latches_of((0, -1))[0]]
    expression = compiled.expressions[latch.column - compiled.first_expression]
    assert latch.clear_column in expression.beside
    assert (latch.clear_sign, latch.clear_threshold) == (-1.0, -0.5)


def test_missing_data_is_a_latch_that_no_value_raises() -> None:
    watch = NoData(30, "t", "alerting", "critical")
    compiled = program(replace(HOT, no_data=watch, keep_ms=7))
    level, absence = (compiled.latches[number] for number in compiled.latches_of((0, -1)))
    assert (absence.key, absence.rank, absence.threshold, absence.for_ms) == (ABSENT, 2, np.inf, 30)
    assert (absence.keep_ms, absence.raises) == (7, True)
    assert level.coupled
    assert absence.coupled
    assert compiled.least_absence == {"t": 30}


def test_missing_data_that_raises_no_alert() -> None:
    compiled = program(
        replace(HOT, no_data=NoData(30, "t", "no_data", "info"), keep_ms=7),
        replace(HOT, no_data=NoData(20, "t", "keep_last", "info"), name="B"),
        replace(HOT, no_data=NoData(40, "t", "ok", "info"), name="C"),
    )
    level, absence = (compiled.latches[number] for number in compiled.latches_of((0, -1)))
    assert (absence.raises, absence.keep_ms, absence.coupled, level.coupled) == (False, 0, False, False)
    assert len(compiled.latches_of((1, -1))) == 1
    assert compiled.least_absence == {"t": 30}


def test_missing_data_is_watched_as_number_and_as_text() -> None:
    silent = Rule(name="S", group="g", no_data=NoData(5, "m", "alerting", "info"))
    text = replace(HOT, expr='m == "x"', levels=(Level("info"),), no_data=NoData(5, "m", "alerting", "info"))
    compiled = program(silent, text)
    both = (compiled.symbols.inputs["m", False], compiled.symbols.inputs["m", True])
    assert compiled.watched("m") == both
    of_both = [compiled.latches[compiled.latches_of((number, -1))[-1]] for number in (0, 1)]
    assert [latch.watched for latch in of_both] == [both, both]
    assert of_both[0].column == of_both[1].column
    assert compiled.expressions[of_both[0].column - compiled.first_expression].triggers == both


def test_the_now_of_a_rule_is_that_of_what_it_reads_and_watches() -> None:
    compiled = program(
        HOT,
        replace(HOT, expr="t + u", no_data=NoData(5, "t", "alerting", "info")),
        replace(HOT, expr="u", no_data=NoData(5, "m", "alerting", "info")),
    )
    names = [
        [name for name, number in compiled.symbols.inputs.items() if number in clock]
        for clock in compiled.clocks
    ]
    assert names == [[("t", False)], [("t", False), ("u", False)], [("u", False), ("m", False), ("m", True)]]
    assert compiled.read.tolist() == [[0, 0], [0, 1], [1, 1]]


def test_a_variant_is_compiled_once_and_has_latches_of_its_own() -> None:
    override = Override({"site": ["x"]}, (LevelChange("warning", limit=20.0),), keep_ms=3)
    compiled = program(replace(HOT, overrides=(override,)))
    plain, changed = compiled.latches_of((0, -1)), compiled.latches_of((0, 0))
    assert compiled.latches_of((0, -1)) == plain
    assert (compiled.latches[changed[0]].limit, compiled.latches[changed[0]].keep_ms) == (20.0, 3)
    assert compiled.table.threshold.tolist() == [10.0, 20.0]
    assert compiled.table.raises.dtype == np.bool_


def test_the_rings_of_variants() -> None:
    compiled = program(
        HOT,
        replace(HOT, expr="avg_over_time(t, 1m)"),
        replace(HOT, expr="rate(u, 1m) + avg_over_time(t, 1m)"),
    )
    assert compiled.rings_of(((0, -1),)) == ()
    assert compiled.rings_of(((2, -1), (1, -1))) == (0, 1)


def test_the_tags_of_expressions() -> None:
    assert program(HOT, replace(HOT, expr="t > 1 and tag.zone == 'a'", levels=(Level("info"),))).tags == {
        "zone"
    }

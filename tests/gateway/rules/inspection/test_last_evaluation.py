"""The last evaluation, computed again from what is kept, is the one that took place."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from edge_gateway.records import codec
from edge_gateway.rules.inspection.last_evaluation import LastEvaluation, Value
from edge_gateway.rules.language.expression import parse
from edge_gateway.rules.language.ruleset import Level, Rule
from tests.gateway.rules.fleet import T0, Row, Stage
from tests.gateway.rules.reference.expressions import NUMBERS


def record(expr: str, name: str = "seen") -> Rule:
    return Rule(name=name, group="g", record=True, expr=expr)


def alert(expr: str, name: str = "Seen", lookbacks: dict[str, int] | None = None) -> Rule:
    return Rule(
        name=name, group="g", expr=expr, levels=(Level("warning", limit=1e9),), lookbacks=lookbacks or {}
    )


def looked(stage: Stage, rule: Rule, device: str = "d") -> LastEvaluation:
    number = stage.fleet.registry.find(device)
    assert number is not None
    return LastEvaluation.of(stage.evaluator, rule, number)


def value_of(stage: Stage, rule: Rule) -> Value:
    assert rule.analysis is not None
    return looked(stage, rule).evaluate(rule.analysis.tree)


def derived(stage: Stage, row: Row) -> float | None:
    """What the record rule makes of a reading, and the alert rule is given it."""
    frame = stage.evaluator.add_records(stage.fleet.frame([row]))
    stage.evaluator.evaluate(frame, (row.at - T0))
    own = stage.fleet.registry.series(int(frame.device[0]), stage.fleet.registry.metric("seen"))
    found = frame.value[np.flatnonzero(frame.series == own)].tolist()
    return found[0] if found else None


def rows(random: Random) -> list[Row]:
    second, made = 1, []
    for _ in range(120):
        second += random.choice((1, 2, 10, 45, 400))
        metrics = random.sample(("a", "b", "c"), random.randint(1, 3))
        values: dict[str, Any] = {metric: random.choice((0, 1, 4.5, -3, 1e12)) for metric in metrics}
        made.append(Row("d", T0 + second * 1000, values))
    return made


@pytest.mark.parametrize("expression", [each.text for each in NUMBERS])
def test_every_expression_has_the_value_that_the_gateway_computed(expression: str) -> None:
    """Of a row that evaluates it: others leave the last evaluation as it is."""
    stage = Stage(record(expression), alert(expression))
    reads = {name for name, _ in record(expression).metrics}
    for row in rows(Random(expression)):
        told = derived(stage, row)
        if reads & row.values.keys():
            found = value_of(stage, record(expression))
            assert found == value_of(stage, alert(expression)) == told


def test_parts_stand_before_what_they_are_parts_of() -> None:
    rule = alert('a * 2 > 3 and not (door == "open" or max(b, 1) in (1, 2))')
    stage = Stage(rule)
    stage.read(1, a=2, b=5, door="shut")
    assert rule.analysis is not None
    parts = [(part.text, part.value) for part in looked(stage, rule).parts(rule.analysis.tree)]
    assert parts == [
        ("a * 2", 4.0),
        ("a * 2 > 3", True),
        ('door == "open"', False),
        ("max(b, 1)", 5.0),
        ("max(b, 1) in (1, 2)", False),
        ('door == "open" or max(b, 1) in (1, 2)', False),
        ('not (door == "open" or max(b, 1) in (1, 2))', True),
        ('a * 2 > 3 and not (door == "open" or max(b, 1) in (1, 2))', True),
    ]


def test_a_bare_metric_is_its_own_only_part() -> None:
    stage = Stage(alert("a"))
    stage.read(1, a=2)
    assert [*looked(stage, alert("a")).parts(parse("a"))] == [("a", 2.0)]


def test_readings_tell_their_age_and_whether_they_count() -> None:
    rule = alert("a + b + c", lookbacks={"c": 1_000_000})
    stage = Stage(rule)
    stage.read(1, b=1)
    stage.read(2, c=7)
    stage.read(400, a=3)
    readings = {each.metric: each for each in looked(stage, rule).readings()}
    assert readings["a"][1:] == (3.0, T0 + 400_000, 0, 300_000)
    assert readings["b"][1:] == (1.0, T0 + 1_000, 399_000, 300_000)
    assert [readings[name].counts for name in "abc"] == [True, False, True]
    assert value_of(stage, rule) is None
    assert looked(stage, rule).at == T0 + 400_000


def test_tags_and_texts_are_read_as_they_are() -> None:
    rule = alert('tag.line == "L1" and door != "open"')
    stage = Stage(rule)
    stage.fleet.born("d", line="L1")
    stage.read(1, door="shut")
    assert value_of(stage, rule) is True
    assert [(each.metric, each.value) for each in looked(stage, rule).readings()] == [("door", "shut")]


def test_nothing_is_known_of_a_device_that_has_sent_nothing() -> None:
    stage = Stage(alert("a / avg_over_time(b, 1m)"))
    stage.fleet.born("d")
    last = looked(stage, alert("a / avg_over_time(b, 1m)"))
    assert (last.at, value_of(stage, alert("a / avg_over_time(b, 1m)"))) == (0, None)
    assert [(each.at, each.value, each.counts) for each in last.readings()] == [(0, None, False)] * 2


def test_looking_changes_nothing() -> None:
    rule = alert("rate(a, 5m) + max_over_time(b, 1m)")
    stage = Stage(rule, record("deriv(a, 1m)"))
    for second in range(1, 50):
        stage.read(second, a=second, b=1)
    before = codec.encode(stage.evaluator.snapshot()), stage.fleet.registry.numbering
    value_of(stage, rule)
    value_of(stage, record("deriv(a, 1m)"))
    assert (codec.encode(stage.evaluator.snapshot()), stage.fleet.registry.numbering) == before

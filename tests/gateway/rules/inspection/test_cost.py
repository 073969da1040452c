"""What rules cost: by their content, and measured over generated readings."""

from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from edge_gateway.fleet.registry import Registry
from edge_gateway.rules.alerts.evaluator import Evaluator
from edge_gateway.rules.columns.panes import MAX_CAPACITY
from edge_gateway.rules.columns.ranges import Ring
from edge_gateway.rules.files.load import load_rules
from edge_gateway.rules.inspection.cost import (
    _INPUT_BYTES,
    STEP,
    Workload,
    cost_of,
    range_bytes,
    ranges_of,
    seconds_of_steps,
    state_bytes,
)
from edge_gateway.rules.language.analysis import MAX_NODES, Range
from edge_gateway.rules.language.functions import FAMILY
from edge_gateway.rules.language.ruleset import Level, NoData, Rule, RuleSet

SHIPPED = load_rules(Path(__file__).parents[4] / "rules").rules
HOT = Rule(name="Hot", group="g", expr="t", levels=(Level("warning", limit=10.0),))


def test_a_bare_metric_needs_no_column_and_no_range() -> None:
    cost = cost_of(HOT, Registry())
    assert (cost.nodes, cost.columns, cost.range_bytes) == (1, 0, 0)
    assert cost.share_of_cap == 1 / MAX_NODES


def test_expressions_and_ranges_are_counted() -> None:
    rule = replace(HOT, expr="avg_over_time ( t , 1m ) - t", name="Mean")
    cost = cost_of(rule, Registry())
    assert (cost.nodes, cost.columns) == (5, 1)
    assert cost.range_bytes == range_bytes(Range("t", 60_000, FAMILY["avg_over_time"]))
    condition = replace(HOT, expr="t > 5", levels=(Level("info", clear_expr="t < 3"),))
    assert cost_of(condition, Registry()).nodes == 6
    record = Rule(name="r", group="g", record=True, expr="t * 2")
    assert cost_of(record, Registry())[1:] == (1, 0)
    assert cost_of(Rule(name="S", group="g", no_data=NoData(1_000, "t", "ok", "info")), Registry()).nodes == 0


def test_rules_of_a_kind_share_a_range() -> None:
    mean = replace(HOT, expr="avg_over_time ( t , 1m )")
    also = replace(HOT, expr="sum_over_time ( t , 1m ) + 1")
    record = Rule(name="r", group="g", record=True, expr="avg_over_time ( t , 1m )")
    assert len(ranges_of([mean, also])) == 1
    assert len(ranges_of([mean, also, record])) == 2


@pytest.mark.parametrize("family", sorted(set(FAMILY.values())))
def test_a_range_takes_no_more_than_is_said(family: str) -> None:
    """A slot of a ring whose panes have all been opened."""
    ring = Ring(60_000, family)
    ring.panes.add_slots(1)
    ring.panes.make_room(MAX_CAPACITY)
    kept = [*ring.panes.cells.values()]
    taken = sum(cells[:1].nbytes for cells in kept) + 8 * len(ring.panes.total) + 8 * 4
    assert range_bytes(Range("t", 60_000, family)) == taken


def test_state_grows_with_rules() -> None:
    one, two = (state_bytes(rules, Registry()) for rules in ([HOT], [HOT, replace(HOT, name="B", expr="u")]))
    assert 0 < one < two
    assert state_bytes([], Registry()) == 0


def test_state_takes_no_less_than_is_said() -> None:
    """Counted over as many devices as columns have room for."""
    rules = tuple(replace(HOT, name=f"H{number}", expr="t" if number else "u") for number in range(9))
    work, most = Workload(rules, 64), count()
    evaluator = Evaluator(RuleSet(rules), work.registry)
    evaluator.evaluate(work.frame(next(most)), 0)
    cells, inputs = evaluator.state.cells, evaluator.state.inputs
    by_latch = ("busy", "on", "raised", "marked", "up", "down", "stamps", "value", "seen")
    by_input = ("last", "last_at", "last_seq", "lost")
    taken = sum(getattr(cells, name).nbytes for name in by_latch)
    taken += sum(getattr(inputs, name).nbytes for name in by_input)
    assert 64 * state_bytes(rules, work.registry) == taken


def test_a_workload_sends_every_metric_that_is_measured() -> None:
    work = Workload(SHIPPED, 3)
    frame = work.frame(4)
    metrics = {name: is_text for rule in SHIPPED for name, is_text in rule.metrics}
    derived = {rule.name for rule in SHIPPED if rule.record}
    names = [work.registry.metric_names[number] for number in work.registry.series_metric[frame.series]]
    texts = [work.registry.metric_names[number] for number in work.registry.series_metric[frame.state_series]]
    assert set(names) == {name for name, is_text in metrics.items() if not is_text} - derived
    assert set(texts) == {name for name, is_text in metrics.items() if is_text}
    assert frame.rows == 3
    assert len(frame.row) == len(frame.value) == len(frame.quality) == len(names)
    assert (work.frame(5).at - frame.at).tolist() == [STEP] * 3


@pytest.mark.parametrize("rule", SHIPPED, ids=lambda rule: rule.name)
def test_every_shipped_rule_can_be_measured(rule: Rule) -> None:
    ticks = count()
    assert seconds_of_steps((rule,), lambda: float(next(ticks)), devices=2, steps=2) == 1.0


def test_no_rules_can_be_measured() -> None:
    ticks = count()
    assert seconds_of_steps((), lambda: float(next(ticks)), devices=2, steps=2) == 1.0


def test_a_rule_of_groups_is_counted_by_what_it_computes_and_measured_with_its_tick() -> None:
    rule = replace(HOT, expr="avg ( avg_over_time ( t , 1m ) ) - min ( u )", by=("site",))
    cost = cost_of(rule, Registry())
    assert cost.columns == 3
    assert cost.range_bytes == range_bytes(Range("t", 60_000, "sums"))
    assert state_bytes([rule], Registry()) == 2 * _INPUT_BYTES, "its latches are of groups"
    ticks = count()
    assert seconds_of_steps((rule,), lambda: float(next(ticks)), devices=2, steps=2) == 1.0

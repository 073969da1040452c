from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.rules.alerts.rule_state import Instant
from tests.gateway.rules.fleet import T0, Stage
from tests.gateway.rules.groups.grouped import stage_of


def named(stage: Stage, second: int, group: str = "site=berlin", rule: int = 0) -> str:
    groups = stage.evaluator.groups
    number = groups.groups.find(group)
    assert number is not None
    return groups.shown(rule, number, Instant(second * 1000, T0 + second * 1000))[2]


RULES = {
    "above": "{alert: A, expr: avg(x) * 2, by: [site], above: 5}",
    "below": "{alert: A, expr: avg(x), by: [site], below: 5}",
    "least": "{alert: A, expr: min(x) > 5, by: [site]}",
    "condition": "{alert: A, expr: count(x > 2), by: [site], above: 5}",
}


@pytest.mark.parametrize(
    ("rule", "worst"),
    [
        ("above", "d7, d6, d5, d4, d3, and 2 more"),
        ("below", "d1, d2, d3, d4, d5, and 2 more"),
        ("least", "d1, d2, d3, d4, d5, and 2 more"),
        ("condition", "d3, d4, d5, d6, d7"),
    ],
)
def test_the_worst_devices_are_named(rule: str, worst: str, tmp_path: Path) -> None:
    names = [f"d{number}" for number in range(9)]
    stage = stage_of(tmp_path, RULES[rule], devices={name: {} for name in names})
    for number in range(1, 8):
        stage.read(1, f"d{number}", x=float(number))
    stage.tick(1)
    assert named(stage, 1) == worst


def test_a_look_has_a_row_for_each_group_and_changes_nothing(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, RULES["above"])
    stage.read(1, "a", x=4.0)
    stage.read(1, "b", x=2.0)
    stage.tick(1)
    before = stage.evaluator.snapshot()
    look = stage.evaluator.groups.looks(Instant(2_000, T0 + 2_000))[0]
    program = stage.evaluator.groups.state.program
    assert look.column(program.first_expression).tolist() == pytest.approx([6, float("nan")], nan_ok=True)
    assert look.column(0).tolist() == pytest.approx([3, float("nan")], nan_ok=True)
    assert repr(stage.evaluator.snapshot()) == repr(before)


def test_devices_have_tags_and_ranges_and_groups_have_none(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, RULES["above"])
    stage.tick(1)
    look = stage.evaluator.groups.looks(Instant(1_000))[0]
    with pytest.raises(AssertionError, match="room"):
        look.tag("room")
    with pytest.raises(AssertionError, match="avg_over_time"):
        look.ranged(0, "avg_over_time")

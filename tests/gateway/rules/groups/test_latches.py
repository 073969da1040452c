from __future__ import annotations

from pathlib import Path

from edge_gateway.rules.alerts.rule_state import Instant
from edge_gateway.rules.groups.latches import GroupLatches, latches_of
from tests.gateway.rules.fleet import T0, Stage
from tests.gateway.rules.groups.grouped import stage_of

TWO = "{alert: A, expr: avg(x), by: [site], levels: {warning: {above: 5, clear: 3, for: 10s}, critical: {above: 9}}}"


def latches(stage: Stage, second: int) -> GroupLatches:
    groups, at = stage.evaluator.groups, Instant(second * 1000, T0 + second * 1000)
    return latches_of(groups.state, 0, groups.looks(at)[0], at)


def test_a_row_for_each_level_of_each_group(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, TWO)
    stage.read(1, "a", x=7.0)
    stage.read_at(1, "c", "lyon", {"x": 10.0})
    stage.evaluator.groups.follow()
    found = latches(stage, 1)
    assert found.groups == 2
    assert found.is_up.tolist() == [True, True, False, True]
    assert found.changing(1_001) == [0, 1]
    assert (found.cause(0, 1_001), found.closed_cells(0)) == ("reading", [])
    assert found.row_of(int(found.cell[3])) == 3


def test_nothing_changes_between_changes(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, TWO)
    stage.read(1, "a", x=7.0)
    assert [each.event for each in stage.tick(1)] == ["pending"]
    assert latches(stage, 10).changing(10_001) == []
    assert latches(stage, 11).changing(11_001) == [0]
    assert latches(stage, 11).cause(0, 11_001) == "time"
    assert latches(stage, 400).cause(0, 400_001) == "expired"

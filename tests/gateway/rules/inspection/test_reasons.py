"""Reasons name what a person can act on; `test_explanation` has one for each of them."""

from dataclasses import replace

from edge_gateway.rules.inspection.reasons import not_run
from edge_gateway.rules.language.ruleset import Rule
from tests.gateway.rules.fleet import Stage

RECORD = Rule(name="r", group="g", record=True, expr="t", match=({"type": ["pump"]},))


def test_a_record_runs_where_it_matches() -> None:
    stage = Stage(RECORD, replace(RECORD, name="s", match=()))
    device = stage.fleet.born("d", kind="freezer")
    stage.tick(1)
    first, second = stage.evaluator.rules.rules
    assert not_run(stage.evaluator, first, device)[1:] == [
        "it is for devices with type pump; this one has freezer"
    ]
    assert not_run(stage.evaluator, second, device) == []

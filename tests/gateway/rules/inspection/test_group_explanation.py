from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_gateway.rules.inspection.explanation import explain
from edge_gateway.rules.inspection.group_explanation import explain_group
from edge_gateway.rules.inspection.in_force import describe_in_force
from tests.gateway.rules.fleet import T0, Stage
from tests.gateway.rules.groups.grouped import stage_of

RULES = (
    "{alert: Warm, expr: avg(x) + 1, by: [site], above: 10, clear: 8, for: 5s, keep_firing_for: 3s}",
    "{alert: Own, expr: x, above: 10}",
)


def told(stage: Stage, rule: str, subject: str = "site=berlin") -> dict[str, Any]:
    found = next(each for each in stage.evaluator.rules.rules if each.name == rule)
    return explain_group(stage.evaluator, found, subject)


def test_why_it_waits_fires_clears_and_rests(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, *RULES)
    stage.read(1, "a", x=20.0)
    stage.tick(1)
    waits = told(stage, "Warm")
    assert (waits["state"], waits["since"], waits["devices"], waits["named"]) == (
        "pending",
        T0 + 1_000,
        2,
        "a",
    )
    assert waits["why"] == [
        "it waits at warning for 0s of 5s",
        "21 is above 10 (warning)",
        "the devices it is about: a",
    ]
    assert waits["parts"] == [{"text": "avg(x)", "value": 20.0}]
    stage.tick(6)
    stage.read(7, "a", x=0.0)
    stage.tick(7)
    fires = told(stage, "Warm")
    assert fires["why"][:2] == ["it fires at warning, for 1s", "it has been clear for 0s of 3s, then it ends"]
    (level,) = fires["levels"]
    assert (level["on"], level["reached"], level["clear_since"], level["clear"]) == (
        True,
        False,
        T0 + 7_000,
        8,
    )
    stage.tick(10)
    assert told(stage, "Warm")["why"][0] == "1 is not above 10 (warning)"
    assert told(stage, "Warm", "site=lyon")["why"] == ["its value is unknown: no device of the group has one"]


def test_what_is_asked_of_the_wrong_one(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, *RULES)
    stage.tick(1)
    assert told(stage, "Own")["why"] == ["it is evaluated for each device; ask with --device"]
    (why,) = told(stage, "Warm", "site=oslo")["why"]
    assert why == "no device that it matches is in such a group; Warm has site=berlin, site=lyon"
    warm = stage.evaluator.rules.rules[0]
    assert explain(stage.evaluator, warm, 0, ())["why"] == [
        "it is of groups of devices; ask with --group site=…"
    ]


def test_the_rules_in_force_count_devices_and_alerts_of_groups(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, *RULES)
    stage.read(1, "a", x=20.0)
    stage.tick(1)
    warm = describe_in_force(stage.evaluator)[0]
    assert (warm["devices"], warm["pending"], warm["firing"], warm["evaluated"]) == (3, 1, 0, True)
    assert warm["alerts"] == [
        {"device": "site=berlin", "state": "pending", "level": "warning", "since": T0 + 1_000}
    ]
    assert (warm["by"], warm["newest"]) == (["site"], T0 + 1_000)

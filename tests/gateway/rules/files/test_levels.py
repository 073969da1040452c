"""Levels of alerts in rule files; every error is in tests/cases/broken_rules."""

from __future__ import annotations

from pathlib import Path

from edge_gateway.rules.files.load import load_rules
from edge_gateway.rules.language.ruleset import Level, NoData, Rule
from tests.gateway.rules.files.rule_files import HEAD, problem_of_rule


def loaded(tmp_path: Path, text: str) -> Rule:
    (tmp_path / "a.yaml").write_text(f"{HEAD}  - {text}\n")
    (rule,) = load_rules(tmp_path).rules
    return rule


def test_levels_of_conditions_stand_lowest_first(tmp_path: Path) -> None:
    rule = loaded(
        tmp_path,
        """alert: A
    levels:
      critical: {expr: x>9, clear: x<3, for: 2 readings}
      info: {expr: door == "open", for: 5s}
    no_data: {after: 1m, metric: x}""",
    )
    assert rule.expr is None
    assert rule.is_condition
    assert rule.levels == (
        Level("info", for_ms=5000, expr='door == "open"'),
        Level("critical", for_readings=2, expr="x > 9", clear_expr="x < 3"),
    )
    assert rule.no_data == NoData(60_000, "x", "alerting", "info")
    assert rule.expressions == ('door == "open"', "x > 9", "x < 3")


def test_the_one_metric_of_all_levels_is_watched_for_silence(tmp_path: Path) -> None:
    text = "{alert: A, levels: {info: {expr: x > 1}, critical: {expr: x > 2}}, no_data: {after: 1m}}"
    rule = loaded(tmp_path, text)
    assert rule.no_data == NoData(60_000, "x", "alerting", "info")


def test_a_level_without_a_condition_of_its_own_needs_one_beside_others(tmp_path: Path) -> None:
    text = "{alert: A, levels: {info: {above: 1}, critical: {expr: x > 2}}}"
    assert problem_of_rule(tmp_path, text) == (
        "5:31: the key 'expr' is missing: another level has a condition of its own, and so must this"
    )

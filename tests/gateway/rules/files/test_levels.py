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


def test_a_limit_by_time_has_a_deadband_in_place_of_a_clear_value(tmp_path: Path) -> None:
    text = "{alert: A, expr: x, below: {default: 1, at: {'sat,sun': 0, '08:00-09:00': 2}}, deadband: 0.5}"
    assert loaded(tmp_path, text).levels == (
        Level("warning", False, 1.0, limits=(("sat,sun", 0.0), ("08:00-09:00", 2.0)), deadband=0.5),
    )


def test_levels_are_compared_at_every_time_of_the_week(tmp_path: Path) -> None:
    good = "{critical: {above: {default: 5, at: {sat: 8}}}, warning: {above: {default: 3, at: {sat: 7}}}}"
    assert len(loaded(tmp_path, f"{{alert: A, expr: x, levels: {good}}}").levels) == 2
    wrong = good.replace("sat: 7", "fri 22:00-01:00: 6, sat: 7").replace(
        "fri 22:00-01:00", "'fri 22:00-01:00'"
    )
    assert problem_of_rule(tmp_path, f"{{alert: A, expr: x, levels: {wrong}}}").endswith(
        "above: critical at 5 is reached before warning at 6; it must be at least 6"
    )


def test_an_override_of_a_limit_by_time_is_fixed(tmp_path: Path) -> None:
    rule = "{alert: A, expr: x, above: {default: 1, at: {sat: 2}}, overrides: [{match: {site: a}, clear: 0}]}"
    assert problem_of_rule(tmp_path, rule).endswith(
        "clear: the rule's limit is another one at times; set 'above' here, too"
    )

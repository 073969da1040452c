"""A rule file and the beginning of its test file, to which tests add expectations."""

from __future__ import annotations

from pathlib import Path

from edge_gateway.rules.testing.runner import RuleTestReport, run_rule_tests

EXAMPLES = Path(__file__).parents[4] / "rules"

RULES = """
version: 1
groups:
- name: g
  rules:
  - alert: A
    expr: x
    levels: {warning: {above: 1, for: 20s}, critical: {above: 5}}
    labels: {line: l1}
    commands: [{name: fan}, {id: fan_max, name: fan, on: [escalated]}]
  - {record: y, expr: x * 2}
"""
TEST = """
rule_files: [r.yaml]
tests:
- name: first
  interval: 10s
  devices: {d: {site: s, type: t}}
  input: {d.x: "0 2x3"}
  expect:
"""


def report(tmp_path: Path, expectations: str, rules: str = RULES, test: str = TEST) -> RuleTestReport:
    """Run a test whose expectations are on line 10 and after."""
    (tmp_path / "r.yaml").write_text(rules)
    (tmp_path / "r.test.yaml").write_text(test + expectations)
    return run_rule_tests([tmp_path])

"""What `--coverage` reports: everything of a rule that no test made happen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway.rules.testing.rule_tests import RULES, report

TEST = """
rule_files: [r.yaml]
tests:
- name: first
  interval: 10s
  devices: {d: {}}
  input: {d.x: "%s"}
  expect:
  - {at: 40s, alert: A, count: %d}
"""
WATCHED = "    no_data: {after: 10s, metric: x, state: %s}\n"


@pytest.mark.parametrize(
    ("series", "fired", "uncovered"),
    [
        ("0x3", 0, ["A: no transition"]),
        ("2x3", 1, ["A: warning was never cleared", "A: critical never fired"]),
        ("6 6 6 2 0", 1, []),
    ],
)
def test_levels(tmp_path: Path, series: str, fired: int, uncovered: list[str]) -> None:
    assert list(report(tmp_path, "", test=TEST % (series, fired)).uncovered) == uncovered


def test_records(tmp_path: Path) -> None:
    more = RULES + "  - {record: q, expr: w * 2}\n"
    found = report(tmp_path, "", more, TEST % ("6 6 6 2 0", 1))
    assert found.uncovered == ("q: never recorded a value",)


@pytest.mark.parametrize(
    ("state", "series", "uncovered"),
    [
        ("no_data", "6 6 6 2 0", ["A: no_data never occurred"]),
        ("no_data", "6 6 2 0", []),
        ("keep_last", "6 6 6 2 0", []),
    ],
)
def test_no_data(tmp_path: Path, state: str, series: str, uncovered: list[str]) -> None:
    rules = RULES.replace("    labels:", WATCHED % state + "    labels:")
    assert list(report(tmp_path, "", rules, TEST % (series, 1)).uncovered) == uncovered

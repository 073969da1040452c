"""Each expectation: when it is met, and what the failure says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway.rules.testing.rule_tests import RULES, TEST, report

HISTORY = "(pending warning at 10s, firing warning at 30s)"


@pytest.mark.parametrize(
    "expectation",
    [
        "{at: 0s, alert: A, state: inactive}",
        "{at: 10s, alert: A, state: pending, level: warning}",
        "{at: 30s, alert: A, state: firing, level: warning, labels: {line: l1}}",
        "{at: 30s, alert: A, count: 1}",
        "{at: 30s, command: fan}",
        "{at: 30s, command: fan, count: 1}",
        "{at: 20s, command: fan, count: 0}",
        "{at: 30s, command: fan_max, count: 0}",
        "{at: 30s, metric: y, value: 4.0000000001}",
    ],
)
def test_met(tmp_path: Path, expectation: str) -> None:
    assert report(tmp_path, f"\n  - {expectation}\n").failures == ()


@pytest.mark.parametrize(
    ("expectation", "message"),
    [
        ("{at: 0s, alert: A, state: firing}", "A of d at 0s is inactive, expected firing"),
        (
            "{at: 0s, alert: A, state: inactive, level: critical}",
            "A of d at 0s has no level, expected critical",
        ),
        ("{at: 30s, alert: A, state: pending}", f"A of d at 30s is firing {HISTORY}, expected pending"),
        (
            "{at: 30s, alert: A, state: firing, level: critical}",
            f"A of d at 30s is warning {HISTORY}, expected critical",
        ),
        ("{at: 30s, alert: A, count: 2}", "A of d fired once by 30s, expected 2 times"),
        ("{at: 10s, alert: A, count: 1}", "A of d fired 0 times by 10s, expected once"),
        ("{at: 30s, command: fan, count: 3}", "fan was sent to d once by 30s, expected 3 times"),
        ("{at: 10s, command: fan}", "fan was sent to d 0 times by 10s, expected at least once"),
        ("{at: 30s, metric: y, value: 5}", "y of d is 4.0 at 30s, expected 5.0"),
        (
            "{at: 30s, alert: A, state: firing, labels: {line: b}}",
            "A of d at 30s: label 'line' is 'l1', expected 'b'",
        ),
    ],
)
def test_not_met(tmp_path: Path, expectation: str, message: str) -> None:
    (failure,) = report(tmp_path, f"\n  - {expectation}\n").failures
    assert failure.message == f"first: {message}"


def test_a_text_that_the_alert_has_only_after_a_reload(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(RULES.replace("labels:", "annotations: {summary: b}\n    labels:"))
    events = "  events: [{at: 40s, do: reload, rule_files: [s.yaml]}]\n  expect:\n"
    expectation = "  - {at: 30s, alert: A, state: firing, annotations: {summary: b}}\n"
    found = report(tmp_path, expectation, test=TEST.replace("  expect:\n", events))
    (message,) = (each.message for each in found.failures)
    assert message == "first: A of d at 30s has no annotation 'summary', expected 'b'"


def test_a_metric_without_a_value(tmp_path: Path) -> None:
    found = report(tmp_path, "\n  - {at: 30s, metric: q, value: 0}\n", _with_record("q", "x + w"))
    assert [each.message for each in found.failures] == ["first: q of d has no value at 30s, expected 0.0"]


def test_a_resolved_alert_is_inactive_too(tmp_path: Path) -> None:
    rules = "version: 1\ngroups:\n- name: g\n  rules:\n  - {alert: A, expr: x, above: 1, levels: null}\n"
    test = """
rule_files: [r.yaml]
tests:
- name: first
  interval: 10s
  devices: {d: {}}
  input: {d.x: "2 0"}
  expect:
  - {at: 10s, alert: A, state: resolved}
  - {at: 10s, alert: A, state: inactive}
"""
    assert report(tmp_path, "", rules, test).ok


def _with_record(name: str, expr: str) -> str:
    return f"version: 1\ngroups:\n- name: g\n  rules:\n  - {{record: {name}, expr: {expr}}}\n"

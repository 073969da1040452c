"""What is misspelt in a test is an error with a suggestion; it never makes the test pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.rules.testing.runner import run_rule_tests
from fleet_config.problems import ProblemsFound

RULES = """version: 1
groups:
- name: g
  match: {type: freezer}
  rules:
  - alert: TooWarm
    expr: temperature
    above: 1
    no_data: {after: 1h, severity: info}
    labels: {team: cold}
    annotations: {summary: "{{ value }}"}
    commands: [{name: fan}]
  - {record: dew, expr: temperature * 2}
  - {alert: Open, expr: 'door == "open"'}
"""
TEST = """rule_files: [r.yaml]
tests:
- name: one
  interval: 10s
  devices: {devices}
  input: {input}
  events: [{event}]
  expect: [{expect}]
"""
DEVICES = "{f1: {type: freezer}}"
INPUT = '{f1.temperature: "0x5"}'
EXPECT = "{at: 10s, alert: TooWarm, state: inactive}"


def found(
    tmp_path: Path, *, devices: str = DEVICES, series: str = INPUT, event: str = "", expect: str = EXPECT
) -> list[str]:
    """The errors, or "green" or "red"."""
    (tmp_path / "r.yaml").write_text(RULES)
    text = TEST.replace("{devices}", devices).replace("{input}", series)
    (tmp_path / "r.test.yaml").write_text(text.replace("{event}", event).replace("{expect}", expect))
    try:
        report = run_rule_tests([tmp_path])
    except ProblemsFound as problems:
        return [str(problem).partition("r.test.yaml:")[2] for problem in problems.problems]
    return ["green" if report.ok else "red"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (
            {"expect": "{at: 10s, alert: TooWram, state: inactive}"},
            "8:29: unknown alert 'TooWram'; did you mean 'TooWarm'? This test has Open, TooWarm",
        ),
        (
            {"expect": "{at: 10s, alert: TooWarm, count: 0, device: f2}"},
            "8:56: unknown device 'f2'; this test has f1",
        ),
        (
            {"series": '{f1.temprature: "0x5"}'},
            "6:11: no rule reads the metric 'temprature'; did you mean 'temperature'? They read door, temperature",
        ),
        (
            {"series": '{f1.temperature: "0x5", f1.q: 1}'},
            "6:34: no rule reads the metric 'q'; they read door, temperature",
        ),
        (
            {"event": "{at: 10s, do: late, by: 5s, values: {dor: open}}"},
            "7:49: no rule reads the metric 'dor'; did you mean 'door'? They read door, temperature",
        ),
        ({"devices": "{f1: {type: pump}}"}, "5:13: no rule matches device 'f1'"),
        (
            {"devices": "{f1: {type: Freezer}}"},
            "5:13: no rule matches device 'f1'; did you mean type 'freezer'?",
        ),
        (
            {"devices": "{f1: {type: freezer}, f2: {typ: freezer}}", "expect": EXPECT[:-1] + ", device: f1}"},
            "5:34: no rule matches device 'f2'; did you mean 'type' instead of 'typ'?",
        ),
        (
            {"devices": "{f1: {type: freezer}, f2: {type: freezr}}", "expect": EXPECT[:-1] + ", device: f2}"},
            "5:34: no rule matches device 'f2'; did you mean type 'freezer'?",
        ),
        (
            {"expect": "{at: 10s, alert: TooWarm, state: inactive, level: critical}"},
            "8:62: TooWarm has no level 'critical', only warning, info",
        ),
        (
            {"expect": "{at: 10s, alert: TooWarm, state: inactive, labels: {taem: cold}}"},
            "8:64: labels: TooWarm has no 'taem'; did you mean 'team'?",
        ),
        (
            {"expect": "{at: 10s, alert: Open, state: inactive, annotations: {summary: x}}"},
            "8:66: annotations: Open has no 'summary'",
        ),
        (
            {"expect": "{at: 10s, command: fun, count: 0}"},
            "8:31: unknown command 'fun'; did you mean 'fan'? This test has fan",
        ),
        (
            {"expect": "{at: 10s, metric: due, value: 0}"},
            "8:30: unknown metric 'due'; did you mean 'dew'? This test has dew, temperature",
        ),
    ],
)
def test_a_misspelt_name(tmp_path: Path, change: dict[str, str], error: str) -> None:
    assert found(tmp_path, **change) == [error]


@pytest.mark.parametrize("expected", ["state: firing", "count: 1", "state: resolved"])
def test_an_alert_that_does_not_match_its_device_cannot_become_active(tmp_path: Path, expected: str) -> None:
    devices = "{f1: {type: freezer}, p1: {type: pump}}"
    expect = f"{{at: 10s, alert: TooWarm, {expected}, device: p1}}"
    fault = "8:29: TooWarm does not match device 'p1'"
    assert found(tmp_path, devices=devices, expect=expect) == [fault]


def test_a_device_that_no_rule_matches_may_stand_beside_one_that_is(tmp_path: Path) -> None:
    expect = "{at: 10s, alert: TooWarm, state: inactive, device: p1}"
    assert found(tmp_path, devices="{f1: {type: freezer}, p1: {type: pump}}", expect=expect) == ["green"]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"series": '{f1.temperature: "0x5", f1.dew: "1x5"}'}, "6:34"),
        ({"event": "{at: 10s, do: late, by: 5s, device: f1, values: {dew: 1}}"}, "7:61"),
    ],
    ids=["in the input", "in an event"],
)
def test_a_device_does_not_send_what_a_record_makes(
    tmp_path: Path, change: dict[str, str], place: str
) -> None:
    told = (
        "device 'f1' measures 'dew', which is a record; give it what the record reads, or rename the record"
    )
    assert found(tmp_path, **change) == [f"{place}: {told}"]

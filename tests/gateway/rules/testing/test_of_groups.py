"""Tests of rules with `by`: expectations of groups, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet_config.problems import ProblemsFound
from tests.gateway.rules.testing.rule_tests import report

RULES = """
version: 1
groups:
- name: g
  rules:
  - {alert: Down, expr: 'share(no_data(x, 1m))', by: [site, room], above: 0.5, for: 10s}
  - {alert: High, expr: x, above: 5}
"""
TEST = """
rule_files: [r.yaml]
tests:
- name: half of a site is silent
  interval: 10s
  devices: {a: {site: berlin, room: "1"}, b: {site: berlin, room: "1"}, c: {site: lyon}}
  input: {a.x: "1x3", b.x: "1x3 _x20 1x3", c.x: "1x40"}
  events: [{at: 95s, do: restart}]
  expect:
"""
BERLIN = "group: {room: '1', site: berlin}"


def faults(tmp_path: Path, *expected: str) -> list[str]:
    lines = "".join(f"  - {{{each}}}\n" for each in expected)
    return [problem.message for problem in report(tmp_path, lines, RULES, TEST).failures]


def test_an_alert_is_expected_of_a_group(tmp_path: Path) -> None:
    expected = (
        f"at: 90s, alert: Down, {BERLIN}, state: pending",
        f"at: 100s, alert: Down, {BERLIN}, state: firing, level: warning, labels: {{site: berlin}}",
        "at: 100s, alert: Down, group: {site: lyon, room: unknown}, state: inactive",
        "at: 100s, alert: High, device: c, state: inactive",
        f"at: 250s, alert: Down, {BERLIN}, state: resolved",
    )
    assert faults(tmp_path, *expected) == []


def test_what_is_not_met_names_the_group(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, f"at: 100s, alert: Down, {BERLIN}, state: inactive")
    assert "Down of site=berlin, room=1 at 100s is firing" in fault


@pytest.mark.parametrize(
    ("expected", "fault"),
    [
        (f"at: 1s, alert: Down, {BERLIN}, device: a, state: firing", "it is about one of them"),
        (f"at: 1s, command: fan, {BERLIN}", "group: only an 'alert' is of a group"),
        (
            "at: 1s, alert: Down, device: a, state: firing",
            "Down is of groups: write group: {site: …, room: …}",
        ),
        ("at: 1s, alert: Down, group: {site: berlin}, state: firing", "group: Down has 'by: [site, room]'"),
        (f"at: 1s, alert: High, {BERLIN}, state: firing", "group: High is of devices; write 'device'"),
        (
            "at: 1s, alert: Down, group: {site: berln, room: '1'}, state: firing",
            "unknown site 'berln'; did you mean 'berlin'?",
        ),
    ],
)
def test_an_expectation_that_no_rule_can_meet(tmp_path: Path, expected: str, fault: str) -> None:
    with pytest.raises(ProblemsFound) as caught:
        faults(tmp_path, expected)
    assert fault in " ".join(problem.message for problem in caught.value.problems)

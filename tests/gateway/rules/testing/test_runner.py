"""Rule tests run the real evaluator: input, events and the clock as the test file says."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.rules.testing.runner import run_rule_tests
from fleet_config.problems import ProblemsFound
from tests.gateway.rules.testing.rule_tests import EXAMPLES, RULES, report

EVENTS = """
rule_files: [r.yaml]
tests:
- name: events
  interval: 10s
  devices: {d: {}}
  input: {d.x: "0 2x5"}
  events:
  - %s
  expect:
  - %s
"""


def passes(tmp_path: Path, event: str, expectation: str, rules: str = RULES) -> bool:
    return report(tmp_path, "", rules, EVENTS % (event, expectation)).ok


def test_the_examples_pass_and_cover_everything() -> None:
    found = run_rule_tests([EXAMPLES])
    assert [str(failure) for failure in found.failures] == []
    assert found.uncovered == ()
    assert len(found.results) >= 20


AT_NIGHT = """
version: 1
groups:
- name: g
  rules:
  - {alert: Open, expr: 'x > 1', at: ["thu 01:30-02:00"]}
"""
IN_A_ZONE = """
rule_files: [r.yaml]
tests:
- name: times
  interval: 1m
  zone: %s
  devices: {d: {}}
  input: {d.x: "2x200"}
  events:
  - {at: 40m, do: restart}
  - {at: 45m, do: reload}
  expect:
  - {at: %d m, alert: Open, state: inactive}
  - {at: %d m, alert: Open, state: firing}
  - {at: %d m, alert: Open, state: firing}
  - {at: %d m, alert: Open, state: resolved}
"""


@pytest.mark.parametrize(("zone", "begin"), [("UTC", 90), ("Europe/Berlin", 30), ("null", 90)])
def test_times_of_rules_are_those_of_the_zone_of_the_test(tmp_path: Path, zone: str, begin: int) -> None:
    moments = (zone, begin - 1, begin, begin + 29, begin + 30)
    found = report(tmp_path, "", AT_NIGHT, (IN_A_ZONE % moments).replace(" m,", "m,"))
    assert [str(each) for each in found.failures] == []


def test_a_failure_names_file_line_and_test(tmp_path: Path) -> None:
    found = report(tmp_path, "\n  - {at: 10s, alert: A, state: firing}\n")
    assert not found.ok
    assert found.as_dict() == {
        "ok": False,
        "tests": [
            {
                "file": str(tmp_path / "r.test.yaml"),
                "line": 4,
                "name": "first",
                "ok": False,
                "failures": [
                    {
                        "file": str(tmp_path / "r.test.yaml"),
                        "line": 10,
                        "column": 1,
                        "message": "first: A of d at 10s is pending (pending warning at 10s), expected firing",
                    }
                ],
            }
        ],
        "uncovered": ["A: warning was never cleared", "A: critical never fired"],
    }


@pytest.mark.parametrize(
    ("event", "expectation"),
    [
        ("{at: 20s, do: restart}", "{at: 30s, alert: A, state: firing}"),
        ("{at: 20s, do: reload}", "{at: 30s, alert: A, state: firing}"),
        ("{at: 20s, do: late, by: 20s, values: {x: 9}}", "{at: 20s, alert: A, state: pending}"),
        ("{at: 20s, do: late, by: 5s}", "{at: 20s, metric: y, value: 4}"),
        ("{at: 20s, do: duplicate}", "{at: 25s, alert: A, state: pending}"),
        ("{at: 0s, do: duplicate, device: d}", "{at: 0s, alert: A, state: inactive}"),
    ],
)
def test_what_events_do(tmp_path: Path, event: str, expectation: str) -> None:
    assert passes(tmp_path, event, expectation)


def test_a_reload_takes_its_files_relative_to_the_test_file(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "o.yaml").write_text(RULES.replace("above: 1, for: 20s", "above: 1"))
    event = "{at: 20s, do: reload, rule_files: [other/o.yaml]}"
    assert passes(tmp_path, event, "{at: 20s, alert: A, state: pending}")
    assert passes(tmp_path, event, "{at: 30s, alert: A, state: firing}")


def test_a_test_may_begin_without_rules(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    text = (
        EVENTS % ("{at: 5s, do: reload, rule_files: [r.yaml]}", "{at: 30s, alert: A, state: firing}")
    ).replace("rule_files: [r.yaml]\ntests", "rule_files: [none]\ntests")
    assert report(tmp_path, "", test=text).ok


def test_errors_of_all_files_are_shown_at_once(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(RULES)
    (tmp_path / "a.yaml").write_text("version: 2\n")
    (tmp_path / "b.test.yaml").write_text("rule_files: [r.yaml]\ntests: []\n")
    reload = EVENTS % ("{at: 5s, do: reload, rule_files: [a.yaml]}", "{at: 30s, alert: A, state: firing}")
    (tmp_path / "c.test.yaml").write_text(reload)
    with pytest.raises(ProblemsFound) as caught:
        run_rule_tests([tmp_path])
    assert {Path(problem.file).name for problem in caught.value.problems} == {"a.yaml", "b.test.yaml"}


@pytest.mark.parametrize(
    ("expectation", "error"),
    [
        ("{at: 10s, alert: B, state: inactive}", "10:22: unknown alert 'B'; this test has A"),
        (
            "{at: 10s, command: fam, count: 0}",
            "10:24: unknown command 'fam'; did you mean 'fan'? This test has fan, fan_max",
        ),
        ("{at: 10s, metric: z, value: 0}", "10:23: unknown metric 'z'; this test has x, y"),
    ],
)
def test_a_name_that_no_rule_has_is_an_error_and_never_a_pass(
    tmp_path: Path, expectation: str, error: str
) -> None:
    with pytest.raises(ProblemsFound) as caught:
        report(tmp_path, f"\n  - {expectation}\n")
    assert str(caught.value) == f"{tmp_path / 'r.test.yaml'}:{error}"


def test_rules_without_tests_are_not_covered(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(
        RULES.replace("name: g", "name: h").replace("alert: A", "alert: Z").replace("record: y", "record: k")
    )
    found = report(tmp_path, "\n  - {at: 30s, alert: A, state: firing}\n")
    assert "Z: no transition" in found.uncovered


def test_the_rules_of_a_test_file_alone(tmp_path: Path) -> None:
    report(tmp_path, "\n  - {at: 30s, alert: A, state: firing}\n")
    found = run_rule_tests([tmp_path / "r.test.yaml"])
    assert found.ok
    assert found.uncovered == ("A: warning was never cleared", "A: critical never fired")

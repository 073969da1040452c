"""Rule tests: the worked example to the second, what a failing test says, and what no test reached."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from edge_gateway.rules.files.load import load_rules
from edge_gateway.rules.language.tokens import ExpressionError
from edge_gateway.rules.testing.bench import START, Bench
from edge_gateway.rules.testing.series_notation import samples
from edge_gateway.rules.testing.unit_tests import RuleTestReport, run_rule_tests, to_junit
from fleet_config.problems import ProblemsFound

EXAMPLES = Path(__file__).parents[4] / "rules"

RULES = """
version: 1
groups:
- name: g
  rules:
  - {alert: A, expr: x, levels: {warning: {above: 1, for: 20s}, critical: {above: 5}}}
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


def report(tmp_path: Path, expectations: str, rules: str = RULES) -> RuleTestReport:
    (tmp_path / "r.yaml").write_text(rules)
    (tmp_path / "r.test.yaml").write_text(TEST + expectations)
    return run_rule_tests([tmp_path])


@pytest.mark.parametrize("restart_at", [*range(0, 470, 37), 470])
def test_the_worked_example_to_the_second(restart_at: int) -> None:
    bench = Bench.of(load_rules(EXAMPLES / "cold-chain.yaml"), {"f1": {"site": "berlin", "type": "freezer"}})
    series = samples("-18x6 -13x17 -9x12 -20x24")
    for second in range(10 * len(series)):
        if second % 10 == 0:
            bench.send(second * 1000, "f1", {"temperature": series[second // 10] or 0.0})
        bench.pass_time(second * 1000)
        if second == restart_at:
            bench.restart()
    told = [
        ((each.at - START) // 1000, each.state, each.level, len(each.commands), each.value)
        for each in bench.told
        if each.rule == "FreezerTooWarm"
    ]
    assert told == [
        (110, "pending", "warning", 0, pytest.approx(-13 - 5 / 6)),
        (230, "firing", "warning", 1, -13.0),
        (300, "firing", "critical", 1, -9.0),
        (390, "firing", "warning", 0, pytest.approx(-9 - 22 / 6)),
        (470, "resolved", "warning", 0, -20.0),
    ]
    assert len({each.id for each in bench.told if each.rule == "FreezerTooWarm"}) == 1


def test_the_examples_pass_and_leave_nothing_out() -> None:
    found = run_rule_tests([EXAMPLES])
    assert [str(failure) for failure in found.failures] == []
    assert found.uncovered == ()
    assert len(found.results) >= 20


def test_what_a_failing_test_says(tmp_path: Path) -> None:
    found = report(
        tmp_path,
        """
  - {at: 10s, alert: A, state: firing}
  - {at: 30s, alert: A, state: firing, level: critical}
  - {at: 30s, alert: A, count: 2}
  - {at: 30s, command: c, count: 1}
  - {at: 30s, metric: y, value: 5}
  - {at: 30s, alert: A, state: firing, labels: {a: b}}
  - {at: 30s, alert: A, state: firing, level: warning}
""",
    )
    wrong_level = "A of d at 30s has the level warning (pending warning at 10s, firing warning at 30s)"
    assert [str(failure).split("/")[-1] for failure in found.failures] == [
        "r.test.yaml:10:1: first: A of d at 10s is pending (pending warning at 10s), not firing",
        f"r.test.yaml:11:1: first: {wrong_level}, not critical",
        "r.test.yaml:12:1: first: A of d at 30s has fired 1 times, not 2",
        "r.test.yaml:13:1: first: c to d was given 0 times up to 30s, not 1 times",
        "r.test.yaml:14:1: first: y of d is 4.0 at 30s, not 5.0",
        "r.test.yaml:15:1: first: A of d at 30s: the label a is None, not 'b'",
    ]
    assert not found.ok
    assert found.as_dict()["tests"][0]["failures"][0]["line"] == 10


def test_what_no_test_reached(tmp_path: Path) -> None:
    more = RULES + "  - {alert: B, no_data: {after: 10s, metric: z}}\n  - {record: q, expr: w * 2}\n"
    found = report(tmp_path, "\n  - {at: 30s, alert: A, state: firing}\n", more)
    assert found.ok
    assert found.uncovered == (
        "A: warning was never cleared",
        "A: critical never fired",
        "B: never reached",
        "q: never recorded",
    )


def test_a_rule_file_without_tests_is_uncovered(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(
        RULES.replace("name: g", "name: h").replace("alert: A", "alert: Z").replace("record: y", "record: k")
    )
    assert "Z: never reached" in report(tmp_path, "\n  - {at: 30s, alert: A, state: firing}\n").uncovered


def test_junit(tmp_path: Path) -> None:
    suites = ET.fromstring(to_junit(report(tmp_path, "\n  - {at: 10s, alert: A, state: firing}\n")))
    (suite,) = suites
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    assert "is pending" in (suite[0][0].text or "")


def test_junit_of_names_that_xml_has_no_place_for(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(RULES)
    (tmp_path / "r.test.yaml").write_text(
        TEST.replace("first", '"\\e[2J<\\0>"') + "\n  - {at: 10s, alert: A, count: 9}\n"
    )
    (suite,) = ET.fromstring(to_junit(run_rule_tests([tmp_path])))
    assert suite[0].get("name") == "\\x1b[2J<\\x00>"


@pytest.mark.parametrize(
    ("expectation", "fault"),
    [
        ("{at: 10s, alert: A}", "10:5: an alert needs a 'state' or a 'count'"),
        ("{at: 10s, state: firing}", "10:5: expect one of 'alert', 'command' and 'metric' here"),
        ("{at: 10s, alert: A, state: fired}", "state: 'fired' is not allowed"),
        ("{at: 10s, alert: A, state: firing, device: e}", "there is no device 'e' in this test; one of d"),
        ("{at: 10, alert: A, state: firing}", "a duration needs a unit"),
    ],
)
def test_faults_of_a_test_file(tmp_path: Path, expectation: str, fault: str) -> None:
    with pytest.raises(ProblemsFound, match=r"r\.test\.yaml") as caught:
        report(tmp_path, f"\n  - {expectation}\n")
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-18x6", [-18.0] * 7),
        ("1+2x3 9-1x2", [1, 3, 5, 7, 9, 8, 7]),
        ("-2-3x1 -2+4x1", [-2, -5, -2, 2]),
        ("_ 5 _x3 stale", [None, 5, None, None, None, None]),
        ("1e3 .5x1", [1000, 0.5, 0.5]),
        ("'open'x1 \"a b\" true", ["open", "open", "a b", "true"]),
        ("", []),
    ],
)
def test_the_notation_of_series(text: str, expected: list[float | str | None]) -> None:
    assert samples(text) == expected


@pytest.mark.parametrize(
    ("text", "at"), [("1 2+3", 2), ("1 x3", 2), ("5 'open", 2), ("1x", 0), ("1x99999999999", 0)]
)
def test_faults_in_series(text: str, at: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        samples(text)
    assert caught.value.at == at

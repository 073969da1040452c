"""The JUnit report of rule tests."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from edge_gateway.rules.testing.junit import to_junit
from edge_gateway.rules.testing.runner import RuleTestReport, RuleTestResult
from fleet_config.problems import Problem
from tests.gateway.rules.testing.rule_tests import RULES, TEST, report


def test_one_suite_per_file() -> None:
    results = (
        RuleTestResult("a", 1, "one", ()),
        RuleTestResult("a", 2, "two", (Problem("a", 3, 1, "two: wrong"),)),
        RuleTestResult("b", 1, "three", ()),
    )
    suites = list(ET.fromstring(to_junit(RuleTestReport(results, ()))))
    assert [(each.get("name"), each.get("tests"), each.get("failures")) for each in suites] == [
        ("a", "2", "1"),
        ("b", "1", "0"),
    ]
    failure = suites[0][1][0]
    assert (failure.get("message"), failure.text) == ("two: wrong", "a:3:1: two: wrong")


def test_control_characters_are_escaped(tmp_path: Path) -> None:
    test = TEST.replace("first", '"\\e[2J<\\0>"')
    found = report(tmp_path, "\n  - {at: 10s, alert: A, count: 9}\n", RULES, test)
    (suite,) = ET.fromstring(to_junit(found))
    assert suite[0].get("name") == "\\x1b[2J<\\x00>"

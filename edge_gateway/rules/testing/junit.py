"""Write a report of rule tests as JUnit XML."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from fleet_wire.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_gateway.rules.testing.runner import RuleTestReport, RuleTestResult


def to_junit(report: RuleTestReport) -> str:
    """The report as JUnit XML with one suite per file. Control characters, which XML cannot hold, are escaped."""
    root = ET.Element("testsuites", name="rules")
    for file in dict.fromkeys(result.file for result in report.results):
        _add_suite(root, file, [result for result in report.results if result.file == file])
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


def _add_suite(root: ET.Element, file: str, results: Sequence[RuleTestResult]) -> None:
    failed = sum(not result.ok for result in results)
    suite = ET.SubElement(root, "testsuite", name=file, tests=str(len(results)), failures=str(failed))
    for result in results:
        case = ET.SubElement(suite, "testcase", classname=file, name=printable(result.name, None))
        for problem in result.failures:
            element = ET.SubElement(case, "failure", message=printable(problem.message, None))
            element.text = printable(problem, None)

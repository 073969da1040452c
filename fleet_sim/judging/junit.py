"""Expectations as JUnit XML, for continuous integration."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from fleet_sim.judging.report import Check
from fleet_wire.printable import printable

__all__ = ["junit"]


def junit(path: Path, suite: str, checks: Sequence[Check], seconds: float) -> None:
    """Write one JUnit test case per expectation, for CI servers; OSError where the file cannot be written."""
    suite = printable(suite)
    root = ET.Element(
        "testsuite",
        name=suite,
        tests=str(len(checks)),
        failures=str(sum(check.passed is False for check in checks)),
        skipped=str(sum(check.passed is None for check in checks)),
        time=f"{seconds:.3f}",
    )
    for check in checks:
        case = ET.SubElement(root, "testcase", classname=suite, name=f"{check.name} {check.expected}")
        if check.passed is False:
            ET.SubElement(case, "failure", message=f"found {check.found}")
        elif check.passed is None:
            why = f"{check.found}: {check.command}" if check.command else check.found
            ET.SubElement(case, "skipped", message=why)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)

"""What stands at the end: a table for people, JSON for programs, JUnit for continuous integration."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from fleet_console.drawing import Styled, Table
from fleet_sim.scenario.expectations import Expectation
from fleet_wire.printable import printable

__all__ = ["Check", "check_rows", "checks_of", "judged", "junit", "rows_table", "to_json"]


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation and what came of it; `passed` None: it could not be judged here."""

    name: str
    expected: str
    found: str
    passed: bool | None


def checks_of(expect: Mapping[str, Expectation], measures: Mapping[str, float]) -> list[Check]:
    """Judge a scenario's expectations by what was measured; what was not measured stays open."""
    return [
        Check(
            name,
            expectation.text,
            f"{measures[name]:g}" if name in measures else "not measured here",
            expectation.holds(measures[name]) if name in measures else None,
        )
        for name, expectation in expect.items()
    ]


def judged(header: Mapping[str, Any], measures: Mapping[str, float]) -> list[Check]:
    """Judge those expectations of a run's ledger for which there is a measure now."""
    expect = {
        name: Expectation(*parts) for name, parts in header.get("expect", {}).items() if name in measures
    }
    return checks_of(expect, measures)


def rows_table(title: str, rows: Sequence[tuple[str, str]]) -> Table:
    """Return a table of two columns: what, and how it is."""
    table = Table(("", ""), title=title)
    for name, value in rows:
        table.add(Styled(f"  {name}", "dim"), value)
    return table


def check_rows(checks: Sequence[Check]) -> list[Table]:
    """Return the table of every expectation with what was found, or none where nothing is expected."""
    words = {True: "ok", False: "FAILED", None: "open"}
    rows = [
        (check.name, f"{words[check.passed]}  expected {check.expected}, found {check.found}")
        for check in checks
    ]
    return [rows_table("expectations", rows)] if rows else []


def to_json(result: Mapping[str, Any], checks: Sequence[Check]) -> str:
    return json.dumps({**result, "expectations": [asdict(check) for check in checks]}, default=str)


def junit(path: Path, suite: str, checks: Sequence[Check], seconds: float) -> None:
    """Write one test case an expectation, in the form that CI servers read."""
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
            ET.SubElement(case, "skipped", message=check.found)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)

"""What stands at the end: a table for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fleet_console.drawing import Styled, Table
from fleet_sim.scenario.expectations import Expectation

__all__ = ["Check", "check_rows", "checks_of", "judged", "rows_table"]


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

"""The report of a run: a table for people, JSON for machines."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from tests.proofs.proof import FORBIDDEN, Findings

HELD, BROKEN, NOT_RUN = "held", "BROKEN", "not run"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one proof. `why` says why it was not run, or what stopped it."""

    name: str
    unit: str
    count: int
    seed: int
    seconds: float
    findings: Findings
    why: str = ""
    ran: bool = True

    @property
    def verdict(self) -> str:
        if not self.ran:
            return NOT_RUN
        return HELD if self.findings.ok and not self.why else BROKEN


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """Return one outcome as plain data; times in seconds."""
    findings = outcome.findings
    return {
        "name": outcome.name,
        "verdict": outcome.verdict,
        "why": outcome.why,
        "count": outcome.count,
        "unit": outcome.unit,
        "seed": outcome.seed,
        "seconds": round(outcome.seconds, 1),
        "runs": findings.runs,
        "faults": dict(findings.faults),
        "readings_acknowledged": findings.acknowledged,
        "windows": findings.windows,
        "alerts": findings.alerts,
        "commands": findings.commands,
        **{name: getattr(findings, name) for name in FORBIDDEN},
        "forbidden": dict(findings.forbidden),
        "recovery": _recovery(findings.recoveries),
        "measured": findings.measured,
        "examples": findings.examples,
    }


def _recovery(seconds: Sequence[float]) -> dict[str, float] | None:
    if not seconds:
        return None
    return {"median": round(statistics.median(seconds), 2), "max": round(max(seconds), 2)}


def write_json(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write all outcomes to one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"proofs": [as_dict(one) for one in outcomes]}, indent=2) + "\n")


def print_report(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Print the table, measurements and findings."""
    console.print(_table(outcomes))
    for outcome in outcomes:
        told = "  ".join(f"{name} {value}" for name, value in outcome.findings.measured.items())
        if told:
            console.print(f"{outcome.name}: {told}", markup=False, soft_wrap=True)
    for outcome in outcomes:
        if outcome.verdict != HELD:
            _print_found(console, outcome)


def _print_found(console: Console, outcome: Outcome) -> None:
    said = f": {outcome.why}" if outcome.why else ""
    console.print(
        f"{outcome.name} {outcome.verdict} (seed {outcome.seed}){said}", markup=False, soft_wrap=True
    )
    for example in outcome.findings.examples:
        console.print(f"  {example}", markup=False, soft_wrap=True)


def _table(outcomes: Sequence[Outcome]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("proof", no_wrap=True)
    columns = (
        *("faults", "readings", "windows", "alerts", "commands"),
        *("lost", "double", "wrong", "alerts\nlost", "alerts\nagain", "done\ntwice", "other"),
        *("recovery\ns", "took\ns"),
    )
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for outcome in outcomes:
        table.add_row(*_cells(outcome), style=None if outcome.verdict == HELD else "bold red")
    return table


def _cells(outcome: Outcome) -> list[str]:
    findings, recovery = outcome.findings, _recovery(outcome.findings.recoveries)
    many = (
        findings.faults.total(),
        findings.acknowledged,
        findings.windows,
        findings.alerts,
        findings.commands,
    )
    bad = (
        *(findings.lost, findings.double, findings.wrong, findings.alerts_lost, findings.alerts_repeated),
        *(findings.executed_twice, findings.tracebacks + findings.forbidden.total()),
    )
    return [
        outcome.name,
        *(f"{number:,}" if number else "–" for number in many),
        *map(str, bad),
        f"{recovery['median']} / {recovery['max']}" if recovery else "–",
        f"{outcome.seconds:.0f}",
        outcome.verdict,
    ]

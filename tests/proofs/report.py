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

from tests.proofs.proof import FORBIDDEN, Tally

HELD, BROKEN, NOT_RUN = "held", "BROKEN", "not run"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one proof. `why` says why it was not run, or what stopped it."""

    name: str
    unit: str
    count: int
    seed: int
    seconds: float
    tally: Tally
    why: str = ""
    ran: bool = True

    @property
    def verdict(self) -> str:
        if not self.ran:
            return NOT_RUN
        return HELD if self.tally.ok and not self.why else BROKEN


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """Return one outcome as plain data; times in seconds."""
    tally = outcome.tally
    return {
        "name": outcome.name,
        "verdict": outcome.verdict,
        "why": outcome.why,
        "count": outcome.count,
        "unit": outcome.unit,
        "seed": outcome.seed,
        "seconds": round(outcome.seconds, 1),
        "runs": tally.runs,
        "faults": dict(tally.faults),
        "readings_acknowledged": tally.acknowledged,
        "windows": tally.windows,
        "alerts": tally.alerts,
        "commands": tally.commands,
        **{name: getattr(tally, name) for name in FORBIDDEN},
        "forbidden": dict(tally.forbidden),
        "recovery": _recovery(tally.recoveries),
        "measured": tally.measured,
        "examples": tally.examples,
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
        told = "  ".join(f"{name} {value}" for name, value in outcome.tally.measured.items())
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
    for example in outcome.tally.examples:
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
    tally, recovery = outcome.tally, _recovery(outcome.tally.recoveries)
    many = (tally.faults.total(), tally.acknowledged, tally.windows, tally.alerts, tally.commands)
    bad = (
        *(tally.lost, tally.double, tally.wrong, tally.alerts_lost, tally.alerts_repeated),
        *(tally.executed_twice, tally.tracebacks + tally.forbidden.total()),
    )
    return [
        outcome.name,
        *(f"{number:,}" if number else "–" for number in many),
        *map(str, bad),
        f"{recovery['median']} / {recovery['max']}" if recovery else "–",
        f"{outcome.seconds:.0f}",
        outcome.verdict,
    ]

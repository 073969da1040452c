"""The result of a run: tables for people."""

import math
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from fleet_console.drawing import Line, Styled, Table
from fleet_sim.scenario.expectations import Expectation

__all__ = ["USUAL_WAIT", "Check", "check_rows", "checks_of", "judged", "rows_table", "unmet"]

RUN_DIRECTORY: Final = Path("RUN_DIR")
USUAL_WAIT: Final = "40s"
"""Until a gateway with the default `time.idle_close` has closed every window."""


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation and what was found; `passed` is None where it was not measured, and `found` says why.

    `command` is what measures it then, if a command does.
    """

    name: str
    expected: str
    found: str
    passed: bool | None
    command: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it; without a command, where none is needed."""
        return {name: value for name, value in asdict(self).items() if name != "command" or value}


def checks_of(
    expect: Mapping[str, Expectation],
    measures: Mapping[str, float],
    run_dir: Path = RUN_DIRECTORY,
    wait: str = USUAL_WAIT,
) -> list[Check]:
    """Judge a scenario's expectations by its measures; one without a measure stays open.

    `wait`: how long `verify` must wait for the gateway to close its windows.
    """
    return [
        Check(name, each.text, _in_words(measures[name]), each.holds(measures[name]))
        if name in measures
        else _not_measured(name, each.text, measures, _verify_command(run_dir, wait))
        for name, each in expect.items()
    ]


def _verify_command(run_dir: Path, wait: str) -> str:
    history = "edge-gateway query windows --json"
    return f'fleet-sim verify {shlex.quote(str(run_dir))} --history-cmd "{history}" --wait {wait}'


def unmet(
    required: Mapping[str, Expectation], expect: Collection[str], measures: Mapping[str, float]
) -> list[Check]:
    """Return what is required, does not hold, and is not left to a scenario that expects something of it itself."""
    own = {name: each for name, each in required.items() if name not in expect}
    return [check for check in checks_of(own, measures) if not check.passed]


def _in_words(value: float) -> str:
    return f"{value:g}" if math.isfinite(value) else "messages without PUBACK"


def _not_measured(name: str, expected: str, measures: Mapping[str, float], verify: str) -> Check:
    """Return an expectation that stays open, with what is missing for its measure, and how to get it."""
    if name.startswith(("delivery.", "windows.")):
        return Check(name, expected, "not measured: compare with what a gateway stored", None, command=verify)
    return Check(name, expected, f"not measured: {_why_not_measured(name, measures)}", None)


def _why_not_measured(name: str, measures: Mapping[str, float]) -> str:
    if name.startswith("publish."):
        return "the broker acknowledged no message"
    if name.startswith("pacing."):
        return "no message was sent"
    if not any(each.startswith("alerts.") for each in measures):
        return "no gateway was heard; run one on the same broker"
    return "no command came" if name.startswith("commands.") else "no alert reached a device"


def judged(
    header: Mapping[str, Any], measures: Mapping[str, float], *, why_open: str | None = None
) -> list[Check]:
    """Judge those expectations in the header of a run's ledger that `measures` holds.

    All stay open with `why_open`: the reason why the measures say nothing.
    """
    expect = {
        name: Expectation(*parts) for name, parts in header.get("expect", {}).items() if name in measures
    }
    if why_open is not None:
        return [Check(name, each.text, f"not measured: {why_open}", None) for name, each in expect.items()]
    return checks_of(expect, measures)


def rows_table(title: str, rows: Sequence[tuple[str, str]]) -> Table:
    """Return a table of names and values."""
    table = Table(("", ""), title=title)
    for name, value in rows:
        table.add(Styled(f"  {name}", "dim"), value)
    return table


def check_rows(checks: Sequence[Check]) -> list[Table | Line]:
    """Return a table of the expectations and what was found, and the commands that measure those that are open.

    Nothing is returned where nothing is expected. Each command is a line of its own, to be copied.
    """
    rows = [(check.name, _outcome(check)) for check in checks]
    commands = dict.fromkeys(check.command for check in checks if check.command)
    blocks: list[Table | Line] = [rows_table("expectations", rows)] if rows else []
    if commands:
        blocks.append(Line("To measure what is open:"))
    return [*blocks, *(Line(command, whole=True) for command in commands)]


def _outcome(check: Check) -> str:
    if check.passed is None:
        return f"open  expected {check.expected}; {check.found}"
    return f"{'ok' if check.passed else 'FAILED'}  expected {check.expected}, found {check.found}"

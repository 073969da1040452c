"""What `run` and `replay` print at the end, and their exit status."""

from collections.abc import Mapping
from typing import Final

from fleet_console.terminal import complain, say, say_json
from fleet_sim.judging.grade import grade
from fleet_sim.judging.report import Check, check_rows, checks_of, rows_table
from fleet_sim.ledger.reading import read_ledger
from fleet_sim.runtime.deployment import RunResult
from fleet_sim.scenario.expectations import Expectation

__all__ = ["INTERRUPTED", "TERMINATED", "exit_status", "judge", "result_rows", "show_result"]

INTERRUPTED: Final = "interrupted"
TERMINATED: Final = "terminated"


def judge(result: RunResult, expect: Mapping[str, Expectation]) -> list[Check]:
    """Check what a scenario expects of its run; needs the ledger only where a gateway was heard."""
    return checks_of(expect, {**_graded(result), **result.measures})


def _graded(result: RunResult) -> dict[str, float]:
    """Return the measures of a gateway's alerts and commands, if the run saw a gateway."""
    ledger = read_ledger(result.directory)
    return grade(ledger).measures() if ledger.of_kind("status") else {}


def exit_status(result: RunResult, checks: list[Check]) -> int:
    """Return the exit status of a run."""
    if result.reason == INTERRUPTED:
        return 130
    if result.verdict.saturated:
        return 4
    nobody = result.refused and not result.counters["connects"]
    if nobody:
        return 3
    return 1 if any(check.passed is False for check in checks) else 0


def show_result(result: RunResult, checks: list[Check], *, as_json: bool) -> None:
    """Print the end table, or one JSON object."""
    if as_json:
        say_json(result.summary() | {"expectations": [
            {"name": c.name, "expected": c.expected, "found": c.found, "passed": c.passed} for c in checks
        ]})  # fmt: skip
        return
    say(
        rows_table(f"run {result.reason} after {result.seconds:.1f} s", result_rows(result)),
        *check_rows(checks),
    )
    for reason, count in result.refused.items():
        complain(f"{count} devices were refused: {reason}")
    if result.verdict.saturated:
        complain(f"inconclusive: {result.verdict.reason}; use fewer sensors or a faster machine")


def result_rows(result: RunResult) -> list[tuple[str, str]]:
    """Return the end table."""
    last, counters = result.last, result.counters
    rows = [
        ("devices", f"{last.devices} ({counters['connects']} connects, {counters['reconnects']} again)"),
        ("messages", f"{counters['made']} made, {counters['published']} published, {counters['acked']} acked"),
        ("unfinished", f"{result.unfinished} without PUBACK or never sent, {counters['lost']} lost at the device"),
        ("ack", f"p50 {_ms(last.ack.p50)}  p95 {_ms(last.ack.p95)}  p99 {_ms(last.ack.p99)}  max {_ms(last.ack.most)}"),
        ("pacing", f"lag p99 {_ms(last.lag.p99)}, max {_ms(last.lag.most)}, {counters['overruns']} overruns"),
        ("receipts", f"{counters['receipts']}, {counters['resent']} messages sent again"),
        ("commands", f"{counters['commands']} received, {counters['executed']} done, {counters['notices']} notices"),
        ("alerts seen", str(counters["alerts"])),
        ("ledger", str(result.directory)),
    ]  # fmt: skip
    faulty = [(name, counters[name]) for name in ("damaged", "duplicated", "malformed", "refused")]
    if any(count for _, count in faulty):
        rows.insert(-1, ("odd", ", ".join(f"{count} {name}" for name, count in faulty if count)))
    return rows


def _ms(microseconds: float) -> str:
    return f"{max(0.0, microseconds) / 1000:.1f}ms"

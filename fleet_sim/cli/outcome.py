"""The result of `run`, `replay` and `ctl stop` as they print it, and the exit status of a run."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fleet_config.counting import counted
from fleet_console.drawing import Table
from fleet_console.terminal import complain, say, say_json
from fleet_sim.judging.grade import grade
from fleet_sim.judging.report import USUAL_WAIT, Check, check_rows, checks_of, rows_table, unmet
from fleet_sim.judging.stored import StoredUnreadable
from fleet_sim.judging.terms import gateway_terms, wait_for_windows
from fleet_sim.ledger.reading import read_ledger
from fleet_sim.runtime.deployment import RunResult
from fleet_sim.scenario.expectations import REQUIRED, Expectation

__all__ = [
    "INTERRUPTED", "TERMINATED", "exit_status", "failures", "judge", "result_rows", "result_table", "show_result",
]  # fmt: skip

INTERRUPTED: Final = "interrupted"
TERMINATED: Final = "terminated"


def judge(result: RunResult, expect: Mapping[str, Expectation]) -> list[Check]:
    """Judge what a scenario expects of its run, by what the run itself can measure."""
    graded, wait = _heard(result) if expect else ({}, USUAL_WAIT)
    measures = {**graded, **result.measures}
    return [*checks_of(expect, measures, result.directory, wait), *unmet(REQUIRED, expect, result.measures)]


def _heard(result: RunResult) -> tuple[dict[str, float], str]:
    """Return the measures of a gateway's alerts and commands, and for how long it may keep windows open.

    There are no measures where the run heard no gateway.
    """
    ledger = read_ledger(result.directory)
    statuses = [row["status"] for row in ledger.of_kind("status")]
    if not statuses:
        return {}, USUAL_WAIT
    return grade(ledger).measures(), _wait(statuses[-1])


def _wait(status: Mapping[str, Any]) -> str:
    try:
        return wait_for_windows(gateway_terms(status).time)
    except StoredUnreadable:
        return USUAL_WAIT


def exit_status(result: RunResult, checks: list[Check]) -> int:
    """Return the exit status of a run."""
    if result.reason == INTERRUPTED:
        return 130
    if result.verdict.saturated:
        return 4
    if result.never_connected and not result.counters["connects"]:
        return 3
    return 1 if any(check.passed is False for check in checks) else 0


def show_result(result: RunResult, checks: list[Check], *, as_json: bool) -> None:
    """Print the end table, or one JSON object."""
    if as_json:
        say_json(result.summary() | {"expectations": [check.as_dict() for check in checks]})
        return
    say(result_table(result.summary()), *check_rows(checks))
    complain(*failures(result.summary()))
    if result.verdict.saturated:
        complain(f"inconclusive: {result.verdict.reason}; use fewer sensors or a faster machine")


def failures(summary: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each way in which a run failed, from `RunResult.summary`."""
    devices, counters = counted(summary["devices"], "device"), summary["counters"]
    said = [
        *(
            f"{count:,} of {devices} never connected: {why}"
            for why, count in summary["never_connected"].items()
        ),
        *(f"{count:,} of {devices} gave up: {why}" for why, count in summary["gave_up"].items()),
        *(
            f"{count:,} of {devices} had no connection at the end: {why}"
            for why, count in summary["disconnected"].items()
        ),
        *(
            f"{counted(count, 'message was', 'messages were')} refused by the broker: {why}"
            for why, count in summary["refused_messages"].items()
        ),
    ]
    if unfinished := counters["unfinished"]:
        unsent = counters["unsent"]
        said.append(
            f"{counted(unfinished, 'message was', 'messages were')} not acknowledged: "
            f"{unfinished - unsent:,} without PUBACK, {unsent:,} never sent"
        )
    return said


def result_table(summary: Mapping[str, Any]) -> Table:
    """Return the table at the end of a run, from `RunResult.summary`."""
    return rows_table(f"run {summary['reason']} after {summary['seconds']:.1f} s", result_rows(summary))


def result_rows(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the rows of that table."""
    counters, measures = summary["counters"], summary["measures"]
    connects, notices = counted(counters["connects"], "connect"), counted(counters["notices"], "notice")
    rows = [
        ("devices", f"{summary['devices']} ({connects}, {counters['reconnects']} again)"),
        ("messages", f"{counters['made']} made, {counters['published']} published, {counters['acked']} acked"),
        ("unfinished", f"{counters['unfinished']} without PUBACK or never sent, {counters['lost']} lost at the device"),
        ("ack", _times(measures, "publish.ack", ("p50", "p95", "p99", "max"))),
        ("pacing", f"lag {_times(measures, 'pacing.lag', ('p99', 'max'))}, {counted(counters['overruns'], 'overrun')}"),
        ("receipts", f"{counters['receipts']}, {counted(counters['resent'], 'message')} sent again"),
        ("commands", f"{counters['commands']} received, {counters['executed']} done, {notices}"),
        ("alerts seen", str(counters["alerts"])),
        ("ledger", str(summary["directory"])),
    ]  # fmt: skip
    faulty = [(name, counters[name]) for name in ("damaged", "duplicated", "malformed", "refused")]
    if any(count for _, count in faulty):
        rows.insert(-1, ("odd", ", ".join(f"{count} {name}" for name, count in faulty if count)))
    return rows


def _times(measures: Mapping[str, float | None], name: str, which: Sequence[str]) -> str:
    """Return percentiles of a measure in ms; `none` where nothing was measured, `without end` where a PUBACK lacks."""
    if f"{name}.{which[0]}" not in measures:
        return "none"
    return "  ".join(f"{each} {_time(measures[f'{name}.{each}'])}" for each in which)


def _time(value: float | None) -> str:
    return "without end" if value is None else f"{max(0.0, value):.1f}ms"

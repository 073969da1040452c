"""`fleet-sim verify` and `fleet-sim grade`: compare a run's ledger with what is stored and what came back."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from fleet_config.counting import counted
from fleet_console.terminal import complain, say, say_json
from fleet_sim.cli.commands import INCONCLUSIVE
from fleet_sim.cli.options import JsonOption, span
from fleet_sim.devices.pacing import Percentiles
from fleet_sim.judging.grade import Alert, Grade, grade
from fleet_sim.judging.moments import at_second
from fleet_sim.judging.not_proven import taken_over
from fleet_sim.judging.report import Check, check_rows, judged, rows_table, unmet
from fleet_sim.judging.stored import (
    InfluxPlace,
    StoredUnreadable,
    WindowKey,
    alert_rows,
    history_from_command,
    history_from_file,
    influx_windows,
    window_rows,
)
from fleet_sim.judging.terms import NotCounted, Terms, gateway_terms, not_counted, rounded_wait
from fleet_sim.judging.verify import MOST_EXAMPLES, Comparison, compare
from fleet_sim.ledger.expected import Facts
from fleet_sim.ledger.reading import Ledger, StillRunning, read_ledger
from fleet_sim.scenario.expectations import REQUIRED_OF_ALERTS

LOOK_AGAIN = 1.0
"""Seconds between two comparisons with `--wait`."""
MOST_SHOWN = 3
"""Wrong windows that the table names."""
_OWN_COUNT = "during the run, by the gateway's own count"
_TAKEN_OVER = (
    "another client used the id; no window of these, or of others that lost their connection, proves that a reading "
    "was counted twice"
)
RunDirectory = Annotated[Path, typer.Argument(metavar="RUN_DIR", help="What `run --report` wrote.")]


def verify(
    run_dir: RunDirectory,
    *,
    history_cmd: Annotated[
        str | None, typer.Option("--history-cmd", help="Ask a gateway: 'edge-gateway query windows --json'.")
    ] = None,
    history: Annotated[
        Path | None, typer.Option("--history", help="The saved output of that command.")
    ] = None,
    influx_url: Annotated[
        str | None, typer.Option("--influx-url", envvar="INFLUX_URL", help="Ask InfluxDB: http://host:8086.")
    ] = None,
    influx_org: Annotated[
        str, typer.Option("--influx-org", envvar="INFLUX_ORG", help="Its organisation.")
    ] = "fleet",
    gateway: Annotated[
        str | None, typer.Option("--gateway", help="The gateway's id, where the run heard several.")
    ] = None,
    wait: Annotated[
        str | None,
        typer.Option(
            "--wait", help="Compare again until every window is closed and right, at most so long, e.g. 40s."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare what is stored with what was sent.

    The token of InfluxDB is read from INFLUX_TOKEN. Exit 1 where something is lost, double or wrong, 4 while the run
    goes on, or where no window could be judged.
    """
    ledger = ended_ledger(run_dir)
    statuses = statuses_of(ledger, gateway)
    terms, lacking = gateway_terms(statuses[-1]), not_counted(statuses)
    sources = _sources(ledger, terms, command=history_cmd, file=history, url=influx_url, org=influx_org)
    if not sources:
        raise typer.BadParameter("nothing to compare with: give --history-cmd, --history or --influx-url")
    patience = (span(wait, "--wait") or 0) / 1000.0
    results = [compared(ledger, terms, name, read, patience) for name, read in sources.items()]
    checks = [check for result in results for check in _checks(ledger, result)]
    if as_json:
        say_json({"gateway": terms.gateway, "complete": ledger.end is not None,
                  "taken_over": sorted(taken_over(ledger)), **lacking._asdict(),
                  "results": [result.as_dict() for result in results]})  # fmt: skip
    else:
        for result in results:
            say(
                rows_table(f"verify {run_dir} against {result.source}", _rows(result, ledger, terms, lacking))
            )
        say(*check_rows(checks))
    open_questions = [_why_inconclusive(result, terms) for result in results if result.inconclusive]
    complain(*open_questions)
    right = all(result.ok for result in results) and all(check.passed is not False for check in checks)
    raise typer.Exit((INCONCLUSIVE if open_questions else 0) if right else 1)


def _checks(ledger: Ledger, result: Comparison) -> list[Check]:
    """Judge what the scenario expects of delivery; that stays open where nothing could be judged."""
    nothing = result.inconclusive and result.ok
    return judged(ledger.header, result.measures(), why_open="no window could be judged" if nothing else None)


def _why_inconclusive(result: Comparison, terms: Terms) -> str:
    """Say that nothing was judged, and what to do."""
    acknowledged = counted(result.readings, "number is", "numbers are")
    text = f"inconclusive: no window could be judged, though {acknowledged} acknowledged"
    if terms.offline:
        return f"{text}: {_offline(terms)}; start it, and verify again"
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in result.not_judged.items())
    return f"{text}: of the windows, {reasons}{_again(result)}"


def _again(result: Comparison) -> str:
    """Say when to verify again, where the gateway may still hold windows open; it depends on when they close."""
    if result.closed_ms is None:
        return ""
    left = result.closed_ms - time.time() * 1000
    return "; verify again" + (f" later, or with --wait {rounded_wait(left)}" if left > 0 else "")


def _offline(terms: Terms) -> str:
    since = f" since {at_second(terms.at)}" if terms.at else ""
    return f"the gateway '{terms.gateway}' was offline{since}, as its status at the end of the run says"


def ended_ledger(run_dir: Path) -> Ledger:
    """Read the ledger of a run that has ended; StillRunning if it goes on, because nothing of it is final then."""
    ledger = read_ledger(run_dir)
    if ledger.running:
        raise StillRunning(
            f"the run in {run_dir} is still running and cannot be judged yet: wait for its end, "
            f"or end it with `fleet-sim ctl stop {run_dir}`"
        )
    return ledger


def newest_status(ledger: Ledger, gateway: str | None) -> Mapping[str, Any]:
    """Return the last status of a gateway (None: of the only one) that the run received."""
    return statuses_of(ledger, gateway)[-1]


def statuses_of(ledger: Ledger, gateway: str | None) -> list[Mapping[str, Any]]:
    """Return the first and the last status of a gateway (None: of the only one) that the run received.

    It is one alone where the run was killed.
    """
    heard: dict[str, list[Mapping[str, Any]]] = {}
    for row in ledger.of_kind("status"):
        heard.setdefault(row["gateway"], []).append(row["status"])
    names = ", ".join(sorted(heard))
    if not heard:
        raise StoredUnreadable(
            "the run heard no gateway, so how windows are computed is not known; "
            "run the fleet again with a gateway on the same broker"
        )
    if gateway is None and len(heard) > 1:
        raise typer.BadParameter(f"--gateway: the run heard several; choose one of {names}")
    if gateway is not None and gateway not in heard:
        raise typer.BadParameter(f"--gateway: the run did not hear '{gateway}'; it heard {names}")
    return heard[gateway] if gateway is not None else next(iter(heard.values()))


def _sources(
    ledger: Ledger, terms: Terms, *, command: str | None, file: Path | None, url: str | None, org: str
) -> dict[str, Callable[[], dict[WindowKey, Facts]]]:
    sources: dict[str, Callable[[], dict[WindowKey, Facts]]] = {}
    if command is not None:
        sources[command] = lambda: window_rows(history_from_command(command), f"`{command}`")
    if file is not None:
        sources[str(file)] = lambda: window_rows(history_from_file(file), str(file))
    if url is not None:
        place = _influx(url, org)
        sources[url] = lambda: influx_of_run(ledger, terms, place)
    return sources


def _influx(url: str, org: str) -> InfluxPlace:
    token = os.environ.get("INFLUX_TOKEN", "").strip()
    if not _is_address(url):
        raise typer.BadParameter(
            f"--influx-url: '{url}' is no address; write http://host:8086 or https://host"
        )
    if not (token.isascii() and token.isprintable()):
        raise typer.BadParameter("INFLUX_TOKEN holds what no token does, such as a line feed")
    return InfluxPlace(url, org, token)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in url
        )
    except ValueError:
        return False


def influx_of_run(ledger: Ledger, terms: Terms, place: InfluxPlace) -> dict[WindowKey, Facts]:
    """Read the windows in every bucket over the time of the run."""
    times = [group.table["ts"] for group in ledger.groups if len(group.table)]
    if not times:
        return {}
    first, last = min(int(ts.min()) for ts in times), max(int(ts.max()) for ts in times)
    found: dict[WindowKey, Facts] = {}
    for tier in terms.tiers:
        found |= influx_windows(place, tier.bucket, tier.every_ms, first - first % tier.every_ms, last + 1)
    return found


def compared(
    ledger: Ledger, terms: Terms, name: str, read: Callable[[], dict[WindowKey, Facts]], patience: float
) -> Comparison:
    """Compare, and again until every window is closed and right, or until `patience` seconds are over.

    End earlier where no further comparison within that time can change the result.
    """
    until = time.time() + patience
    while True:
        result = compare(ledger, terms, read(), name)
        if time.time() >= until or not result.may_change_by(until * 1000):
            return result
        time.sleep(LOOK_AGAIN)


def _rows(result: Comparison, ledger: Ledger, terms: Terms, lacking: NotCounted) -> list[tuple[str, str]]:
    rows = [
        (
            "readings",
            f"{counted(result.readings, 'number')} acknowledged, {result.judged:,} judged; states have no windows",
        ),
        ("lost", str(result.lost)),
        ("double", str(result.double)),
        ("wrong windows", f"{result.wrong} of {result.windows}"),
    ]
    rows += [
        ("not judged", f"{counted(count, 'window')}: {reason}") for reason, count in result.not_judged.items()
    ]
    if result.closing_ms is not None and (ahead := result.closing_ms / 1000 - time.time()) > 0:
        rows.append(("", f"no open window closes in the next {ahead:.0f} s"))
    if lacking.too_late:
        rows.append(("too late", f"{counted(lacking.too_late, 'reading')} {_OWN_COUNT}"))
    if lacking.not_known:
        rows.append(("not known", f"{counted(lacking.not_known, 'message')} {_OWN_COUNT}"))
    if others := taken_over(ledger):
        rows.append(("taken over", f"{counted(len(others), 'device')}: {_TAKEN_OVER}"))
    if ledger.end is None:
        rows.append(("ledger", "the run was killed: its last second is not judged"))
    if terms.offline:
        rows.append(("gateway", _offline(terms)))
    return rows + _example_rows(result)


def _example_rows(result: Comparison) -> list[tuple[str, str]]:
    """Return the first wrong windows, and how many more there are."""
    shown = result.examples[:MOST_SHOWN]
    rows = [("e.g." if at == 0 else "", str(example)) for at, example in enumerate(shown)]
    if more := result.wrong - len(shown):
        rows.append(("", f"and {more:,} more; --json names up to {MOST_EXAMPLES}"))
    return rows


def grade_run(
    run_dir: RunDirectory,
    *,
    alerts_cmd: Annotated[
        str | None, typer.Option("--alerts-cmd", help="Ask a gateway: 'edge-gateway query alerts --json'.")
    ] = None,
    alerts: Annotated[Path | None, typer.Option("--alerts", help="The saved output of that command.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare alerts and commands with the labelled faults.

    The alerts are those that the run heard, unless a gateway's history is given. Exit 1 where one is missed, false or
    repeated, or a command was carried out twice, unless the scenario expects that very figure to be another, such as
    alerts.false; 4 while the run goes on.
    """
    ledger = ended_ledger(run_dir)
    result = grade(ledger, _history_of_alerts(alerts_cmd, alerts))
    measures, expect = result.measures(), ledger.header.get("expect", {})
    checks = [*judged(ledger.header, measures), *unmet(REQUIRED_OF_ALERTS, expect, measures)]
    if as_json:
        say_json(measures | {
            "rules": {name: asdict(rule) for name, rule in result.rules.items()},
            "commands": asdict(result.commands), "open": result.open, "not_begun": result.not_begun,
            "examples": result.examples, "expectations": [check.as_dict() for check in checks],
        })  # fmt: skip
    else:
        say(rows_table(f"grade {run_dir}", grade_rows(result)), *check_rows(checks))
        say(*_allowed(checks, measures))
    raise typer.Exit(0 if all(check.passed for check in checks) else 1)


def _allowed(checks: Sequence[Check], measures: Mapping[str, float]) -> list[str]:
    """Say which figures are none that a grade may have, but for the scenario, which expects them."""
    return [
        f"{check.name} is {check.found}, which the scenario allows: it expects {check.expected}"
        for check in checks
        if check.passed and measures[check.name] and check.name in REQUIRED_OF_ALERTS
    ]


def _history_of_alerts(command: str | None, file: Path | None) -> list[Alert] | None:
    if command is not None:
        return alert_rows(history_from_command(command), f"`{command}`")
    return None if file is None else alert_rows(history_from_file(file), str(file))


def grade_rows(result: Grade) -> list[tuple[str, str]]:
    """Return the rows of the table."""
    rows = [
        (name, f"expected {rule.expected}, missed {rule.missed}, fired {rule.fired}, false {rule.false}")
        for name, rule in sorted(result.rules.items())
    ]
    commands = result.commands
    rows += [
        ("repeated alerts", str(result.repeated)),
        ("open", _open_labels(result)),
        ("alert latency", _spread(result.latency)),
        (
            "commands",
            f"{commands.received} received, {commands.executed} done, {commands.executed_twice} twice",
        ),
        ("not done", f"{commands.rejected} rejected, {commands.failed} failed"),
        ("command latency", _spread(commands.latency)),
        ("command to ack", _spread(commands.ack)),
    ]
    return rows + [("", example) for example in result.examples]


def _open_labels(result: Grade) -> str:
    not_begun = f", {result.not_begun:,} not begun" if result.not_begun else ""
    return f"{counted(result.open, 'label')} whose time was not over{not_begun}"


def _spread(times: Percentiles) -> str:
    if not times.count:
        return "none"
    return (
        f"p50 {times.p50 / 1000:.1f}ms  p95 {times.p95 / 1000:.1f}ms  p99 {times.p99 / 1000:.1f}ms  "
        f"max {times.most / 1000:.1f}ms  ({times.count})"
    )

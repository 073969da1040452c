"""`fleet-sim ctl`: change a fleet while it runs."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from fleet_config.counting import counted
from fleet_console.terminal import complain, say, say_json
from fleet_sim.cli.options import JsonOption, span
from fleet_wire.printable import printable

ANSWER_WITHIN: Final = 5.0
"""Seconds that a fleet may take to answer what it can answer at once."""

RunDirectory = Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Of the running fleet.")]
MatchOption = Annotated[
    list[str] | None,
    typer.Option("--match", "-m", help="Which devices, e.g. site=lyon, device=frz-0000*, share=10%."),
]
AnswerOption = Annotated[bool, typer.Option("--json", help="One JSON object instead of words.")]

ctl = typer.Typer(help="Change a fleet while it runs.", no_args_is_help=True)


@ctl.command()
def status(run_dir: RunDirectory, *, as_json: JsonOption = False) -> None:
    """Print the state of the run."""
    from fleet_sim.judging.report import rows_table

    found = answer(run_dir, {"do": "status"})
    if as_json:
        say_json(found)
    else:
        say(rows_table(f"run in {run_dir}", status_rows(found)))


@ctl.command()
def stop(
    run_dir: RunDirectory,
    *,
    within: Annotated[
        str, typer.Option("--within", help="How long to wait for messages under way to settle.")
    ] = "1m",
    as_json: JsonOption = False,
) -> None:
    """End the run in order, wait until it has ended, and print its result."""
    patience = (span(within, "--within") or 0) / 1000.0
    try:
        summary = ask(run_dir, {"do": "stop"}, patience)
    except TimeoutError:
        complain(
            f"the run was told to stop {within} ago and is still settling; `ctl status` shows what it waits for"
        )
        raise typer.Exit(1) from None
    if as_json:
        say_json(summary)
        return
    from fleet_sim.cli.outcome import failures, result_table

    say(result_table(summary))
    complain(*failures(summary))


@ctl.command()
def disconnect(
    run_dir: RunDirectory,
    *,
    match: MatchOption = None,
    length: Annotated[str, typer.Option("--for", help="For how long, e.g. 30s.")] = "10s",
    as_json: AnswerOption = False,
) -> None:
    """Take devices off the network for a time."""
    started = answer(run_dir, {"do": "disconnect", "match": _pairs(match), "for": span(length, "--for")})
    if as_json:
        say_json(started)
    else:
        say(*started_lines(started, run_dir))


@ctl.command()
def fault(
    run_dir: RunDirectory,
    kind: Annotated[str, typer.Argument(help="As in a scenario: stuck, heat_up, reboot …")],
    *,
    match: MatchOption = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="As in a scenario: metric=temperature, for=30s.")
    ] = None,
    as_json: AnswerOption = False,
) -> None:
    """Start a fault now; print its number in the ledger, its devices and what ends it."""
    described = {"kind": kind, "match": _pairs(match), **_pairs(settings)}
    started = answer(run_dir, {"do": "fault", "fault": described})
    if as_json:
        say_json(started)
    else:
        say(*started_lines(started, run_dir))


def started_lines(started: Mapping[str, Any], run_dir: Path) -> list[str]:
    """Say which fault began, on which devices, and what ends it."""
    more = started["devices"] - len(started["named"])
    named = ", ".join(started["named"]) + (f" and {more} more" if more else "")
    metric = f" of {started['metric']}" if started["metric"] else ""
    what = f"fault {started['number']}: {started['kind']}{metric} on {counted(started['devices'], 'device')}"
    return [f"{what}: {named}", _its_end(started, run_dir)]


def _its_end(started: Mapping[str, Any], run_dir: Path) -> str:
    repair = started["repaired_by"]
    sooner = f", or when a command changes {repair}" if repair else ""
    if started["once"]:
        return "it happens once and ends by itself"
    if started["until"] is not None:
        moment = datetime.fromtimestamp(started["until"] / 1000, UTC)
        return f"it ends by itself at {moment:%Y-%m-%d %H:%M:%S}Z{sooner}"
    return (
        f"it lasts until the run ends (`fleet-sim ctl stop {run_dir}`){sooner}; "
        "`--set for=30s` gives a fault an end of its own"
    )


def _p99(times: Mapping[str, Any]) -> str:
    """Return a percentile in ms; of nothing there is none."""
    return f"{max(0.0, times['p99']) / 1000:.1f}ms" if times["count"] else "none"


def status_rows(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the rows of the table of a run's state; rates and times are those of the last second."""
    return [
        ("running for", f"{found['seconds']:.0f} s"),
        ("devices", f"{found['up']} of {found['devices']} connected, {counted(found['reconnects'], 'reconnect')}"),
        ("messages", f"{found['published']} published, {found['acked']} acked, {found['rate']:.1f}/s"),
        ("under way", f"{found['unacked']} without PUBACK, {found['waiting']} in buffers, {found['lost']} lost"),
        ("ack", f"p99 {_p99(found['ack_now'])} in the last second"),
        ("lag", f"p99 {_p99(found['lag_now'])} in the last second, {counted(found['overruns'], 'overrun')}"),
        ("receipts", f"{found['receipts']}, {counted(found['resent'], 'message')} sent again"),
        ("commands", f"{found['commands']} received, {counted(found['notices'], 'notice')}"),
        ("alerts seen", str(found["alerts"])),
    ]  # fmt: skip


def _pairs(texts: list[str] | None) -> dict[str, Any]:
    import yaml

    found = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"'{text}' is not of the form NAME=VALUE")
        try:
            found[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise typer.BadParameter(f"'{text}': the value is not YAML; put it in quotes") from None
    return found


def answer(run_dir: Path, request: dict[str, Any]) -> Any:
    """Ask the fleet of a run directory what it can answer at once."""
    from fleet_sim.devices.endpoint import CannotReach

    try:
        return ask(run_dir, request, ANSWER_WITHIN)
    except TimeoutError:
        raise CannotReach(
            f"the fleet in {run_dir} gave no answer within {ANSWER_WITHIN:g} s; it may be too busy, try again"
        ) from None


def ask(run_dir: Path, request: dict[str, Any], patience: float) -> Any:
    """Send a request to the fleet of a run directory and return its answer.

    Raises:
        CannotReach: no fleet can be asked there.
        TimeoutError: it did not answer within `patience` seconds.
        typer.BadParameter: it refuses the request.
    """
    import asyncio

    from fleet_sim.devices.endpoint import CannotReach
    from fleet_sim.runtime.requests import socket_of
    from fleet_wire.errors import system_text
    from fleet_wire.local_socket import NotRunning, RequestFailed, call

    try:
        return asyncio.run(call(socket_of(run_dir), request, patience))
    except NotRunning:
        raise CannotReach(f"no fleet runs in {run_dir}; give the run directory of one that does") from None
    except RequestFailed as problem:
        raise typer.BadParameter(printable(problem, None)) from None
    except TimeoutError:
        raise
    except OSError as problem:
        raise CannotReach(f"cannot ask the fleet in {run_dir}: {system_text(problem)}") from None

"""`fleet-sim ctl`: changes a fleet while it runs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fleet_console.terminal import complain, say_json
from fleet_sim.cli.options import span
from fleet_wire.printable import printable

ANSWER_WITHIN = 5.0

RunDirectory = Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Of the running fleet.")]
MatchOption = Annotated[
    list[str] | None,
    typer.Option("--match", "-m", help="Which devices, e.g. site=lyon, device=frz-0000*, share=10%."),
]

ctl = typer.Typer(help="Change a fleet while it runs.", no_args_is_help=True)


@ctl.command()
def status(run_dir: RunDirectory) -> None:
    """Print the state of the run as JSON."""
    say_json(answer(run_dir, {"do": "status"}))


@ctl.command()
def stop(
    run_dir: RunDirectory,
    within: Annotated[
        str, typer.Option("--within", help="How long to wait for what is under way to settle.")
    ] = "1m",
) -> None:
    """End the run in order, wait until it has ended, and print its result as JSON."""
    patience = (span(within, "--within") or 0) / 1000.0
    try:
        say_json(ask(run_dir, {"do": "stop"}, patience))
    except TimeoutError:
        complain(
            f"the run was told to stop {within} ago and is still settling; `ctl status` shows what it waits for"
        )
        raise typer.Exit(1) from None


@ctl.command()
def disconnect(
    run_dir: RunDirectory,
    match: MatchOption = None,
    length: Annotated[str, typer.Option("--for", help="For how long, e.g. 30s.")] = "10s",
) -> None:
    """Take devices off the network for a time."""
    say_json(answer(run_dir, {"do": "disconnect", "match": _pairs(match), "for": span(length, "--for")}))


@ctl.command()
def fault(
    run_dir: RunDirectory,
    kind: Annotated[str, typer.Argument(help="As in a scenario: stuck, heat_up, reboot …")],
    match: MatchOption = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="As in a scenario: metric=temperature, for=30s.")
    ] = None,
) -> None:
    """Start a fault now; prints its number in the ledger."""
    described = {"kind": kind, "match": _pairs(match), **_pairs(settings)}
    say_json(answer(run_dir, {"do": "fault", "fault": described}))


def _pairs(texts: list[str] | None) -> dict[str, Any]:
    import yaml

    found = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"'{text}' is no NAME=VALUE")
        try:
            found[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise typer.BadParameter(f"'{text}': the value is no YAML; put it in quotes") from None
    return found


def answer(run_dir: Path, request: dict[str, Any]) -> Any:
    """Ask the fleet of a run directory what it can answer at once."""
    from fleet_sim.devices.endpoint import CannotReach

    try:
        return ask(run_dir, request)
    except TimeoutError as problem:
        raise CannotReach(f"{problem}; the fleet may be too busy, try again") from None


def ask(run_dir: Path, request: dict[str, Any], patience: float = ANSWER_WITHIN) -> Any:
    """Send a request to the fleet of a run directory; TimeoutError after `patience` seconds without an answer."""
    import asyncio

    from fleet_sim.devices.endpoint import CannotReach
    from fleet_sim.runtime.requests import socket_of
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
        raise CannotReach(f"cannot ask the fleet in {run_dir}: {problem.strerror or problem}") from None

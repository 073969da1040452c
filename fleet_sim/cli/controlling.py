"""`fleet-sim ctl`: changes a fleet while it runs."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from fleet_sim.cli.options import span
from fleet_sim.cli.output import say_json
from fleet_sim.control import socket_of
from fleet_sim.endpoint import CannotReach
from fleet_wire.local_socket import NotRunning, RequestFailed, call

__all__ = ["register"]

RunDirectory = Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Of the running fleet.")]
MatchOption = Annotated[
    list[str] | None,
    typer.Option("--match", "-m", help="Which devices, e.g. site=lyon, device=frz-0000*, share=10%."),
]

ctl = typer.Typer(help="Change a fleet while it runs.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(ctl, name="ctl")


@ctl.command()
def status(run_dir: RunDirectory) -> None:
    """Print the state of the run as JSON."""
    say_json(ask(run_dir, {"do": "status"}))


@ctl.command()
def stop(run_dir: RunDirectory) -> None:
    """End the run in order."""
    ask(run_dir, {"do": "stop"})


@ctl.command()
def disconnect(
    run_dir: RunDirectory,
    match: MatchOption = None,
    length: Annotated[str, typer.Option("--for", help="For how long, e.g. 30s.")] = "10s",
) -> None:
    """Take devices off the network for a time."""
    say_json(ask(run_dir, {"do": "disconnect", "match": _pairs(match), "for": span(length, "--for")}))


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
    say_json(ask(run_dir, {"do": "fault", "fault": described}))


def _pairs(texts: list[str] | None) -> dict[str, Any]:
    found = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"'{text}' is no NAME=VALUE")
        found[name] = yaml.safe_load(value)
    return found


def ask(run_dir: Path, request: dict[str, Any]) -> Any:
    """Send a request to the fleet of a run directory."""
    try:
        return asyncio.run(call(socket_of(run_dir), request))
    except NotRunning:
        raise CannotReach(f"no fleet runs in {run_dir}; give the run directory of one that does") from None
    except RequestFailed as problem:
        raise typer.BadParameter(str(problem)) from None

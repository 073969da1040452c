"""All commands as one program, and what becomes of each failure."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from edge_gateway.cli import broker, doctor, influx, inspect, rules, run, spool
from edge_gateway.errors import GatewayError
from edge_gateway.unexpected import in_words
from fleet_config.problems import ProblemsFound
from fleet_wire import interrupts
from fleet_wire.printable import printable
from fleet_wire.terminal import complain, write_whatever_comes
from fleet_wire.version import program_version

BAD_INPUT = 2
UNEXPECTED = 1

app = typer.Typer(
    name="edge-gateway",
    help="An MQTT edge gateway: exact windows, local rules, nothing acknowledged is lost.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
run.register(app)
inspect.register(app)
doctor.register(app)
broker.register(app)
app.add_typer(inspect.devices, name="devices")
app.add_typer(rules.app, name="rules")
app.add_typer(influx.app, name="influx")
app.add_typer(spool.app, name="spool")


def _say_version(wanted: bool) -> None:  # noqa: FBT001 - typer's
    if wanted:
        typer.echo(f"edge-gateway {program_version()}")
        raise typer.Exit


@app.callback()
def _program(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """What every command takes."""


def carry_out_process() -> None:
    """Run the process' command; an interrupt is an exception only while the command runs."""
    write_whatever_comes()
    try:
        interrupts.raise_to_the_command()
        carry_out(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(interrupts.INTERRUPTED)
    finally:
        interrupts.end_at_once()


def carry_out(arguments: Sequence[str]) -> None:
    """Run one command; every failure becomes one clear text and an exit status, a traceback only with --debug."""
    debug = "--debug" in arguments
    try:
        app(args=[argument for argument in arguments if argument != "--debug"], prog_name="edge-gateway")
    except ProblemsFound as found:
        complain(*map(str, found.problems))
        sys.exit(BAD_INPUT)
    except GatewayError as error:
        complain(*str(error).split("\n"))
        sys.exit(error.status)
    except PermissionError as error:
        complain(f"{error.filename or 'what this needs'} may not be used by this user: {error.strerror}")
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        sys.exit(interrupts.INTERRUPTED)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:  # noqa: BLE001 - the edge of the process: no traceback reaches a user
        if debug:
            traceback.print_exc()
        complain(f"unexpected: {printable(in_words(error))} (run again with --debug to see where)")
        sys.exit(UNEXPECTED)

"""All commands as one program, and what becomes of each failure."""

import logging
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from fleet_config.problems import ProblemsFound
from fleet_sim.cli import controlling, judging, looking, replaying, running
from fleet_sim.endpoint import CannotReach, TooManySockets
from fleet_sim.ledger_reading import LedgerUnreadable
from fleet_sim.recordings.reading import RecordingUnreadable
from fleet_sim.stored import StoredUnreadable
from fleet_wire import interrupts
from fleet_wire.errors import ConnectRefused
from fleet_wire.log_lines import TextLines
from fleet_wire.printable import printable
from fleet_wire.terminal import complain, write_whatever_comes
from fleet_wire.version import program_version

BAD_INPUT = 2
UNREACHABLE = 3

app = typer.Typer(
    name="fleet-sim",
    help="A fleet of simulated MQTT devices that knows the truth, and grades what it is connected to.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
running.register(app)
replaying.register(app)
judging.register(app)
looking.register(app)
controlling.register(app)


def _say_version(wanted: bool) -> None:  # noqa: FBT001 - typer's
    if wanted:
        typer.echo(f"fleet-sim {program_version()}")
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
    _log_in_lines()
    try:
        interrupts.raise_to_the_command()
        carry_out(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(interrupts.INTERRUPTED)
    finally:
        interrupts.end_at_once()


def _log_in_lines() -> None:
    """What the libraries warn of, each a line on standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(TextLines("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def carry_out(arguments: Sequence[str]) -> None:
    """Run one command: every failure is one clear text and an exit status, a traceback only with --debug."""
    debug = "--debug" in arguments
    try:
        app(args=[argument for argument in arguments if argument != "--debug"], prog_name="fleet-sim")
    except ProblemsFound as found:
        complain(*map(str, found.problems))
        sys.exit(BAD_INPUT)
    except (LedgerUnreadable, RecordingUnreadable, TooManySockets) as problem:
        complain(str(problem))
        sys.exit(BAD_INPUT)
    except (CannotReach, StoredUnreadable, ConnectRefused) as problem:
        complain(str(problem))
        sys.exit(UNREACHABLE)
    except KeyboardInterrupt:
        sys.exit(interrupts.INTERRUPTED)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as problem:  # noqa: BLE001 - the edge of the process: no traceback reaches a user
        if debug:
            traceback.print_exc()
        complain(
            f"unexpected: {type(problem).__name__}: {printable(problem)} (run again with --debug to see where)"
        )
        sys.exit(1)

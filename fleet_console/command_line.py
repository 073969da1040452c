"""The command line of both programs: commands, `--version`, and one text and exit status for each failure."""

import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

import typer

from fleet_console import interrupts
from fleet_console.failures import in_words
from fleet_console.terminal import complain, write_whatever_comes
from fleet_console.version import program_version
from fleet_wire.printable import printable

UNEXPECTED = 1


class Explained(NamedTuple):
    """A failure as the user sees it: lines of text and an exit status."""

    texts: Sequence[str]
    status: int


Explain = Callable[[Exception], Explained | None]
"""Explains a failure that a program knows; None for others."""


def make_app(name: str, about: str) -> typer.Typer:
    """Return a program without commands that has `--version`."""
    app = typer.Typer(
        name=name,
        help=about,
        no_args_is_help=True,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
    )

    def say_version(wanted: bool) -> None:  # noqa: FBT001 - typer's
        if wanted:
            typer.echo(f"{name} {program_version()}")
            raise typer.Exit

    @app.callback()
    def program(
        *,
        version: Annotated[
            bool, typer.Option("--version", help="Print the version.", callback=say_version, is_eager=True)
        ] = False,
    ) -> None:
        """What every command takes."""

    return app


def carry_out(app: typer.Typer, arguments: Sequence[str], explain: Explain) -> None:
    """Run one command; ends in SystemExit. A traceback comes only with --debug."""
    given = [argument for argument in arguments if argument != "--debug"]
    try:
        app(args=given, prog_name=app.info.name)
    except KeyboardInterrupt:
        sys.exit(interrupts.INTERRUPTED)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:  # noqa: BLE001 - the edge of the process: no traceback reaches a user
        known = explain(error)
        if known is None:
            if len(given) < len(arguments):
                traceback.print_exc()
            told = f"unexpected: {printable(in_words(error))} (run again with --debug to see where)"
            known = Explained([told], UNEXPECTED)
        complain(*known.texts)
        sys.exit(known.status)


def carry_out_process(app: typer.Typer, explain: Explain) -> None:
    """Run the command of this process; an interrupt is an exception only while the command runs."""
    write_whatever_comes()
    try:
        interrupts.raise_to_the_command()
        carry_out(app, sys.argv[1:], explain)
    except KeyboardInterrupt:
        sys.exit(interrupts.INTERRUPTED)
    finally:
        interrupts.end_at_once()

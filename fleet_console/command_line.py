"""The command line of both programs: commands, `--version`, and one text and exit status for each failure."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated, Any, ClassVar, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from fleet_console import interrupts
from fleet_console.version import VERSION

UNEXPECTED = 1


class Command(NamedTuple):
    """A command or a group of commands; its module is imported when it is called."""

    about: str
    """Its line in the list of commands, the same as the first paragraph of its help."""
    source: str
    """`package.module:name` of a function or a `typer.Typer`."""


class Explained(NamedTuple):
    """A failure as the user sees it: lines of text and an exit status."""

    texts: Sequence[str]
    status: int


Explain = Callable[[Exception], Explained | None]
"""Explains an expected failure; None for others."""


class _DeferredGroup(TyperGroup):
    """Lists its commands from the table, and imports the one that is called."""

    table: ClassVar[Mapping[str, Command]]

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, command in self.table.items():
            self.add_command(TyperCommand(name, help=command.about))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed if name is None else load(name, self.table[name]), rest


def load(name: str, command: Command) -> Any:
    """Import a command and return it as a click command."""
    module, _, attribute = command.source.partition(":")
    source = getattr(import_module(module), attribute)
    if isinstance(source, typer.Typer):
        return _unwrapped(typer.main.get_group(source))
    alone = typer.Typer(add_completion=False)
    alone.command(name)(source)
    return _unwrapped(typer.main.get_command(alone))


def _unwrapped(command: Any) -> Any:
    """Let the terminal wrap each paragraph of a command's help, which otherwise keeps the lines of its docstring."""
    if command.help:
        command.help = "\n\n".join(" ".join(part.split()) for part in command.help.split("\n\n"))
    for inner in getattr(command, "commands", {}).values():
        _unwrapped(inner)
    return command


def make_app(name: str, about: str, commands: Mapping[str, Command]) -> typer.Typer:
    """Make a program with these commands and `--version`."""
    app = typer.Typer(
        name=name,
        help=about,
        cls=type("Commands", (_DeferredGroup,), {"table": commands}),
        no_args_is_help=True,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
    )

    def say_version(wanted: bool) -> None:  # noqa: FBT001 - typer's
        if wanted:
            typer.echo(f"{name} {VERSION}")
            raise typer.Exit

    @app.callback()
    def program(
        *,
        version: Annotated[
            bool, typer.Option("--version", help="Print the version.", callback=say_version, is_eager=True)
        ] = False,
    ) -> None:
        """Options of every command."""

    return app


def carry_out(app: typer.Typer, arguments: Sequence[str], explain: Explain) -> None:
    """Run one command; ends in SystemExit. Only --debug prints a traceback."""
    given = [argument for argument in arguments if argument != "--debug"]
    try:
        app(args=given, prog_name=app.info.name)
    except KeyboardInterrupt:
        sys.exit(interrupts.INTERRUPTED)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:  # noqa: BLE001 - the edge of the process: no traceback reaches a user
        sys.exit(_complain(error, explain, debug=len(given) < len(arguments)))


def _complain(error: Exception, explain: Explain, *, debug: bool) -> int:
    """Print what failed and return the exit status. Imports that only a failure needs are in here."""
    from fleet_console.terminal import complain  # noqa: PLC0415

    known = explain(error)
    if known is None:
        import traceback  # noqa: PLC0415

        from fleet_console.failures import in_words  # noqa: PLC0415
        from fleet_wire.printable import printable  # noqa: PLC0415

        if debug:
            traceback.print_exception(error)
        text = f"unexpected: {printable(in_words(error))} (run again with --debug to see where)"
        known = Explained([text], UNEXPECTED)
    complain(*known.texts)
    return known.status


def carry_out_process(app: typer.Typer, explain: Explain) -> None:
    """Run the command of this process."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # to look for some opens a file of every package
    if isinstance(sys.stdout, TextIOWrapper):  # escape what its encoding has no character for, do not raise
        sys.stdout.reconfigure(errors="backslashreplace")
    carry_out(app, sys.argv[1:], explain)

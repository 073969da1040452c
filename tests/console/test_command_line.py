"""The frame of both command lines."""

import sys
from pathlib import Path

import pytest

from fleet_console.command_line import Command, Explained, carry_out, make_app
from fleet_console.version import VERSION

MODULE = """
import typer

group = typer.Typer(help="Two things.")

def greet(name: str) -> None:
    "Say hello."
    typer.echo(f"hello {name}")

@group.command()
def fail() -> None:
    "Raise what the name says."
    raise LookupError("a defect")

@group.command()
def long() -> None:
    '''What it does.

    A paragraph that somebody wrapped for a docstring of a hundred and twenty columns, which a terminal of
    eighty has to wrap
    again.

    Another one.
    '''

@group.command()
def known() -> None:
    "Raise what is explained."
    raise KeyError("no such thing")

@group.command()
def leave() -> None:
    "Stop reading."
    raise BrokenPipeError

@group.command()
def interrupt() -> None:
    "Ctrl-C."
    raise KeyboardInterrupt
"""
COMMANDS = {
    "greet": Command("Say hello.", "commands_of_a_test:greet"),
    "things": Command("Two things.", "commands_of_a_test:group"),
}


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "commands_of_a_test.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "commands_of_a_test", raising=False)


def explain(error: Exception) -> Explained | None:
    return Explained(["first", "second"], 2) if isinstance(error, KeyError) else None


def run(*arguments: str) -> object:
    app = make_app("program", "About it.", COMMANDS)
    with pytest.raises(SystemExit) as ended:
        carry_out(app, arguments, explain)
    return ended.value.code


def test_help_lists_the_commands_and_imports_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    told = capsys.readouterr().out
    for text in ("About it.", "greet", "Say hello.", "things", "Two things."):
        assert text in told
    assert "commands_of_a_test" not in sys.modules


def test_the_version_needs_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"program {VERSION}\n"
    assert "commands_of_a_test" not in sys.modules


def test_a_function_is_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("greet", "you") == 0
    assert capsys.readouterr().out == "hello you\n"


def test_a_group_has_its_own_commands_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("things", "-h") == 0
    assert "Raise what the name says." in capsys.readouterr().out


def test_an_unknown_command_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("gret") == 2
    told = capsys.readouterr().err
    assert "No such command 'gret'" in told
    assert "greet" in told


@pytest.mark.parametrize(
    ("command", "status", "texts"),
    [
        ("known", 2, ["first", "second"]),
        ("fail", 1, ["unexpected: LookupError: a defect (run again with --debug to see where)"]),
        ("leave", 0, []),
        ("interrupt", 130, []),
    ],
)
def test_a_failure_is_texts_and_a_status(
    capsys: pytest.CaptureFixture[str], command: str, status: int, texts: list[str]
) -> None:
    assert run("things", command) == status
    assert capsys.readouterr().err.splitlines() == texts


def test_only_debug_shows_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("things", "fail", "--debug") == 1
    assert "Traceback" in capsys.readouterr().err


def test_the_terminal_wraps_the_paragraphs_of_help_and_not_the_docstring(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    run("things", "long", "--help")
    lines = [line.strip() for line in capsys.readouterr().out.split("\n")]
    first = lines.index("A paragraph that somebody wrapped for a docstring of a hundred and twenty")
    assert lines[first + 1] == "columns, which a terminal of eighty has to wrap again."
    assert "Another one." in lines

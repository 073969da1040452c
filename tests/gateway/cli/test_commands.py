"""The table of commands: it lists what is there, and one command does not pay for the imports of another."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge_gateway.cli.commands import COMMANDS, explained
from edge_gateway.errors import BadInput, CannotReach
from fleet_config.problems import Problem, ProblemsFound
from fleet_console.command_line import load
from fleet_console.version import VERSION

ROOT = Path(__file__).parents[3]
HEAVY = frozenset({"aiohttp", "influxdb_client", "mqtt5", "numpy"})
LOADED = """
import json, sys
from edge_gateway.cli import main
try:
    main({arguments!r})
except SystemExit as ended:
    open("loaded", "w").write(json.dumps([ended.code, sorted(sys.modules)]))
"""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_listed_as_its_own_help_begins(name: str) -> None:
    command = load(name, COMMANDS[name])
    assert command.help.partition("\n\n")[0].replace("\n", " ") == COMMANDS[name].about


def test_every_module_with_options_is_listed() -> None:
    """A module of commands that nobody lists would be dead."""
    listed = {command.source.partition(":")[0] for command in COMMANDS.values()}
    modules = {
        f"edge_gateway.cli.{path.stem}"
        for path in (ROOT / "edge_gateway" / "cli").glob("*.py")
        if "typer.Option" in path.read_text() or "ConfigOption =" in path.read_text()
    }
    assert modules - {"edge_gateway.cli.options"} <= listed


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["status"], 3),
        (["alerts"], 3),
        (["devices"], 3),
        (["query", "--help"], 0),
        (["query", "alerts"], 2),
        (["rules", "check"], 2),
        (["config", "show"], 0),
    ],
)
def test_a_command_that_looks_imports_nothing_heavy(
    tmp_path: Path, arguments: list[str], status: int
) -> None:
    (tmp_path / "gateway.yaml").write_text("mqtt: {url: mqtt://localhost}\nspool: {path: spool}\n")
    subprocess.run(
        [sys.executable, "-c", LOADED.format(arguments=arguments)],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    ended, modules = json.loads((tmp_path / "loaded").read_text())
    assert ended == status
    assert HEAVY & set(modules) == set()


def test_the_version_is_that_of_the_wheel(capsys: pytest.CaptureFixture[str]) -> None:
    from edge_gateway.cli import main

    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"edge-gateway {VERSION}\n"


@pytest.mark.parametrize(
    ("error", "texts", "status"),
    [
        (ProblemsFound([Problem("a.yaml", 2, 3, "wrong")]), ["a.yaml:2:3: wrong"], 2),
        (BadInput("first\nsecond"), ["first", "second"], 2),
        (CannotReach("nobody answers"), ["nobody answers"], 3),
        (PermissionError(13, "Permission denied", "/x"), ["/x: Permission denied"], 2),
    ],
)
def test_an_expected_failure_has_a_text_and_a_status(error: Exception, texts: list[str], status: int) -> None:
    found = explained(error)
    assert found is not None
    assert (list(found.texts), found.status) == (texts, status)


def test_an_unexpected_failure_has_neither() -> None:
    assert explained(ZeroDivisionError()) is None

"""The table of commands: it lists what is there, and one command does not pay for the imports of another."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_gateway.cli import rules
from edge_gateway.cli.commands import COMMANDS, explained
from edge_gateway.configuration.loading import load_config
from edge_gateway.errors import BadInput, CannotReach
from edge_gateway.recovery.startup import recover_spool
from edge_gateway.status.clock import MachineClock
from fleet_config.problems import Problem, ProblemsFound
from fleet_console.command_line import load
from fleet_console.version import VERSION

ROOT = Path(__file__).parents[3]
HEAVY = frozenset(
    {"aiohttp", "asyncio", "influxdb_client", "mqtt5", "msgpack", "msgspec", "numpy", "pydantic", "sqlite3", "xml",
     "zstandard"}
)  # fmt: skip
CONFIGURED = {"pydantic"}
ASKING = CONFIGURED | {"asyncio", "sqlite3"}
"""A gateway is asked over a local socket, whose place the spool's module names; that knows SQLite's errors."""
RULES = {"msgpack", "msgspec", "pydantic"}
"""Names in rules are checked by the grammar of messages."""
STORED = CONFIGURED | {"sqlite3"}
CODED = STORED | {"msgspec", "numpy", "zstandard"}
"""Checkpoints hold arrays."""
LOADED = """
import json, sys
from edge_gateway.cli import main
try:
    main({arguments!r})
except SystemExit as ended:
    open({loaded!r}, "w").write(json.dumps([ended.code, sorted(sys.modules)]))
"""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_listed_as_its_own_help_begins(name: str) -> None:
    command = load(name, COMMANDS[name])
    assert command.help.partition("\n\n")[0].replace("\n", " ") == COMMANDS[name].about


def test_every_module_with_options_is_listed() -> None:
    """A module of commands that nobody lists would be dead."""
    listed = {command.source.partition(":")[0] for command in COMMANDS.values()}
    listed |= {each.callback.__module__ for each in rules.app.registered_commands if each.callback}
    modules = {
        f"edge_gateway.cli.{path.stem}"
        for path in (ROOT / "edge_gateway" / "cli").glob("*.py")
        if "typer.Option" in path.read_text() or "ConfigOption =" in path.read_text()
    }
    assert modules - {"edge_gateway.cli.options"} <= listed


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a configuration, a rule with its test, and a spool with a store."""
    place = tmp_path_factory.mktemp("site")
    (place / "gateway.yaml").write_text("mqtt: {url: mqtt://localhost}\nspool: {path: spool}\n")
    shutil.copytree(ROOT / "rules", place / "rules")
    config = load_config(place / "gateway.yaml", environment={}).config
    recover_spool(place / "spool", config, "gw", MachineClock()).store.close()
    return place


@pytest.mark.parametrize(
    ("arguments", "status", "needed"),
    [
        ("--help", 0, set()),
        ("--version", 0, set()),
        ("query --help", 0, CONFIGURED),
        ("config show", 0, CONFIGURED),
        ("check", 0, RULES),
        ("rules check", 0, RULES | {"sqlite3"}),
        ("rules test rules/air.yaml", 0, RULES | {"numpy", "zstandard"}),
        ("status", 3, ASKING | {"msgspec"}),
        ("alerts", 3, ASKING),
        ("devices", 3, ASKING),
        ("query alerts", 0, STORED),
        ("query commands", 0, STORED),
        ("query quarantine", 0, STORED),
        ("query windows", 0, STORED | {"msgspec", "numpy", "zstandard"}),
        ("query states", 0, STORED | {"msgspec", "numpy", "zstandard"}),
        ("spool inspect", 0, CODED),
    ],
)
def test_a_command_that_looks_imports_what_it_needs(
    site: Path, tmp_path: Path, arguments: str, status: int, needed: set[str]
) -> None:
    loaded = tmp_path / "loaded"
    subprocess.run(
        [sys.executable, "-c", LOADED.format(arguments=arguments.split(), loaded=str(loaded))],
        cwd=site, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    ended, modules = json.loads(loaded.read_text())
    assert ended == status
    assert HEAVY & set(modules) <= needed


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

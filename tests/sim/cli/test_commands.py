"""The table of commands: it lists what is there, and what computes nothing imports no simulation."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fleet_console.command_line import load
from fleet_sim.cli.commands import COMMANDS, explained
from fleet_sim.devices.endpoint import CannotReach
from fleet_sim.ledger.reading import LedgerUnreadable

ROOT = Path(__file__).parents[3]
HEAVY = frozenset(
    {"asyncio", "fleet_sim.scenario.grammar", "mqtt5", "numpy", "statistics", "xml", "zstandard"}
)
GRAMMAR = {"fleet_sim.scenario.grammar"}
LOADED = """
import json, sys
from fleet_sim.cli import main
try:
    main({arguments!r})
except SystemExit as ended:
    json.dump([ended.code, sorted(sys.modules)], sys.stderr)
"""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_listed_as_its_own_help_begins(name: str) -> None:
    command = load(name, COMMANDS[name])
    assert command.help.partition("\n\n")[0].replace("\n", " ") == COMMANDS[name].about


@pytest.mark.parametrize(
    ("arguments", "status", "needed"),
    [
        ("--help", 0, set()),
        ("--version", 0, set()),
        ("ctl --help", 0, set()),
        ("run --help", 0, set()),
        ("plan --help", 0, set()),
        ("ls", 0, set()),
        ("init", 0, set()),
        ("check cold-chain", 0, GRAMMAR),
        ("plan cold-chain", 0, GRAMMAR | {"numpy", "statistics"}),
        ("preview cold-chain", 0, GRAMMAR | {"numpy", "statistics"}),
        ("doctor --port 1", 1, GRAMMAR | {"asyncio", "mqtt5"}),
    ],
)
def test_a_command_that_looks_imports_what_it_needs(
    tmp_path: Path, arguments: str, status: int, needed: set[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(arguments=arguments.split())],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    ended, modules = json.loads(done.stderr)
    assert ended == status
    assert HEAVY & set(modules) <= needed


@pytest.mark.parametrize(
    ("error", "status"), [(LedgerUnreadable("no ledger"), 2), (CannotReach("nobody answers"), 3)]
)
def test_an_expected_failure_has_a_text_and_a_status(error: Exception, status: int) -> None:
    found = explained(error)
    assert found is not None
    assert (list(found.texts), found.status) == ([str(error)], status)


def test_an_unexpected_failure_has_neither() -> None:
    assert explained(ZeroDivisionError()) is None

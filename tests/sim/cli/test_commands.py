"""The table of commands: it lists what is there, and what computes nothing imports no simulation."""

import subprocess
import sys
from pathlib import Path

import pytest

from fleet_console.command_line import load
from fleet_sim.cli.commands import COMMANDS, explained
from fleet_sim.devices.endpoint import CannotReach
from fleet_sim.ledger.reading import LedgerUnreadable

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_listed_as_its_own_help_begins(name: str) -> None:
    command = load(name, COMMANDS[name])
    assert command.help.partition("\n\n")[0].replace("\n", " ") == COMMANDS[name].about


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["ctl", "--help"], ["ls"], ["run", "--help"], ["plan", "--help"]]
)
def test_help_and_the_list_of_profiles_import_no_simulation(tmp_path: Path, arguments: list[str]) -> None:
    code = (
        "import sys\nfrom fleet_sim.cli import main\n"
        f"try:\n    main({arguments!r})\nfinally:\n"
        "    assert not {'numpy', 'asyncio', 'fleet_sim.scenario.grammar'} & sys.modules.keys()\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, check=True, timeout=120
    )


@pytest.mark.parametrize(
    ("error", "status"), [(LedgerUnreadable("no ledger"), 2), (CannotReach("nobody answers"), 3)]
)
def test_an_expected_failure_has_a_text_and_a_status(error: Exception, status: int) -> None:
    found = explained(error)
    assert found is not None
    assert (list(found.texts), found.status) == ([str(error)], status)


def test_an_unexpected_failure_has_neither() -> None:
    assert explained(ZeroDivisionError()) is None

"""All commands as one program, and what becomes of each failure."""

import logging
from collections.abc import Sequence

from fleet_config.problems import ProblemsFound
from fleet_console import command_line
from fleet_console.command_line import Explained
from fleet_console.log_lines import TextLines
from fleet_sim.cli import controlling, judging, looking, replaying, running
from fleet_sim.devices.endpoint import CannotReach, TooManySockets
from fleet_sim.judging.stored import StoredUnreadable
from fleet_sim.ledger.reading import LedgerUnreadable
from fleet_sim.recordings.reading import RecordingUnreadable
from fleet_wire.errors import ConnectRefused

BAD_INPUT = 2
UNREACHABLE = 3

app = command_line.make_app(
    "fleet-sim", "A fleet of simulated MQTT devices that knows the truth, and grades what it is connected to."
)
running.register(app)
replaying.register(app)
judging.register(app)
looking.register(app)
controlling.register(app)


def carry_out(arguments: Sequence[str]) -> None:
    """Run one command; ends in SystemExit."""
    command_line.carry_out(app, arguments, explained)


def carry_out_process() -> None:
    """Run the process' command."""
    _log_in_lines()
    command_line.carry_out_process(app, explained)


def _log_in_lines() -> None:
    """What the libraries warn of, each a line on standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(TextLines("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def explained(error: Exception) -> Explained | None:
    """What is wrong, and the exit status, of failures that are expected."""
    match error:
        case ProblemsFound():
            return Explained([str(problem) for problem in error.problems], BAD_INPUT)
        case LedgerUnreadable() | RecordingUnreadable() | TooManySockets():
            return Explained([str(error)], BAD_INPUT)
        case CannotReach() | StoredUnreadable() | ConnectRefused():
            return Explained([str(error)], UNREACHABLE)
    return None

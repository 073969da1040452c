"""The table of commands, and what a user reads of each known failure."""

import logging
from collections.abc import Sequence
from typing import Final

from fleet_config.problems import ProblemsFound
from fleet_console import command_line, interrupts
from fleet_console.command_line import Command, Explained

BAD_INPUT = 2
UNREACHABLE = 3
INCONCLUSIVE = 4

COMMANDS: Final = {
    "run": Command("Run a fleet against a broker.", "fleet_sim.cli.running:run"),
    "replay": Command("Replay a recorded CSV file as devices.", "fleet_sim.cli.replaying:replay"),
    "overlay": Command(
        "Lay labelled faults over a recording of real readings.", "fleet_sim.cli.overlaying:overlay"
    ),
    "verify": Command("Compare what is stored with what was sent.", "fleet_sim.cli.judging:verify"),
    "grade": Command(
        "Compare alerts and commands with the labelled faults.", "fleet_sim.cli.judging:grade_run"
    ),
    "ls": Command("The profiles that ship with the simulator.", "fleet_sim.cli.looking:ls"),
    "check": Command("Check scenario files, without side effects.", "fleet_sim.cli.looking:check"),
    "preview": Command("What devices would send, without a broker.", "fleet_sim.cli.looking:preview"),
    "plan": Command(
        "Predict messages, bytes, sockets and memory of a scenario.", "fleet_sim.cli.looking:plan"
    ),
    "doctor": Command("Check this machine and the broker.", "fleet_sim.cli.looking:doctor"),
    "init": Command("Write a scenario file to start from.", "fleet_sim.cli.looking:init"),
    "ctl": Command("Change a fleet while it runs.", "fleet_sim.cli.controlling:ctl"),
}

app = command_line.make_app(
    "fleet-sim",
    "A fleet of simulated MQTT devices that knows the truth, and grades what it is connected to.",
    COMMANDS,
)


def carry_out(arguments: Sequence[str]) -> None:
    """Run one command; ends in SystemExit."""
    command_line.carry_out(app, arguments, explained)


def carry_out_process() -> None:
    """Run the command of this process."""
    _log_in_lines()
    command_line.carry_out_process(app, explained)


def _log_in_lines() -> None:
    """Write each warning of a library as one line on standard error."""
    from fleet_console.log_lines import TextLines

    handler = logging.StreamHandler()
    handler.setFormatter(TextLines("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def explained(error: Exception) -> Explained | None:
    """Return the lines to print and the exit status of an expected failure; None for an unexpected one."""
    if isinstance(error, ProblemsFound):
        return Explained([str(problem) for problem in error.problems], BAD_INPUT)
    from fleet_recordings.reading import RecordingUnreadable
    from fleet_sim.devices.endpoint import CannotReach, TooManySockets
    from fleet_sim.judging.stored import StoredUnreachable, StoredUnreadable
    from fleet_sim.ledger.reading import LedgerUnreadable, StillRunning
    from fleet_sim.runtime.stopping import StoppedEarly
    from fleet_wire.errors import ConnectRefused

    match error:
        case LedgerUnreadable() | StoredUnreadable() | RecordingUnreadable() | TooManySockets():
            return Explained([str(error)], BAD_INPUT)
        case CannotReach() | StoredUnreachable() | ConnectRefused():
            return Explained([str(error)], UNREACHABLE)
        case StoppedEarly():
            return Explained(
                [str(error)], interrupts.INTERRUPTED if error.reason == "interrupted" else UNREACHABLE
            )
        case StillRunning():
            return Explained([str(error)], INCONCLUSIVE)
    return None

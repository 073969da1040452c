"""`fleet-sim`: the only place with arguments, printing and exit statuses.

0 pass · 1 expectations failed · 2 bad scenario or usage · 3 broker (or what is verified) unreachable
4 inconclusive: the generator itself was saturated · 130 interrupted
"""

import sys
import traceback
from collections.abc import Sequence

import typer

from fleet_config.problems import ProblemsFound
from fleet_sim.cli import controlling, judging, looking, replaying, running
from fleet_sim.cli.output import complain
from fleet_sim.endpoint import CannotReach, TooManySockets
from fleet_sim.ledger_reading import LedgerUnreadable
from fleet_sim.recordings.reading import RecordingUnreadable
from fleet_sim.stored import StoredUnreadable
from fleet_wire.errors import ConnectRefused

BAD_INPUT = 2
UNREACHABLE = 3
INTERRUPTED = 130

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


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the CLI: every failure is one clear text and an exit status, a traceback only with --debug."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    try:
        app(args=[argument for argument in given if argument != "--debug"], prog_name="fleet-sim")
    except (ProblemsFound, LedgerUnreadable, RecordingUnreadable, TooManySockets) as problem:
        complain(str(problem))
        sys.exit(BAD_INPUT)
    except (CannotReach, StoredUnreadable, ConnectRefused) as problem:
        complain(str(problem))
        sys.exit(UNREACHABLE)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as problem:  # noqa: BLE001 - the edge of the process: no traceback reaches a user
        if debug:
            traceback.print_exc()
        complain(f"unexpected: {type(problem).__name__}: {problem} (run again with --debug to see where)")
        sys.exit(1)

"""`edge-gateway`: the only place with arguments, printing and exit statuses.

0 ok · 1 a test or check failed · 2 bad input or usage · 3 cannot reach what it needs · 130 interrupted
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

import typer

from edge_gateway.cli import broker, doctor, influx, inspect, rules, run, spool
from edge_gateway.cli.options import console_error
from edge_gateway.errors import GatewayError
from fleet_config.problems import ProblemsFound

INTERRUPTED = 130
BAD_INPUT = 2
UNEXPECTED = 1

app = typer.Typer(
    name="edge-gateway",
    help="An MQTT edge gateway: exact windows, local rules, nothing acknowledged is lost.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
run.register(app)
inspect.register(app)
doctor.register(app)
broker.register(app)
app.add_typer(inspect.devices, name="devices")
app.add_typer(rules.app, name="rules")
app.add_typer(influx.app, name="influx")
app.add_typer(spool.app, name="spool")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the CLI; every failure becomes one clear text and an exit status, never a traceback without --debug."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    try:
        app(args=given)
    except ProblemsFound as found:
        console_error(str(found))
        sys.exit(BAD_INPUT)
    except GatewayError as error:
        console_error(str(error))
        sys.exit(error.status)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:  # noqa: BLE001 - the edge of the process: no traceback reaches a user
        if debug:
            traceback.print_exc()
        console_error(f"unexpected: {type(error).__name__}: {error} (run again with --debug to see where)")
        sys.exit(UNEXPECTED)

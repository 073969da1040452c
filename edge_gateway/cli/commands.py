"""All commands as one program, and what becomes of each failure."""

from __future__ import annotations

from collections.abc import Sequence

from edge_gateway.cli import broker, doctor, influx, inspect, rules, run, spool
from edge_gateway.errors import GatewayError
from fleet_config.problems import ProblemsFound
from fleet_console import command_line
from fleet_console.command_line import Explained

BAD_INPUT = 2

app = command_line.make_app(
    "edge-gateway", "An MQTT edge gateway: exact windows, local rules, nothing acknowledged is lost."
)
run.register(app)
inspect.register(app)
doctor.register(app)
broker.register(app)
app.add_typer(inspect.devices, name="devices")
app.add_typer(rules.app, name="rules")
app.add_typer(influx.app, name="influx")
app.add_typer(spool.app, name="spool")


def carry_out(arguments: Sequence[str]) -> None:
    """Run one command; ends in SystemExit."""
    command_line.carry_out(app, arguments, explained)


def carry_out_process() -> None:
    """Run the process' command."""
    command_line.carry_out_process(app, explained)


def explained(error: Exception) -> Explained | None:
    """What is wrong, and the exit status, of failures that are expected."""
    match error:
        case ProblemsFound():
            return Explained([str(problem) for problem in error.problems], BAD_INPUT)
        case GatewayError():
            return Explained(str(error).split("\n"), error.status)
        case PermissionError():
            what = error.filename or "what this needs"
            return Explained([f"{what} may not be used by this user: {error.strerror}"], BAD_INPUT)
    return None

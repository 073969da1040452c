"""The table of commands, and how each known failure reads.

Modules of this room import at their top what arguments and help need, and in a command what it needs to run, so that
one command does not pay for the imports of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edge_gateway.errors import GatewayError
from fleet_config.problems import ProblemsFound
from fleet_console import command_line
from fleet_console.command_line import Command, Explained

BAD_INPUT = 2

COMMANDS: Final = {
    "run": Command("Run the gateway until SIGTERM or Ctrl-C.", "edge_gateway.cli.run:run"),
    "check": Command(
        "Check configuration, rules and credentials, without side effects.", "edge_gateway.cli.config:check"
    ),
    "status": Command(
        "Show what a running gateway is doing, with every reading accounted for.",
        "edge_gateway.cli.inspect:status",
    ),
    "alerts": Command(
        "Show the alerts that fire now, and what mutes their notices.", "edge_gateway.cli.inspect:alerts"
    ),
    "query": Command(
        "Query the local history, whether the gateway runs or not.",
        "edge_gateway.cli.inspect:query",
    ),
    "doctor": Command(
        "Check clock, disk, broker, database, credentials, rules, and the gateway or its spool.",
        "edge_gateway.cli.doctor:doctor",
    ),
    "guard-broker": Command(
        "Move a database aside that Mosquitto could not start with, as a power cut may leave it; run before the"
        " broker.",
        "edge_gateway.cli.broker:guard_broker",
    ),
    "config": Command("The effective configuration.", "edge_gateway.cli.config:app"),
    "devices": Command(
        "The devices a running gateway knows: show them (the default), forget one.",
        "edge_gateway.cli.inspect:devices",
    ),
    "clock": Command(
        "Confirm that the clock of a running gateway's machine is right.", "edge_gateway.cli.clock:app"
    ),
    "rules": Command(
        "Rules: check and test files, show those in force, explain an alert.", "edge_gateway.cli.rules:app"
    ),
    "silence": Command(
        "Silences of a running gateway: mute alerts for a time, list that, end it.",
        "edge_gateway.cli.muting:app",
    ),
    "ack": Command(
        "Acknowledge an alert: its notice is not repeated, until it escalates or fires anew.",
        "edge_gateway.cli.muting:ack",
    ),
    "influx": Command("InfluxDB's buckets, variables and dashboard.", "edge_gateway.cli.influx:app"),
    "spool": Command(
        "Inspect, verify and export the spool of a stopped gateway.", "edge_gateway.cli.spool:app"
    ),
}

app = command_line.make_app(
    "edge-gateway",
    "An MQTT edge gateway: exact windows, local rules, nothing acknowledged is lost.",
    COMMANDS,
)


def carry_out(arguments: Sequence[str]) -> None:
    """Run one command; ends in SystemExit."""
    command_line.carry_out(app, arguments, explained)


def carry_out_process() -> None:
    """Run the process' command."""
    command_line.carry_out_process(app, explained)


def explained(error: Exception) -> Explained | None:
    """Return the lines to print and the exit status of an expected failure; None for an unexpected one."""
    match error:
        case ProblemsFound():
            return Explained([str(problem) for problem in error.problems], BAD_INPUT)
        case GatewayError():
            return Explained(str(error).split("\n"), error.status)
        case PermissionError():
            from fleet_wire.errors import system_text

            what = error.filename or "a file or socket that this command needs"
            return Explained([f"{what}: {system_text(error)}"], BAD_INPUT)
    return None

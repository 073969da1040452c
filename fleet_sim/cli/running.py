"""`fleet-sim run`. It imports the simulation when it is called, so that its help is quick."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fleet_sim.cli import options as given

if TYPE_CHECKING:
    from fleet_sim.judging.report import Check

LimitOption = Annotated[
    int | None, typer.Option("--limit", "-L", min=1, envvar="FLEET_SIM_LIMIT", help="End after N messages.")
]
RampOption = Annotated[
    str | None, typer.Option("--ramp", envvar="FLEET_SIM_RAMP", help="Connect all within this time.")
]
QosOption = Annotated[
    int | None, typer.Option("--qos", "-q", min=0, max=1, envvar="FLEET_SIM_QOS", help="Of the telemetry.")
]
StartOption = Annotated[
    str | None,
    typer.Option("--start", envvar="FLEET_SIM_START", help="Simulated time, 2026-01-01T00:00Z."),
]
SpeedOption = Annotated[
    float,
    typer.Option(
        "--speed",
        min=0.001,
        max=1_000_000,
        envvar="FLEET_SIM_SPEED",
        help="Simulated seconds per real one.",
    ),
]
JunitOption = Annotated[
    Path | None, typer.Option("--junit", envvar="FLEET_SIM_JUNIT", help="Write the expectations there.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", envvar="FLEET_SIM_QUIET", help="No live line.")]

RunJsonOption = Annotated[
    bool, typer.Option("--json", envvar="FLEET_SIM_JSON", help="One JSON object instead of a table.")
]


def run(
    scenario: given.ScenarioArgument,
    *,
    sensors: given.SensorsOption = None,
    interval: given.IntervalOption = None,
    duration: given.DurationOption = None,
    limit: LimitOption = None,
    ramp: RampOption = None,
    host: given.HostOption = None,
    port: given.PortOption = None,
    user: given.UserOption = None,
    password: given.PasswordOption = None,
    cafile: given.CaOption = None,
    cert: given.CertOption = None,
    key: given.KeyOption = None,
    qos: QosOption = None,
    keepalive: given.KeepAliveOption = None,
    bind: given.BindOption = None,
    changes: given.SetOption = None,
    seed: given.SeedOption = None,
    start: StartOption = None,
    boot: given.BootOption = None,
    speed: SpeedOption = 1.0,
    report: given.ReportOption = None,
    as_json: RunJsonOption = False,
    junit_file: JunitOption = None,
    quiet: QuietOption = False,
) -> None:
    """Run a fleet against a broker."""
    from fleet_sim.cli.outcome import exit_status, judge, show_result
    from fleet_sim.cli.watching import run_watched
    from fleet_sim.runtime.fleet import FleetRun, RunOptions

    given.check_variables(os.environ)
    junit_at = given.file_to_write(junit_file, "--junit")
    chosen = given.prepared(
        scenario, sensors=sensors, duration=duration, interval=interval, seed=seed, changes=changes
    )
    broker = given.broker_with(
        chosen.broker, host=host, port=port, user=user, ca=cafile, cert=cert, key=key, keepalive=keepalive
    )
    fleet = FleetRun(
        chosen,
        RunOptions(
            endpoint=given.endpoint(broker, password, bind),
            directory=given.directory_for(report, chosen.name),
            start_ms=given.start_time(start),
            boot=boot,
            speed=speed,
            qos=broker.qos if qos is None else qos,
            rate=given.connect_rate(ramp, chosen),
            limit=limit,
        ),
    )
    result = run_watched(fleet, quiet=quiet or as_json)
    checks = judge(result, chosen.expect)
    show_result(result, checks, as_json=as_json)
    if junit_at is not None:
        _write_junit(junit_at, chosen.name, checks, result.seconds)
    raise typer.Exit(exit_status(result, checks))


def _write_junit(path: Path, suite: str, checks: Sequence[Check], seconds: float) -> None:
    from fleet_sim.judging.junit import junit
    from fleet_wire.errors import system_text

    try:
        junit(path, suite, checks, seconds)
    except OSError as problem:
        raise typer.BadParameter(f"--junit: {path} cannot be written: {system_text(problem)}") from None

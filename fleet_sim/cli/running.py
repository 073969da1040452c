"""`fleet-sim run`: the fleet, its live line, its end table."""

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer

from fleet_console.terminal import complain, console, say, say_json
from fleet_sim.cli import options as given
from fleet_sim.judging.grade import grade
from fleet_sim.judging.report import Check, check_rows, checks_of, junit, rows_table
from fleet_sim.ledger.reading import read_ledger
from fleet_sim.recordings.replay import ReplayRun
from fleet_sim.runtime.deployment import collect_rarely
from fleet_sim.runtime.fleet import FleetRun, RunOptions, RunResult
from fleet_sim.runtime.live import LiveView
from fleet_sim.runtime.requests import answering, socket_of
from fleet_wire import local_socket

INTERRUPT = "interrupted"
TERMINATE = "terminated"


LimitOption = Annotated[int | None, typer.Option("--limit", "-L", min=1, help="End after N messages.")]
RampOption = Annotated[
    str | None, typer.Option("--ramp", envvar="FLEET_SIM_RAMP", help="Connect all within this time.")
]
QosOption = Annotated[int | None, typer.Option("--qos", "-q", min=0, max=1, help="Of the telemetry.")]
StartOption = Annotated[
    str | None,
    typer.Option("--start", envvar="FLEET_SIM_START", help="Simulated time, 2026-01-01T00:00Z."),
]
SpeedOption = Annotated[
    float, typer.Option("--speed", min=0.001, max=1_000_000, help="Simulated seconds in one real second.")
]
JunitOption = Annotated[Path | None, typer.Option("--junit", help="Write the expectations there.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="No live line.")]


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
    as_json: given.JsonOption = False,
    junit_file: JunitOption = None,
    quiet: QuietOption = False,
) -> None:
    """Run a fleet against a broker."""
    junit_at = given.file_to_write(junit_file, "--junit")
    chosen = given.prepared(
        scenario, sensors=sensors, duration=duration, interval=interval, seed=seed, changes=changes
    )
    broker = given.broker_with(
        chosen.broker, host=host, port=port, user=user, ca=cafile, cert=cert, key=key, keepalive=keepalive
    )
    ramp_ms = given.span(ramp, "--ramp")
    count = sum(group.count for group in chosen.fleet.values())
    fleet = FleetRun(
        chosen,
        RunOptions(
            endpoint=given.endpoint(broker, password, bind),
            directory=given.directory_for(report, chosen.name),
            start_ms=given.start_time(start),
            boot=boot,
            speed=speed,
            qos=broker.qos if qos is None else qos,
            rate=count * 1000.0 / ramp_ms if ramp_ms else None,
            limit=limit,
        ),
    )
    result = asyncio.run(watched(fleet, quiet=quiet or as_json))
    checks = checks_of(chosen.expect, {**graded(result), **result.measures})
    tell(result, checks, as_json=as_json)
    if junit_at is not None:
        junit(junit_at, chosen.name, checks, result.seconds)
    raise typer.Exit(status_of(result, checks))


async def watched(fleet: FleetRun | ReplayRun, *, quiet: bool) -> RunResult:
    """Run with the live view; SIGINT and SIGTERM end the run in order."""
    collect_rarely()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, fleet.stop, INTERRUPT)
    loop.add_signal_handler(signal.SIGTERM, fleet.stop, TERMINATE)
    try:
        async with AsyncExitStack() as stack:
            fleet.on_second = stack.enter_context(LiveView(console, quiet=quiet)).show
            if isinstance(fleet, FleetRun):
                await listen(stack, fleet)
            return await fleet.run()
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGTERM)


def graded(result: RunResult) -> dict[str, float]:
    """Return the measures of a gateway's alerts and commands, if the run saw a gateway."""
    ledger = read_ledger(result.directory)
    return grade(ledger).measures() if ledger.of_kind("status") else {}


async def listen(stack: AsyncExitStack, fleet: FleetRun) -> None:
    """Let `ctl` reach the fleet; where the run directory cannot hold a socket, warn and go on."""
    directory = fleet.options.directory
    directory.mkdir(parents=True, exist_ok=True)
    try:
        await stack.enter_async_context(local_socket.serve(socket_of(directory), answering(fleet)))
    except OSError as problem:
        complain(f"`ctl` cannot reach this run: {problem}")


def status_of(result: RunResult, checks: list[Check]) -> int:
    """Return the exit status of a run."""
    if result.reason == INTERRUPT:
        return 130
    if result.verdict.saturated:
        return 4
    nobody = result.refused and not result.counters["connects"]
    if nobody:
        return 3
    return 1 if any(check.passed is False for check in checks) else 0


def tell(result: RunResult, checks: list[Check], *, as_json: bool) -> None:
    """Print the end table, or one JSON object."""
    if as_json:
        say_json(result.summary() | {"expectations": [
            {"name": c.name, "expected": c.expected, "found": c.found, "passed": c.passed} for c in checks
        ]})  # fmt: skip
        return
    say(rows_table(f"run {result.reason} after {result.seconds:.1f} s", rows_of(result)), *check_rows(checks))
    for reason, count in result.refused.items():
        complain(f"{count} devices were refused: {reason}")
    if result.verdict.saturated:
        complain(f"inconclusive: {result.verdict.reason}; use fewer sensors or a faster machine")


def rows_of(result: RunResult) -> list[tuple[str, str]]:
    """Return the end table."""
    last, counters = result.last, result.counters
    rows = [
        ("devices", f"{last.devices} ({counters['connects']} connects, {counters['reconnects']} again)"),
        ("messages", f"{counters['made']} made, {counters['published']} published, {counters['acked']} acked"),
        ("unfinished", f"{result.unfinished} without PUBACK or never sent, {counters['lost']} lost at the device"),
        ("ack", f"p50 {_ms(last.ack.p50)}  p95 {_ms(last.ack.p95)}  p99 {_ms(last.ack.p99)}  max {_ms(last.ack.most)}"),
        ("pacing", f"lag p99 {_ms(last.lag.p99)}, max {_ms(last.lag.most)}, {counters['overruns']} overruns"),
        ("receipts", f"{counters['receipts']}, {counters['resent']} messages sent again"),
        ("commands", f"{counters['commands']} received, {counters['executed']} done, {counters['notices']} notices"),
        ("alerts seen", str(counters["alerts"])),
        ("ledger", str(result.directory)),
    ]  # fmt: skip
    faulty = [(name, counters[name]) for name in ("damaged", "duplicated", "malformed", "refused")]
    if any(count for _, count in faulty):
        rows.insert(-1, ("odd", ", ".join(f"{count} {name}" for name, count in faulty if count)))
    return rows


def _ms(microseconds: float) -> str:
    return f"{max(0.0, microseconds) / 1000:.1f}ms"

"""`fleet-sim replay`: a recorded CSV file as devices."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from fleet_config.counting import counted
from fleet_console.terminal import say
from fleet_recordings.mapping import mapping_for, ready_mappings
from fleet_recordings.reading import Recording, read_recording
from fleet_sim.cli import options as given
from fleet_sim.cli.outcome import exit_status, judge, show_result
from fleet_sim.cli.watching import run_watched
from fleet_sim.ledger.writing import MAX_METRICS
from fleet_sim.recordings.replay import ReplayOptions, ReplayRun
from fleet_sim.runtime.deployment import RunOptions
from fleet_sim.scenario.grammar import Broker

MAPPING_HELP = f"A file, or one of {', '.join(ready_mappings())}; needless if the columns are those of plain."


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv")],
    *,
    mapping: Annotated[
        str | None,
        typer.Option("--mapping", "-m", help=MAPPING_HELP),
    ] = None,
    speed: Annotated[
        str, typer.Option("--speed", help="Recorded seconds in one real second, or max.")
    ] = "max",
    stamp: Annotated[
        Literal["shift", "now", "recorded"],
        typer.Option("--stamp", help="shift: the last is now; now: when sent; recorded: as it stands."),
    ] = "shift",
    batch: Annotated[int, typer.Option("--batch", min=1, max=1000, help="Samples in one message.")] = 1,
    limit: Annotated[int | None, typer.Option("--limit", "-L", min=1, help="End after N samples.")] = None,
    host: given.HostOption = None,
    port: given.PortOption = None,
    user: given.UserOption = None,
    password: given.PasswordOption = None,
    cafile: given.CaOption = None,
    cert: given.CertOption = None,
    key: given.KeyOption = None,
    boot: given.BootOption = None,
    report: given.ReportOption = None,
    as_json: given.JsonOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No live line.")] = False,
) -> None:
    """Replay a recorded CSV file as devices."""
    given.check_variables(os.environ)
    recording = read_recording(file, mapping_for(file, mapping), most_metrics=MAX_METRICS)
    if not as_json:
        say(describe(recording))
    broker = given.broker_with(Broker(), host=host, port=port, user=user, ca=cafile, cert=cert, key=key)
    run = ReplayRun(
        recording,
        file.stem,
        RunOptions(
            endpoint=given.endpoint(broker, password, None),
            directory=given.directory_for(report, file.stem),
            boot=boot,
        ),
        ReplayOptions(speed=speed_of(speed), stamp=stamp, batch=batch, limit=limit),
    )
    result = run_watched(run, quiet=quiet or as_json)
    checks = judge(result, {})
    show_result(result, checks, as_json=as_json)
    raise typer.Exit(exit_status(result, checks))


def speed_of(text: str) -> float | None:
    """Return recorded seconds in one real second; None for `max`."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise typer.BadParameter(f"--speed: '{text}' is neither max nor a number above 0")
    return speed


def describe(recording: Recording) -> str:
    """Say in one line what was read."""
    odd = [
        f"{counted(count, one)} {what}"
        for one, what, count in (
            ("empty row", "skipped", recording.empty_rows),
            ("row", "without a usable time, device or label", recording.bad_rows),
            ("value", "not numeric", recording.bad_values),
            ("censored value", "sent as the limit", recording.censored),
        )
        if count
    ]
    samples, devices = counted(len(recording.samples), "sample"), counted(len(recording.units), "device")
    return ", ".join([f"{samples} of {devices}", *odd])

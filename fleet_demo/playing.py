"""Play the story and judge it; the exit status says how it ended.

0 every row of the table is true · 1 a row is false · 2 usage · 3 set-up failed · 4 the machine was too slow to judge ·
130 interrupted
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from edge_gateway.errors import GatewayError
from fleet_console.drawing import Line, Table, draw
from fleet_console.interrupts import INTERRUPTED
from fleet_console.signals import ended_by
from fleet_demo.directory import InUse, held
from fleet_demo.judge import Row, judge
from fleet_demo.narrator import Narrator, result_table
from fleet_demo.story import Story, staged
from fleet_sim.devices import pacing
from fleet_sim.devices.counters import Snapshot
from fleet_sim.judging.stored import InfluxPlace
from fleet_sim.runtime.fleet import RunResult

FALSE, USAGE, SET_UP_FAILED, TOO_SLOW = 1, 2, 3, 4


def main(
    *,
    directory: Annotated[
        Path, typer.Option("--directory", hidden=True, help="Where the demo's files go; emptied first.")
    ] = Path(".demo"),
    keep: Annotated[bool, typer.Option("--keep", help="Leave all running at the end, until Ctrl-C.")] = False,
    influx: Annotated[bool, typer.Option("--influx", help="Forward to the InfluxDB at INFLUX_URL.")] = False,
    sensors: Annotated[
        int, typer.Option("--sensors", min=50, max=10_000, help="Freezers in the fleet.")
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="Seed of every random choice.")] = 42,
) -> None:
    """Play the demo."""
    console = Console(highlight=False, markup=False)
    place = influx_place() if influx else None
    if influx and place is None:
        console.print("--influx needs a server: set INFLUX_URL, INFLUX_ORG and INFLUX_TOKEN")
        raise typer.Exit(SET_UP_FAILED)
    try:
        with held(directory):
            status = asyncio.run(
                play(directory.absolute(), console, keep=keep, sensors=sensors, seed=seed, influx=place)
            )
    except InUse as problem:
        console.print(str(problem), soft_wrap=True)
        status = USAGE
    except (GatewayError, OSError) as error:
        console.print(f"set-up failed: {error}", markup=False, soft_wrap=True)
        status = SET_UP_FAILED
    except asyncio.CancelledError:
        status = INTERRUPTED
    raise typer.Exit(status)


def influx_place() -> InfluxPlace | None:
    """Return the InfluxDB that INFLUX_URL, INFLUX_ORG and INFLUX_TOKEN name; None if one is missing."""
    url, token = os.environ.get("INFLUX_URL"), os.environ.get("INFLUX_TOKEN")
    return InfluxPlace(url, os.environ.get("INFLUX_ORG", "fleet"), token) if url and token else None


async def play(
    directory: Path, console: Console, *, keep: bool, sensors: int, seed: int, influx: InfluxPlace | None
) -> int:
    """Play, judge, and say what to try next."""
    task = asyncio.current_task()
    assert task is not None
    with ended_by(lambda _number: task.cancel()), Narrator(console) as narrator:
        async with staged(directory, sensors=sensors, seed=seed, narrator=narrator, influx=influx) as story:
            try:
                result = await story.play()
                rows = await judge(story, result)
            except TimeoutError as error:
                return gave_up(console, story.last, error)
            draw(console, result_table([(row.name, row.found, row.true) for row in rows]))
            status = status_of(rows, result)
            tell_next(console, story, status, keep=keep)
            if keep:
                await stay(console, story)  # until Ctrl-C
    return status


def gave_up(console: Console, last: Snapshot | None, error: TimeoutError) -> int:
    """Say what did not happen in time; return TOO_SLOW if the machine could not keep pace, else FALSE."""
    pace = (
        None
        if last is None
        else pacing.judge(sent=last.published, overruns=last.overruns, loop_lag_p99_us=0.0)
    )
    if pace is not None and pace.saturated:
        console.print(f"TOO SLOW  {error}\n{pace.reason}", markup=False, soft_wrap=True)
        return TOO_SLOW
    console.print(f"FALSE  {error}", markup=False, soft_wrap=True)
    return FALSE


def status_of(rows: list[Row], result: RunResult) -> int:
    """Return the exit status; a false row counts only if the machine was fast enough to judge."""
    if all(row.true for row in rows):
        return 0
    return TOO_SLOW if result.verdict.saturated else FALSE


def tell_next(console: Console, story: Story, status: int, *, keep: bool = False) -> None:
    """Print commands to try next; of a demo that stays, not that it could."""
    bin_, config = os.path.relpath(Path(sys.executable).parent), os.path.relpath(story.gateway.config)
    steps = Table(("", ""))
    stays = ("./demo --keep", "leaves it running: change a limit in .demo/rules and watch")
    for command, why in (
        *(() if keep else (stays,)),
        (f"{bin_}/edge-gateway query alerts -c {config}", "what the history holds"),
        (f"{bin_}/edge-gateway rules test rules", "the example rules and their tests"),
        (f"{bin_}/fleet-sim preview factory", "another fleet, without a broker"),
    ):
        steps.add(f"  {command}", why)
    console.print(f"\n{'All true.' if status == 0 else 'Not all true.'} Next:", style="bold")
    draw(console, steps)
    if story.influx is not None:
        draw(console, Line(f"charts: {story.influx.url}, dashboard 'Fleet overview', last 5 minutes"))


async def stay(console: Console, story: Story) -> None:
    """Keep a fleet running until interrupted."""
    bin_, config, rules = map(
        os.path.relpath, (Path(sys.executable).parent, story.gateway.config, story.gateway.rules)
    )
    console.print()
    draw(
        console,
        Line(f"Still running, broker at {story.broker.url}; Ctrl-C ends it. Rules: {rules}"),
        Line(f"  {bin_}/edge-gateway status -c {config}"),
    )
    await story.run_again()


def application() -> None:
    """Run the process' command."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app(prog_name="./demo")

"""Plays the story and judges it: `python -m fleet_demo DIRECTORY [--keep] [--influx] [--sensors N] [--seed N]`.

0 every row of the table is true · 1 a row is false · 2 usage · 3 set-up failed · 4 the machine was too slow to judge ·
130 interrupted
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from edge_gateway.errors import GatewayError
from fleet_demo.judge import Row, judge
from fleet_demo.narrator import Narrator, result_table
from fleet_demo.story import Story, staged
from fleet_sim.fleet import RunResult

FALSE, SET_UP_FAILED, TOO_SLOW, INTERRUPTED = 1, 3, 4, 130


def main(
    directory: Annotated[Path, typer.Argument(help="Where the demo's files go; emptied first.")] = Path(
        ".demo/story"
    ),
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave broker, gateway and fleet running at the end.")
    ] = False,
    influx: Annotated[bool, typer.Option("--influx", help="Forward to the InfluxDB at INFLUX_URL.")] = False,
    sensors: Annotated[
        int, typer.Option("--sensors", min=50, max=10_000, help="Freezers in the fleet.")
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="Of every random choice.")] = 42,
) -> None:
    """Play the demo."""
    console = Console(highlight=False)
    if influx and not set_up_influx(console):
        raise typer.Exit(SET_UP_FAILED)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    try:
        status = asyncio.run(play(directory.absolute(), console, keep=keep, sensors=sensors, seed=seed))
    except (GatewayError, OSError) as error:
        console.print(f"set-up failed: {error}", markup=False)
        status = SET_UP_FAILED
    except TimeoutError as error:
        console.print(f"FALSE  {error}", markup=False)
        status = FALSE
    except (KeyboardInterrupt, asyncio.CancelledError):
        status = INTERRUPTED
    raise typer.Exit(status)


def set_up_influx(console: Console) -> bool:
    """Whether an InfluxDB is named in the environment."""
    if os.environ.get("INFLUX_URL") and os.environ.get("INFLUX_TOKEN"):
        os.environ["DEMO_INFLUX_URL"] = os.environ["INFLUX_URL"]
        return True
    console.print(
        "--influx needs a server: set INFLUX_URL, INFLUX_ORG and INFLUX_TOKEN, or start compose.yaml's"
    )
    return False


async def play(directory: Path, console: Console, *, keep: bool, sensors: int, seed: int) -> int:
    """Play, judge, and say what to try next."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with Narrator(console) as narrator:
        async with staged(directory, sensors=sensors, seed=seed, narrator=narrator) as story:
            result = await story.play()
            rows = await judge(story, result)
            console.print(result_table([(row.name, row.found, row.true) for row in rows]))
            status = status_of(rows, result)
            tell_next(console, story, status)
            if keep:
                await stay(console, story)
    return status


def status_of(rows: list[Row], result: RunResult) -> int:
    """The exit status: a false row counts only where the machine was fast enough to judge."""
    if all(row.true for row in rows):
        return 0
    return TOO_SLOW if result.verdict.saturated else FALSE


def tell_next(console: Console, story: Story, status: int) -> None:
    """The next commands to try."""
    command = (
        "edge-gateway"
        if shutil.which("edge-gateway")
        else f"{os.path.relpath(sys.executable)} -m edge_gateway"
    )
    sim = command.replace("edge-gateway", "fleet-sim").replace("edge_gateway", "fleet_sim.cli")
    config = os.path.relpath(story.gateway.config)
    console.print(f"\n{'All of it true.' if status == 0 else 'Not all of it is true.'} Next:", style="bold")
    for text in (
        "./demo --keep                        # leaves it running: edit .demo/story/rules, watch it reload",
        f"{command} query alerts --config {config}",
        f"{sim} run factory --sensors 100 --duration 30s",
        f"{command} rules check rules",
    ):
        console.print(f"  {text}", markup=False, soft_wrap=True)


async def stay(console: Console, story: Story) -> None:
    """Go on with a fresh fleet until interrupted."""
    console.print(f"\nbroker {story.broker.url}, gateway {story.gateway.config}; Ctrl-C ends it")
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()


if __name__ == "__main__":
    application = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    application.command()(main)
    application()

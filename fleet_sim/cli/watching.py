"""Runs a fleet or a replay for a user: with a live line, until a signal, reachable by `ctl`."""

import asyncio
import signal
from contextlib import AsyncExitStack
from functools import partial

from fleet_console.signals import ended_by
from fleet_console.terminal import complain, console
from fleet_sim.cli.outcome import INTERRUPTED, TERMINATED
from fleet_sim.recordings.replay import ReplayRun
from fleet_sim.runtime.deployment import RunResult, collect_rarely
from fleet_sim.runtime.fleet import FleetRun
from fleet_sim.runtime.live import LiveView
from fleet_sim.runtime.requests import answering, socket_of
from fleet_wire import local_socket
from fleet_wire.errors import system_text

__all__ = ["run_watched"]

PATIENCE = 1.0
"""Seconds after a signal until the user is told why the run has not ended."""


def run_watched(fleet: FleetRun | ReplayRun, *, quiet: bool) -> RunResult:
    """Run with the live line (none if `quiet`) until the fleet ends; SIGINT and SIGTERM end it in order.

    A second one ends the wait for messages under way.
    """
    return asyncio.run(_watched(fleet, quiet=quiet))


async def _watched(fleet: FleetRun | ReplayRun, *, quiet: bool) -> RunResult:
    collect_rarely()

    explain = partial(
        complain, "ending once the messages under way have their PUBACK; Ctrl-C again ends at once"
    )

    def on_signal(number: int) -> None:
        fleet.stop(INTERRUPTED if number == signal.SIGINT else TERMINATED, hurry=True)
        asyncio.get_running_loop().call_later(PATIENCE, explain)

    with ended_by(on_signal):
        async with AsyncExitStack() as stack:
            fleet.on_second = stack.enter_context(LiveView(console, quiet=quiet)).show
            fleet.warn = complain
            if isinstance(fleet, FleetRun):
                await _listen(stack, fleet)
            return await fleet.run()


async def _listen(stack: AsyncExitStack, fleet: FleetRun) -> None:
    """Let `ctl` reach the fleet; where the run directory cannot hold a socket, warn and go on."""
    directory = fleet.options.directory
    directory.mkdir(parents=True, exist_ok=True)
    try:
        await stack.enter_async_context(local_socket.serve(socket_of(directory), answering(fleet)))
    except OSError as problem:
        complain(f"`ctl` cannot reach this run: {system_text(problem)}")

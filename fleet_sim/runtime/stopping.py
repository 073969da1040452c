"""The request to end a run, which may come before the broker has answered."""

import asyncio
from collections.abc import Callable
from typing import Final

from fleet_sim.devices.endpoint import Endpoint
from fleet_sim.devices.probe import probe

__all__ = ["StoppedEarly", "Stopping", "reach"]

SILENCE: Final = 1.0
"""Seconds after which the user is told that the broker has not answered yet."""


class StoppedEarly(Exception):
    """A run was stopped before the broker had answered; `reason` is the one given."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text)
        self.reason = reason


class Stopping:
    """Whether a run is to end, and why: the first reason given counts."""

    def __init__(self) -> None:
        self.reason = "finished"
        self._asked = asyncio.Event()

    def ask(self, reason: str) -> None:
        if not self.asked:
            self.reason = reason
            self._asked.set()

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    async def wait(self) -> None:
        await self._asked.wait()


async def reach(endpoint: Endpoint, client_id: str, stopping: Stopping, warn: Callable[[str], None]) -> None:
    """Probe the broker until it answers or the run is to stop; `warn` if it keeps silent.

    Raises:
        CannotReach, ConnectRefused: as `probe`.
        StoppedEarly: the run is to stop.
    """
    tasks = [asyncio.create_task(probe(endpoint, client_id)), asyncio.create_task(stopping.wait())]
    try:
        done, _ = await asyncio.wait(tasks, timeout=SILENCE, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            warn(f"{endpoint.url} has not answered yet; waiting. Is it an MQTT broker?")
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not tasks[0].done():
            raise StoppedEarly(f"{stopping.reason} before {endpoint.url} had answered", stopping.reason)
        await tasks[0]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

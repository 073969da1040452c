"""The wait for messages under way: to the end, or as long as a user who interrupts has patience."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from fleet_sim.devices.counters import Counters
from fleet_sim.runtime import settling as module
from fleet_sim.runtime.settling import Settling
from tests.wire.scripted_broker import settled

FOREVER = 600.0


@dataclass
class Waiting:
    """A fleet with one message that waits for a connection; it never gets one."""

    counters: Counters = field(default_factory=Counters)
    devices: Sequence[Any] = ()
    observer: Any = field(default_factory=lambda: SimpleNamespace(statuses={}))
    held: int = 1
    lost: bool = False
    drained: int = 0

    def waiting(self) -> int:
        return self.held

    def reconnecting(self) -> bool:
        return self.lost

    def drain(self) -> None:
        self.drained += 1


async def ended(waiting: asyncio.Task[None]) -> None:
    async with asyncio.timeout(60):
        await waiting


async def test_nothing_under_way_is_no_wait() -> None:
    await Settling(Waiting(held=0)).wait(FOREVER)


@pytest.mark.parametrize("fleet", [Waiting(), Waiting(held=0, lost=True)])
async def test_the_wait_has_an_end(fleet: Waiting) -> None:
    await Settling(fleet).wait(0.1)
    assert fleet.drained > 0


async def test_hurried_it_ends_without_progress_long_before_its_end() -> None:
    settling = Settling(Waiting())
    waiting = asyncio.create_task(settling.wait(FOREVER))
    await asyncio.sleep(0)
    settling.hurry()
    await ended(waiting)


async def test_hurried_it_still_waits_while_messages_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HURRIED", 60.0)
    fleet = Waiting(counters=Counters(published=1), held=0)
    settling = Settling(fleet)
    settling.hurry()
    waiting = asyncio.create_task(settling.wait(FOREVER))
    seen = fleet.drained
    await settled(lambda: fleet.drained >= seen + 3)
    assert not waiting.done()
    fleet.counters.acked = 1
    await ended(waiting)


async def test_hurried_twice_it_does_not_wait() -> None:
    settling = Settling(Waiting())
    settling.hurry()
    settling.hurry()
    began = time.monotonic()
    await settling.wait(FOREVER)
    assert time.monotonic() - began < FOREVER

"""The device that was offline: what it kept is counted, late or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fleet_config.counting import counted
from fleet_demo.gateway_process import GatewayProcess
from fleet_demo.judge import _surviving
from fleet_demo.story import LOST, Story
from fleet_demo.waiting import until
from fleet_demo.watcher import Watcher
from fleet_wire import local_socket


class Narrator:
    """Keeps what it is told; its clock is past every scene's second."""

    seconds = 1_000.0

    def __init__(self) -> None:
        self.told: list[str] = []

    def tell(self, text: str, _style: str = "") -> None:
        self.told.append(text)


class Fleet:
    """One device that loses its network as soon as it is asked to, and comes back with what it kept."""

    def __init__(self) -> None:
        self.device = SimpleNamespace(
            identity=SimpleNamespace(id=LOST), online=True, waiting=0, outbox=SimpleNamespace(next=20)
        )
        self.devices = [self.device]

    def disconnect(self, _match: object, _for_ms: int) -> None:
        self.device.online = False
        loop = asyncio.get_running_loop()
        loop.call_later(0.3, self._back)
        loop.call_later(0.6, self._drained)

    def _back(self) -> None:
        self.device.outbox.next, self.device.waiting, self.device.online = 26, 5, True

    def _drained(self) -> None:
        self.device.waiting = 0


class Gateway:
    """Answers as a gateway does that hears the device; `late` of its readings come after their window closed."""

    def __init__(self, fleet: Fleet, late: int = 0) -> None:
        self.fleet = fleet
        self.late = late
        self.missing = False

    async def __call__(self, request: dict[str, Any]) -> Any:
        device = self.fleet.device
        whole = device.online and not device.waiting and not self.missing
        late = self.late if whole and device.outbox.next > 20 else 0
        if request["do"] == "devices":
            gaps = [] if whole or device.outbox.next == 20 else [[1, 20, 24]]
            return iter(
                [{"device": LOST, "top_seq": device.outbox.next - 1, "gaps": gaps,
                  "counters": {"late_merged": late, "lost_at_device": 0, "given_up": 0}}]
            )  # fmt: skip
        return {"values": {"late_merged": late}, "store": {"late_pending": 0}}


@asynccontextmanager
async def played(directory: Path, late: int = 0) -> AsyncIterator[tuple[Story, Narrator, Gateway]]:
    fleet, narrator = Fleet(), Narrator()
    handler = Gateway(fleet, late)
    process = GatewayProcess(directory, "mqtt://localhost:1", None)
    process.spool.mkdir()
    parts = cast("Any", (directory, None, process, fleet, SimpleNamespace(commands=list), narrator))
    async with local_socket.serve(process.spool / "control.sock", handler):
        story = Story(*parts)
        story.last = cast("Any", SimpleNamespace(waiting=0))
        yield story, narrator, handler


@pytest.mark.parametrize("late", [0, 3])
async def test_the_device_is_back_when_all_it_kept_is_counted(tmp_path: Path, late: int) -> None:
    async with asyncio.timeout(60), played(tmp_path, late) as (story, narrator, _):
        await story._go_offline()
    assert narrator.told[0] == f"{LOST} is offline for 11 s and keeps measuring"
    assert narrator.told[1].startswith(f"{LOST} is back, live readings first, then its buffer: ")
    assert f"all its 26 messages are stored, {counted(late, 'reading')} late" in narrator.told[1]
    row = _surviving(cast("Any", story))[-1]
    assert row.true, "a device of which nothing was late has lost nothing"
    assert row.found.startswith(
        f"all 26 messages of {LOST} stored, {counted(late, 'reading')} late and merged"
    )


async def test_what_is_missing_at_the_gateway_is_waited_for_and_named(tmp_path: Path) -> None:
    async with asyncio.timeout(60), played(tmp_path) as (story, narrator, gateway):
        gateway.missing = True
        story.gateway.patience = 1.0
        with pytest.raises(
            TimeoutError, match=f"waited 1 s until {LOST} has stored messages up to 25 without"
        ):
            await story._go_offline()
    assert len(narrator.told) == 1


async def test_a_gateway_that_ended_is_not_waited_for(tmp_path: Path) -> None:
    process = GatewayProcess(tmp_path, "mqtt://localhost:1", None)
    process.log.write_text("ERROR no room\n")
    process._process = cast("Any", SimpleNamespace(returncode=2))
    with pytest.raises(TimeoutError, match=r"(?s)the gateway ended before it is day; .*ERROR no room"):
        await process.until("it is day", bool)


async def test_every_wait_that_ends_says_what_it_waited_for() -> None:
    watcher = Watcher("localhost", 1)
    for wait, what in (
        (watcher.first_alert(LOST, "firing", 0.01), f"an alert of {LOST} is firing"),
        (watcher.first_ack(LOST, 0.01), f"{LOST} answers a command"),
        (until("it is day", lambda: False, 0.01), "it is day"),
    ):
        with pytest.raises(TimeoutError, match=f"waited 0.01 s until {what}"):
            await wait

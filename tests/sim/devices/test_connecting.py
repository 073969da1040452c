"""Devices are connected, connected again, kept away and restarted, as the run and its faults ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import repeat
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fleet_sim.devices.conditions import Conditions
from fleet_sim.devices.connecting import Connector
from fleet_sim.devices.device import Device
from fleet_sim.devices.links import Links
from fleet_wire.connection import dial
from fleet_wire.errors import ConnectionLost, ConnectRefused

BUSY, BAD_USER = 0x89, 0x86


@pytest.mark.parametrize("turns", range(4))
async def test_an_end_in_the_same_turn_as_a_wish_is_an_end(turns: int) -> None:
    """`turns` of the loop lie between the wish of a device to be connected and the cancel."""
    connector = Connector(
        lambda _: cast("Any", None),
        links=Links(asyncio.get_running_loop(), dial),
        rate=100,
        restarted=lambda *_: None,
        seen=lambda *_: None,
    )
    connector.enqueue(cast("Any", SimpleNamespace(index=1)), 60)
    running = asyncio.create_task(connector.run())
    await asyncio.sleep(0.05)
    connector.enqueue(cast("Any", SimpleNamespace(index=2)), 60)
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    ended, _ = await asyncio.wait({running}, timeout=60)
    assert ended
    assert running.cancelled()


@dataclass
class FakeDevice:
    """What the connector knows of a device."""

    index: int
    identity: Any
    online: bool = False
    alive: bool = True
    started: bool = False
    session: Any = None

    def connected(self) -> None:
        self.online = self.started = True


@dataclass
class FakeSession:
    """A session that connects unless the field says otherwise."""

    near: Field
    device: FakeDevice
    ended: list[str] = field(default_factory=list)

    async def connect(self) -> Any:
        self.near.dialled.append(self.device.index)
        await self.near.meanwhile()
        problem = self.near.problems.pop(0) if self.near.problems else None
        if problem is not None:
            raise problem
        return SimpleNamespace(session_present=False)

    async def subscribe(self, filters: list[str], *, session_present: bool) -> None:
        assert filters
        assert not session_present
        self.near.subscribed.append(self.device.index)

    async def disconnect(self, *, with_will: bool = False) -> None:
        self.ended.append("with will" if with_will else "plainly")

    def abort(self) -> None:
        self.ended.append("aborted")


class Field:
    """A connector with two devices and no network; `seen` is (device, up, again)."""

    def __init__(self) -> None:
        self.problems: list[Exception] = []
        self.dialled: list[int] = []
        self.subscribed: list[int] = []
        self.sessions: list[FakeSession] = []
        self.seen: list[tuple[int, bool, bool]] = []
        self.restarted: list[tuple[int, bool]] = []
        self.before_answer: Callable[[], None] = lambda: None
        self.devices = [FakeDevice(index, SimpleNamespace(site="s", id=f"d{index}")) for index in range(2)]
        self.connector = Connector(
            self._open,
            links=Links(asyncio.get_running_loop(), dial),
            rate=1000,
            restarted=lambda device, keep: self.restarted.append((device.index, keep)),
            seen=lambda device, up, again: self.seen.append((device.index, up, again)),
        )

    def _open(self, device: Any) -> Any:
        self.sessions.append(FakeSession(self, device))
        return self.sessions[-1]

    async def meanwhile(self) -> None:
        await asyncio.sleep(0)
        self.before_answer()

    @property
    def device(self) -> Device:
        return cast("Device", self.devices[0])

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not holds():  # noqa: ASYNC110 - the connector tells nobody
                await asyncio.sleep(0.001)

    async def up(self) -> None:
        """Connect the first device."""
        self.connector.enqueue(self.device)
        await self.until(lambda: self.device.online)

    async def settled(self) -> None:
        """Let the second device be connected, behind whatever was asked for the first."""
        self.connector.enqueue(cast("Device", self.devices[1]))
        await self.until(lambda: self.devices[1].online)


@pytest.fixture
async def field_(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Field]:
    monkeypatch.setattr("fleet_sim.devices.connecting.delays", lambda: repeat(0.0))
    found = Field()
    running = asyncio.create_task(found.connector.run())
    yield found
    running.cancel()
    await asyncio.wait({running}, timeout=60)


async def test_a_device_is_connected_and_subscribed_once(field_: Field) -> None:
    field_.connector.enqueue(field_.device)
    field_.connector.enqueue(field_.device)
    await field_.settled()
    field_.connector.enqueue(field_.device)
    await field_.until(lambda: not field_.connector._queued)
    assert field_.dialled == field_.subscribed == [0, 1]
    assert field_.seen == [(0, True, False), (1, True, False)]
    assert field_.devices[0].session is field_.sessions[0]


@pytest.mark.parametrize(
    "problem", [ConnectionLost("gone"), ConnectRefused("busy", BUSY), ConnectionLost("")]
)
async def test_a_failure_that_passes_is_tried_again(field_: Field, problem: Exception) -> None:
    field_.problems = [problem, problem]
    await field_.up()
    assert field_.dialled == [0, 0, 0]
    assert (field_.connector.gave_up, field_.connector.troubles) == (set(), {})


async def test_a_refusal_for_good_is_counted_and_the_device_measures_nothing(field_: Field) -> None:
    field_.problems = [ConnectRefused("bad user name or password", BAD_USER)]
    field_.connector.enqueue(field_.device)
    await field_.settled()
    assert field_.connector.gave_up == {0}
    assert field_.connector.troubles == {0: "bad user name or password"}
    assert not field_.device.alive
    assert field_.dialled == [0, 1]


async def test_a_refusal_for_good_after_a_connection_leaves_the_device_measuring(field_: Field) -> None:
    await field_.up()
    field_.problems = [ConnectRefused("bad user name or password", BAD_USER)]
    field_.connector.cut(field_.device, 0.0)
    await field_.until(lambda: bool(field_.connector.gave_up))
    assert field_.device.alive


async def test_a_lost_connection_is_made_again(field_: Field) -> None:
    await field_.up()
    field_.connector.lost(field_.device, ConnectionLost("reset"))
    assert not field_.device.online
    await field_.until(lambda: field_.device.online)
    assert field_.seen == [(0, True, False), (0, False, True), (0, True, True)]
    assert len(field_.sessions) == 1, "the session goes on"


async def test_a_session_that_another_took_over_is_given_up(field_: Field) -> None:
    await field_.up()
    field_.connector.lost(field_.device, ConnectionLost("taken over", 0x8E))
    await field_.settled()
    assert field_.dialled == [0, 1]
    assert (field_.connector.gave_up, field_.connector.troubles) == ({0}, {0: "taken over"})


async def test_a_device_whose_id_another_client_uses_does_not_take_the_session_back(field_: Field) -> None:
    await field_.up()
    field_.connector.lost(field_.device, ConnectionLost("closed"))
    field_.connector.usurped(field_.device, "another client")
    await field_.settled()
    assert field_.dialled == [0, 1]
    assert (field_.connector.gave_up, field_.connector.troubles) == ({0}, {0: "another client"})


async def test_a_blocked_device_stays_away_until_it_is_unblocked(field_: Field) -> None:
    await field_.up()
    field_.connector.block(field_.device)
    assert field_.sessions[0].ended == ["aborted"]
    field_.connector.lost(field_.device, ConnectionLost("aborted"))
    await field_.settled()
    assert not field_.device.online
    field_.connector.unblock(field_.device)
    await field_.until(lambda: field_.device.online)
    assert field_.dialled.count(0) == 2


async def test_a_device_that_is_blocked_while_it_connects_is_cut_at_once(field_: Field) -> None:
    field_.before_answer = lambda: field_.connector._blocked.add(0)
    field_.connector.enqueue(field_.device)
    await field_.until(lambda: bool(field_.sessions and field_.sessions[0].ended))
    assert field_.sessions[0].ended == ["aborted"]
    assert field_.seen == []


async def test_a_device_in_the_dark_does_not_dial_until_its_link_is_back(field_: Field) -> None:
    await field_.up()
    field_.connector.link(field_.device, 1, Conditions(dark=True))
    field_.connector.lost(field_.device, ConnectionLost("keep-alive"))
    await field_.settled()
    assert field_.dialled.count(0) == 1
    field_.connector.link(field_.device, 1, None)
    await field_.until(lambda: field_.device.online)


@pytest.mark.parametrize(("keep", "sessions"), [(True, 1), (False, 2)])
async def test_a_crash_loses_the_session_and_a_reboot_keeps_it(
    field_: Field, keep: bool, sessions: int
) -> None:
    await field_.up()
    field_.connector.restart(field_.device, takes_ms=0.0, keep=keep)
    assert not field_.devices[0].alive
    await field_.until(lambda: field_.device.online)
    assert cast("bool", field_.devices[0].alive)
    assert field_.restarted == [(0, keep)]
    assert len(field_.sessions) == sessions


async def test_a_dead_device_is_back_after_a_restart(field_: Field) -> None:
    await field_.up()
    field_.connector.die(field_.device)
    await field_.settled()
    dead = field_.devices[0]
    assert (dead.alive, dead.online) == (False, False)
    field_.connector.restart(field_.device, takes_ms=0.0, keep=False)
    await field_.until(lambda: field_.device.online)


async def test_at_the_end_every_connection_is_ended(field_: Field) -> None:
    await field_.settled()
    await field_.connector.disconnect_all([cast("Device", each) for each in field_.devices])
    assert field_.sessions[0].ended == ["with will"]
    assert field_.seen[-1] == (1, False, True)
    field_.connector.abandon()
    assert field_.sessions[0].ended == ["with will", "aborted"]


async def test_at_the_end_of_a_run_a_device_is_back_before_its_time(field_: Field) -> None:
    await field_.up()
    field_.connector.cut(field_.device, 3_600_000.0)
    await field_.settled()
    assert not field_.device.online
    field_.connector.hurry()
    await field_.until(lambda: field_.device.online)


async def test_a_device_that_connects_after_all_has_no_trouble(field_: Field) -> None:
    assert not field_.connector.is_tried(field_.device)
    field_.problems = [ConnectRefused("bad user name or password", BAD_USER)]
    field_.connector.enqueue(field_.device)
    await field_.settled()
    assert field_.connector.is_tried(field_.device)
    await field_.up()
    assert (field_.connector.gave_up, field_.connector.troubles) == (set(), {})

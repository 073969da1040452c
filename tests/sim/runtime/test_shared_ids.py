"""A device whose connection was closed without a reason is watched, and another client's birth is recognised."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from fleet_sim.devices.device import Device
from fleet_sim.devices.world import DeviceGroup, Identity
from fleet_sim.runtime.shared_ids import MOST, OTHER_CLIENT, WATCHED, SharedIds
from fleet_wire.control_messages import Birth, encode_birth, encode_death
from fleet_wire.errors import SESSION_TAKEN_OVER, ConnectionLost, ConnectRefused
from tests.fakes import ManualClock
from tests.sim.wires import Wire

SILENT = ConnectionLost("the broker closed the connection")


class _Ticks:
    """A world that only knows the time; each look at it is a millisecond later."""

    def __init__(self) -> None:
        self.ms = 0

    def now_ms(self) -> int:
        self.ms += 1
        return self.ms


def connected_device(number: int = 0) -> tuple[Device, Wire]:
    """A device whose birth the broker has not acknowledged."""
    wire: Any = Wire()
    group = DeviceGroup("box", {}, {}, lambda *_: None, room=5, drop="oldest", replay_rate=1.0)
    world: Any = _Ticks()
    device = Device(world, group, Identity(f"d{number}", "s", "box", {}), index=number, row=number, boot=7)
    device.session = wire
    device.connected()
    return device, wire


def birth_of(boot: int) -> bytes:
    return encode_birth(Birth(type="box", tags={}, metrics={}, boot=boot, floor=0, next=0, ts=9))


@dataclass
class Subscriptions:
    """`topics` are subscribed; with `refuses` the broker allows none."""

    topics: set[str] = field(default_factory=set)
    refuses: bool = False
    asked: int = 0

    async def follow(self, topics: Sequence[str]) -> None:
        self.asked += 1
        if self.refuses:
            raise ConnectRefused("not authorised", 0x87)
        self.topics.update(topics)

    async def unfollow(self, topics: Sequence[str]) -> None:
        self.topics.difference_update(topics)


@dataclass
class Watch:
    clock: ManualClock[float]
    found: list[tuple[Device, str]]
    ids: SharedIds
    broker: Subscriptions


@pytest.fixture
def watch() -> Watch:
    clock, found = ManualClock(1000.0), list[tuple[Device, str]]()
    ids = SharedIds(lambda device, why: found.append((device, why)), clock)
    return Watch(clock, found, ids, Subscriptions())


async def test_a_birth_that_the_device_did_not_publish_is_another_clients(watch: Watch) -> None:
    device, wire = connected_device()
    wire.answer()
    watch.ids.lost(device, SILENT)
    await watch.ids.update(watch.broker)
    assert watch.broker.topics == {"fleet/v1/s/d0/status"}
    watch.ids.heard("fleet/v1/s/d0/status", encode_death())
    watch.ids.heard("fleet/v1/s/d0/status", wire.of("status")[0])
    watch.ids.heard("fleet/v1/s/d0/status", b"no status")
    assert watch.found == []
    watch.ids.heard("fleet/v1/s/d0/status", birth_of(boot=7))
    watch.ids.heard("fleet/v1/s/d0/status", birth_of(boot=7))
    assert watch.found == [(device, OTHER_CLIENT)], "the boot may be the same; told once"
    await watch.ids.update(watch.broker)
    assert watch.broker.topics == set()


async def test_what_an_earlier_run_left_is_no_other_client(watch: Watch) -> None:
    """The connection was lost before the broker had this device's own birth."""
    device, wire = connected_device()
    wire.answer(0x87)
    watch.ids.lost(device, SILENT)
    watch.ids.heard("fleet/v1/s/d0/status", birth_of(boot=3))
    assert watch.found == []


async def test_a_connection_that_the_broker_ended_with_a_reason_is_not_watched(watch: Watch) -> None:
    watch.ids.lost(connected_device()[0], ConnectionLost("taken over", SESSION_TAKEN_OVER))
    await watch.ids.update(watch.broker)
    assert watch.broker.topics == set()


async def test_a_device_is_watched_for_a_time_and_only_so_many_at_once(watch: Watch) -> None:
    for number in range(MOST + 1):
        watch.ids.lost(connected_device(number)[0], SILENT)
    await watch.ids.update(watch.broker)
    assert len(watch.broker.topics) == MOST
    watch.clock.now += WATCHED
    await watch.ids.update(watch.broker)
    assert watch.broker.topics == set()
    watch.ids.lost(connected_device(MOST)[0], SILENT)
    await watch.ids.update(watch.broker)
    assert watch.broker.topics == {f"fleet/v1/s/d{MOST}/status"}


async def test_after_a_restart_of_the_broker_nobody_is_watched(watch: Watch) -> None:
    watch.ids.lost(connected_device()[0], SILENT)
    await watch.ids.update(watch.broker)
    watch.ids.disconnected()
    await watch.ids.update(again := Subscriptions())
    assert again.topics == set()


async def test_a_broker_that_does_not_let_the_observer_read_it_is_asked_once(watch: Watch) -> None:
    watch.broker.refuses = True
    for number in range(2):
        watch.ids.lost(connected_device(number)[0], SILENT)
        await watch.ids.update(watch.broker)
    assert watch.broker.asked == 1

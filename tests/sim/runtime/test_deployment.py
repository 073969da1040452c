"""Devices on the network: connected, counted once a second, settled and taken down in order."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fleet_sim.devices.counters import Counters, Snapshot
from fleet_sim.devices.device import Device
from fleet_sim.devices.endpoint import Endpoint
from fleet_sim.devices.world import DeviceGroup, Identity, World
from fleet_sim.ledger.reading import read_ledger
from fleet_sim.ledger.writing import FLUSH_ROWS, LedgerWriter
from fleet_sim.runtime.deployment import (
    Deployment,
    RunOptions,
    collect_rarely,
    wall_clock,
)
from fleet_wire.control_messages import Receipt, encode_gateway_status, encode_receipt
from fleet_wire.session import Session
from tests.servers.broker import Broker
from tests.sim.results import result

WITHIN = 60.0


@dataclass
class Ground:
    """Three devices and what runs them."""

    deployment: Deployment
    devices: list[Device]
    ledger: LedgerWriter
    directory: Path

    @property
    def counters(self) -> Counters:
        return self.deployment.counters

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN):
            while not holds():  # noqa: ASYNC110 - what the broker does is looked at, not told
                await asyncio.sleep(0.01)

    async def up(self) -> None:
        await self.until(lambda: self.deployment.up == len(self.devices))

    def make(self, device: Device, count: int = 1) -> None:
        for _ in range(count):
            seq = device.outbox.number()
            device.emit(seq, b"%d" % seq, self.deployment.world.now_us())


@asynccontextmanager
async def deployed(
    broker: Broker, directory: Path, site: str, *, settle: float = WITHIN, observe: bool = False
) -> AsyncIterator[Ground]:
    """Deploy three devices of a site that is the test's own, and serve them while the block runs."""
    endpoint = Endpoint("127.0.0.1", broker.port)
    options = RunOptions(endpoint, directory, boot=7, settle=settle, observe=observe)
    with LedgerWriter(directory) as ledger:
        ledger.header({})
        world = World.of(ledger, asyncio.get_running_loop(), wall_clock(), lambda: 0)
        group = DeviceGroup("box", {}, {}, lambda *_: None, room=50, drop="oldest", replay_rate=1_000.0)
        names = [f"{site}-{i}" for i in range(3)]
        devices = [
            Device(world, group, Identity(name, site, "box", {}), index=i, row=i, boot=7)
            for i, name in enumerate(names)
        ]
        deployment = Deployment(options, world, 7, rate=1_000.0)
        try:
            async with asyncio.TaskGroup() as tasks:
                services = deployment.serve(tasks)
                deployment.deploy(devices)
                yield Ground(deployment, devices, ledger, directory)
                for service in services:
                    service.cancel()
        finally:
            deployment.abandon()


async def publish(broker: Broker, topic: str, payload: bytes) -> None:
    options = Endpoint("127.0.0.1", broker.port).of_client(f"publisher-of-{topic.replace('/', '-')}")
    session = Session(options, on_publish=lambda _epoch, _packets: None)
    await session.connect()
    acknowledged = asyncio.Event()
    session.publish(topic, payload, retain=True, on_ack=lambda _: acknowledged.set())
    async with asyncio.timeout(WITHIN):
        await acknowledged.wait()
    await session.disconnect()


async def test_devices_connect_send_and_leave_and_the_result_says_so(tmp_path: Path, broker: Broker) -> None:
    async with deployed(broker, tmp_path, "leaving") as ground:
        await ground.up()
        for device in ground.devices:
            ground.make(device, 2)
        await ground.deployment.settle()
        found = await ground.deployment.finish("stopped")
    assert (found.reason, found.unfinished, found.never_connected, found.gave_up) == ("stopped", 0, {}, {})
    assert (found.counters["connects"], found.counters["disconnects"]) == (3, 3)
    assert (found.counters["published"], found.counters["acked"]) == (6, 6)
    assert found.measures["devices.connected"] == 3
    assert found.last.up == 0
    summary = json.loads(json.dumps(found.summary()))
    assert (summary["devices"], summary["counters"]["acked"], summary["reason"]) == (3, 6, "stopped")
    ledger = read_ledger(tmp_path)
    assert ledger.end is not None
    assert ledger.end["counters"]["unfinished"] == 0
    assert ledger.tables["links"]["up"].tolist() == [1, 1, 1, 0, 0, 0]


async def test_every_second_counts_are_gathered_shown_and_written(tmp_path: Path, broker: Broker) -> None:
    shown: list[Snapshot] = []
    flushed: list[int] = []
    async with deployed(broker, tmp_path, "counted") as ground:
        ground.deployment.on_second = shown.append
        ground.deployment.before_flush = lambda: flushed.append(len(shown))
        await ground.up()
        ground.make(ground.devices[0], 4)
        await ground.until(lambda: any(snapshot.published == 4 for snapshot in shown))
        await ground.until(lambda: len(shown) >= 2)
        assert len(read_ledger(tmp_path).tables["acks"]) == 4, "written before the run ends"
    assert max(snapshot.rate for snapshot in shown) == 4.0, "messages in the second before"
    assert flushed[:2] == [0, 1], "what is to be written is asked for before each"


async def test_many_readings_are_written_before_the_second_is_over(tmp_path: Path, broker: Broker) -> None:
    async with deployed(broker, tmp_path, "bulky") as ground:
        columns = ground.ledger.group("box", [])
        for name in ("device", "boot", "seq", "ts", "sent", "flags", "present"):
            getattr(columns, name).extend([0] * FLUSH_ROWS)
        await ground.until(lambda: ground.ledger.rows == 0)
        assert len(read_ledger(tmp_path).groups[0].table) == FLUSH_ROWS


async def test_a_backlog_is_sent_when_the_device_is_back(tmp_path: Path, broker: Broker) -> None:
    async with deployed(broker, tmp_path, "backlog") as ground:
        await ground.up()
        device = ground.devices[1]
        ground.deployment.connector.block(device)
        await ground.until(lambda: not device.online)
        ground.make(device, 5)
        assert ground.deployment.snapshot().waiting == 5
        ground.deployment.drain()
        assert ground.deployment.snapshot().waiting == 5, "nothing can be sent while it is away"
        ground.deployment.connector.unblock(device)
        await ground.up()
        await ground.deployment.settle()
        assert (device.waiting, device.unacked) == (0, 0)
        assert ground.counters.reconnects == 1
    assert len(read_ledger(tmp_path).tables["sends"]) == 5


async def test_a_backlog_is_sent_no_faster_than_the_replay_rate(tmp_path: Path, broker: Broker) -> None:
    async with deployed(broker, tmp_path, "slow") as ground:
        await ground.up()
        device = ground.devices[0]
        device.group = replace(device.group, replay_rate=0.001)
        device.keep(device.outbox.number(), b"x")
        ground.deployment.drain()
        assert device.waiting == 1


async def test_what_never_settles_is_unfinished(tmp_path: Path, broker: Broker) -> None:
    async with deployed(broker, tmp_path, "unsettled", settle=0.1) as ground:
        await ground.up()
        away = ground.devices[2]
        ground.deployment.connector.block(away)
        await ground.until(lambda: not away.online)
        ground.make(away, 3)
        await ground.deployment.settle()
        found = await ground.deployment.finish("finished")
    assert (found.unfinished, found.counters["lost"]) == (3, 0)
    assert found.counters["published"] == 0


async def test_a_crashed_device_is_back_with_a_later_boot(tmp_path: Path, broker: Broker) -> None:
    async with deployed(broker, tmp_path, "crashed") as ground:
        await ground.up()
        ground.deployment.connector.restart(ground.devices[0], takes_ms=1.0, keep=False)
        await ground.until(lambda: ground.devices[0].outbox.boot == 8)
        await ground.up()
        assert [device.outbox.boot for device in ground.devices] == [8, 7, 7]


async def test_after_a_lost_connection_receipts_are_asked_for_and_awaited(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker may lose what it acknowledged; only a gateway's receipts prove that it did not."""
    status = encode_gateway_status({"gateway": "asked-gateway", "state": "online", "windows": []})
    await publish(broker, "edge/v1/asked-gateway/status", status)
    try:
        async with deployed(broker, tmp_path, "asked", observe=True) as ground:
            await ground.up()
            await ground.until(lambda: "asked-gateway" in ground.deployment.observer.statuses)
            device = ground.devices[0]
            ground.make(device, 2)
            await ground.until(lambda: device.unacked == 0)
            ground.deployment.connector.cut(device, 0.0)
            await ground.until(lambda: ground.counters.reconnects == 1)
            births: list[int] = []
            monkeypatch.setattr(Device, "connected", lambda device: births.append(device.index))
            settling = asyncio.create_task(ground.deployment.settle())
            await ground.until(lambda: births == [0])
            assert not settling.done(), "two messages have no receipt"
            receipt = encode_receipt(Receipt(boot=7, upto=2, missing=[]))
            await publish(broker, f"fleet/v1/asked/{device.identity.id}/receipt", receipt)
            async with asyncio.timeout(WITHIN):
                await settling
            assert (device.kept, births) == (0, [0])
    finally:
        await publish(broker, "edge/v1/asked-gateway/status", b"")


async def test_once_a_receipt_has_named_a_message_missing_the_receipts_of_all_are_awaited(
    tmp_path: Path, broker: Broker
) -> None:
    """For a while no gateway was subscribed: what the broker acknowledged then has reached nobody."""
    async with deployed(broker, tmp_path, "moved") as ground:
        await ground.up()
        told, other = ground.devices[:2]
        for device in (told, other):
            ground.make(device, 2)
        await ground.until(lambda: told.kept == other.kept == 2)
        receipt = encode_receipt(Receipt(boot=7, upto=1, missing=[(0, 0)]))
        await publish(broker, f"fleet/v1/moved/{told.identity.id}/receipt", receipt)
        await ground.until(lambda: ground.counters.resent == 1)
        settling = asyncio.create_task(ground.deployment.settle())
        for device in (told, other):
            await asyncio.sleep(0)
            assert not settling.done(), "there are messages without receipt"
            receipt = encode_receipt(Receipt(boot=7, upto=1, missing=[]))
            await publish(broker, f"fleet/v1/moved/{device.identity.id}/receipt", receipt)
        async with asyncio.timeout(WITHIN):
            await settling
        assert (told.kept, other.kept) == (0, 0)


async def test_the_observer_is_back_after_its_connection_is_lost(
    tmp_path: Path, broker_factory: Callable[..., Broker]
) -> None:
    broker = broker_factory()
    async with deployed(broker, tmp_path, "watched", observe=True) as ground:
        await ground.up()
        await asyncio.to_thread(broker.restart)
        status = encode_gateway_status({"gateway": "later", "state": "online", "windows": []})
        await publish(broker, "edge/v1/later/status", status)
        await ground.until(lambda: "later" in ground.deployment.observer.statuses)
        await ground.until(lambda: ground.deployment.up == 3)


async def test_devices_that_lose_the_broker_say_so_at_once_and_at_the_end(
    tmp_path: Path, broker_factory: Callable[[], Broker]
) -> None:
    broker = broker_factory()
    told: list[str] = []
    async with deployed(broker, tmp_path, "bereft", settle=1.0) as ground:
        deployment = ground.deployment
        deployment.warn = told.append
        await ground.up()
        await asyncio.to_thread(broker.kill)
        await ground.until(lambda: bool(told))
        await ground.until(lambda: len(deployment.connector.troubles) == 3)
        assert deployment.snapshot().connections_lost == 3
        assert deployment.reconnecting()
        await deployment.settle()
        found = await deployment.finish("finished")
    url = f"mqtt://127.0.0.1:{broker.port}"
    assert f"{url}: 3 devices lost the connection " in told[0]
    assert found.disconnected.keys() == found.summary()["disconnected"].keys()
    [(why, count)] = found.disconnected.items()
    assert count == 3
    assert f"and since then: cannot reach {url}: Connection refused; check that the broker runs" in why
    assert (found.measures["connect.lost"], found.measures["connect.failed"]) == (3, 3)


async def test_devices_that_come_back_are_no_failure(
    tmp_path: Path, broker_factory: Callable[[], Broker]
) -> None:
    broker = broker_factory()
    told: list[str] = []
    async with deployed(broker, tmp_path, "returned") as ground:
        ground.deployment.warn = told.append
        await ground.up()
        await asyncio.to_thread(broker.kill)
        await ground.until(lambda: bool(told))
        await asyncio.to_thread(broker.start)
        await ground.until(lambda: len(told) == 2)
        ground.deployment.connector.hurry()
        await ground.deployment.settle()
        found = await ground.deployment.finish("finished")
    assert f"mqtt://127.0.0.1:{broker.port} answers again; " in told[1]
    assert found.disconnected == {}
    assert (found.measures["connect.lost"], found.measures["connect.failed"]) == (3, 0)


def test_a_result_says_why_devices_were_refused_and_whether_it_can_be_trusted() -> None:
    summary = result(refused=2, gave_up=1, refused_messages=7, saturated=True).summary()
    assert summary["never_connected"] == {"not authorised": 2}
    assert summary["gave_up"] == {"taken over": 1}
    assert summary["refused_messages"] == {"not authorised (0x87)": 7}
    assert summary["saturated"] == "late"


def test_a_fleet_collects_garbage_rarely() -> None:
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    try:
        collect_rarely()
        assert gc.get_freeze_count() > 0, "nothing that lives now is looked at again"
        assert gc.get_threshold()[0] > 700
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def test_the_wall_clock_moves_with_the_monotonic_one() -> None:
    clock = wall_clock()
    assert clock() <= clock()
    assert clock() > 1_700_000_000_000_000, "microseconds since 1970"

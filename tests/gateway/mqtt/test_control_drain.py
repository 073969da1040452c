"""The end of the control connection: what can be delivered is, and nobody waits for a broker that is away."""

from __future__ import annotations

import asyncio
import time

import pytest

from edge_gateway.fold.messages import Message
from tests.gateway.mqtt.strict_broker import Rig, StrictBroker
from tests.servers.process import free_port

LONG = 30.0
MESSAGE = Message("edge/v1/gw/reply", b"x")


async def test_a_broker_that_was_never_there_is_not_waited_for() -> None:
    async with Rig(free_port()) as rig:
        rig.control.send([MESSAGE])
        begun = time.monotonic()
        assert not await rig.control.drained(LONG)
        assert time.monotonic() - begun < LONG / 2


async def test_a_broker_that_is_gone_is_not_waited_for() -> None:
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        await rig.until(lambda: broker.taken)
        broker.ends_after = lambda: 0
        broker.end(None)
        rig.control.send([MESSAGE])
        begun = time.monotonic()
        assert not await rig.control.drained(LONG)
        assert time.monotonic() - begun < LONG / 2


@pytest.mark.parametrize("packets", [1, 4, 6])
async def test_a_broker_that_lets_one_in_and_hangs_up_is_not_waited_for(packets: int) -> None:
    async with StrictBroker() as broker:
        broker.ends_after = lambda: packets
        broker.largest = 30
        broker.says_size = False
        async with Rig(broker.port) as rig:
            await rig.until(lambda: len(broker.connects) > 1)
            rig.control.send([MESSAGE])
            begun = time.monotonic()
            assert not await rig.control.drained(LONG)
            assert time.monotonic() - begun < LONG / 2


async def test_a_broker_that_takes_its_time_is_waited_for() -> None:
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        await rig.until(lambda: broker.taken)
        rig.control.send([MESSAGE] * 500)
        draining = asyncio.create_task(rig.control.drained(LONG))
        await asyncio.sleep(0)
        assert not draining.done()
        assert await draining
        assert sum(one.topic == MESSAGE.topic for one in broker.taken) == 500


async def test_a_broker_that_refuses_everything_is_not_waited_for() -> None:
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        broker.answer = lambda _: 0x87
        rig.control.send([MESSAGE, Message("edge/v1/gw/alerts/_/_gateway/disk", b"x", retain=True)])
        await rig.until(lambda: broker.seen)
        begun = time.monotonic()
        assert await rig.control.drained(LONG)
        assert time.monotonic() - begun < LONG / 2


async def test_while_the_broker_is_away_only_the_newest_status_waits() -> None:
    async with Rig(free_port()) as rig:
        for _ in range(100):
            rig.control.send([MESSAGE])
            rig.control.publish_status()
        assert rig.control.queued == 101

"""One cancel ends a loop, whatever happens in the same turn of the event loop."""

from __future__ import annotations

import asyncio
import random

import pytest

from edge_gateway.fold.messages import Message
from edge_gateway.mqtt.stopping import stop_if_asked, until_one_ends
from tests.gateway.mqtt.strict_broker import Rig, StrictBroker

ROUNDS = 150
WITHIN = 20.0
MESSAGE = Message("edge/v1/gw/reply", b"x")


async def test_a_cancel_at_any_moment_of_a_reconnecting_loop_ends_it() -> None:
    random.seed(14)
    async with StrictBroker() as broker:
        broker.ends_after = lambda: random.randint(1, 9)
        for _ in range(ROUNDS):
            rig = Rig(broker.port)
            rig.control.send([MESSAGE] * 30)
            task = asyncio.create_task(rig.control.run())
            await asyncio.sleep(random.uniform(0, 0.03))
            task.cancel()
            _, running = await asyncio.wait([task], timeout=WITHIN)
            assert not running, "it goes on as if nobody had asked"
            assert task.cancelled()


async def test_a_cancel_in_the_turn_in_which_the_connection_ends_is_seen() -> None:
    async with StrictBroker() as broker:
        for steps in range(40):
            rig = Rig(broker.port)
            task = asyncio.create_task(rig.control.run())
            seen = len(broker.seen)
            async with asyncio.timeout(WITHIN):
                while len(broker.seen) == seen:  # noqa: ASYNC110 - the fake has no event for it
                    await asyncio.sleep(0)
            broker.end(None)
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            _, running = await asyncio.wait([task], timeout=WITHIN)
            assert not running
            assert task.cancelled()


async def forgetful(times: int, forgot: list[int]) -> None:
    """A task that takes cancels for something else."""
    for number in range(times):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            forgot.append(number)
    await asyncio.sleep(60)


async def fails() -> None:
    raise ValueError("first")


async def test_the_first_end_cancels_the_others_even_if_they_swallow_a_cancel() -> None:
    forgot: list[int] = []
    with pytest.raises(ValueError, match="first"):
        await until_one_ends(forgetful(3, forgot), fails())
    assert forgot == [0, 1, 2]


async def test_a_cancel_that_comes_with_a_childs_error_is_not_lost() -> None:
    async def loops() -> None:
        while True:
            try:
                await until_one_ends(forgetful(1, []), fails())
            except ValueError:
                stop_if_asked()
            await asyncio.sleep(0)

    for steps in range(12):
        task = asyncio.create_task(loops())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        _, running = await asyncio.wait([task], timeout=WITHIN)
        assert not running

"""The end of the control connection: what can be delivered is, and nobody waits for a broker that is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import aiomqtt
import pytest

from edge_gateway.control import Control
from edge_gateway.outgoing import Message
from edge_gateway.status import Counters, Problems

LONG = 30.0
MESSAGE = Message("edge/v1/gw/status", b"x")


class ScriptedClient:
    """A connected client; publishes hang until `go`, and `lose` ends the connection."""

    def __init__(self) -> None:
        self.go, self.lost = asyncio.Event(), asyncio.Event()
        self.asked = asyncio.Event()
        self.published: list[str] = []
        self.delivered: list[aiomqtt.Message] = []
        self.messages = self._messages()

    async def subscribe(self, topics: Any) -> None:
        pass

    async def publish(self, topic: str, *_: Any, **__: Any) -> None:
        self.asked.set()
        await self.go.wait()
        self.published.append(topic)

    async def _messages(self) -> AsyncIterator[aiomqtt.Message]:
        for message in self.delivered:
            yield message
        await self.lost.wait()
        raise aiomqtt.MqttError("gone")


def control(client: ScriptedClient | None) -> Control:
    @asynccontextmanager
    async def connect(_: aiomqtt.Will) -> AsyncIterator[ScriptedClient]:
        if client is None:
            raise aiomqtt.MqttError("refused")
        yield client

    async def nothing(*_: Any) -> str:
        return ""

    return Control(
        gateway="gw",
        connect=cast("Any", connect),
        clock=lambda: 0,
        report=dict,
        firing=tuple,
        operate=nothing,
        started=0,
        give_way=lambda: None,
        tell_rival=lambda: None,
        counters=Counters(),
        problems=Problems(lambda: 0),
    )


@asynccontextmanager
async def running(part: Control) -> AsyncIterator[None]:
    task = asyncio.create_task(part.run())
    try:
        yield
    finally:
        task.cancel()


async def until_connected(client: ScriptedClient) -> None:
    """The status of a new connection is on its way."""
    async with asyncio.timeout(LONG):
        await client.asked.wait()


@pytest.mark.parametrize("ever", [True, False], ids=["no more", "never"])
async def test_a_broker_that_is_away_is_not_waited_for(ever: bool) -> None:
    client = ScriptedClient() if ever else None
    part = control(client)
    async with running(part):
        if client is not None:
            await until_connected(client)
        part.send([MESSAGE])
        begun = time.monotonic()
        draining = asyncio.create_task(part.drained(LONG))
        await asyncio.sleep(0)
        if client is not None:
            client.lost.set()
        assert not await draining
        assert time.monotonic() - begun < LONG / 2


async def test_a_broker_that_takes_its_time_is_waited_for() -> None:
    client = ScriptedClient()
    part = control(client)
    async with running(part):
        await until_connected(client)
        draining = asyncio.create_task(part.drained(LONG))
        await asyncio.sleep(0)
        assert not draining.done()
        client.go.set()
        assert await draining
        assert client.published

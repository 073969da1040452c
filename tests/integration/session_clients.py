"""Sessions that keep what they receive, and aiomqtt as the independent client on the other side."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiomqtt
import mqtt5

from fleet_wire.session import Connected, OnPublish, Session, SessionOptions
from tests.servers.broker import Broker

WITHIN = 60.0


class Client:
    """A session that keeps what it receives, and acknowledges at once unless told to wait."""

    def __init__(
        self, broker: Broker, client_id: str, *, hold: bool = False, queue: int = 1_000, **options: Any
    ) -> None:
        self.hold = hold
        self.got: list[tuple[int, mqtt5.PublishPacket]] = []
        self.news = asyncio.Event()
        self.also: OnPublish = lambda _epoch, _packets: None
        self.session = Session(
            SessionOptions(broker.host, broker.port, client_id, **options), on_publish=self._take, queue=queue
        )

    def _take(self, epoch: int, packets: list[mqtt5.PublishPacket]) -> None:
        self.got += [(epoch, packet) for packet in packets]
        self.also(epoch, packets)
        if not self.hold:
            self.session.ack(epoch, [packet.packet_id for packet in packets if packet.packet_id is not None])
        self.news.set()

    @property
    def payloads(self) -> list[bytes]:
        return [packet.payload for _, packet in self.got]

    async def connect(self, *filters: str) -> Connected:
        connected = await self.session.connect()
        if filters:
            await self.session.subscribe(filters, session_present=connected.session_present)
        return connected

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait, delivery by delivery, until `holds` is true."""
        async with asyncio.timeout(WITHIN):
            while not holds():
                self.news.clear()
                await self.news.wait()

    async def count(self, number: int) -> None:
        await self.until(lambda: len(self.got) >= number)


Clients = Callable[..., Client]


class Acknowledgements:
    """Counts acknowledgements; `done` is set when all that were expected are in."""

    def __init__(self, expected: int) -> None:
        self.codes: list[int] = []
        self.expected = expected
        self.done = asyncio.Event()

    def __call__(self, code: int) -> None:
        self.codes.append(code)
        if len(self.codes) == self.expected:
            self.done.set()

    async def wait(self) -> None:
        async with asyncio.timeout(WITHIN):
            await self.done.wait()


def other(broker: Broker, **options: Any) -> aiomqtt.Client:
    return aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5, **options)


async def put(broker: Broker, topic: str, *payloads: bytes, **options: Any) -> None:
    """Publish at QoS 1 as another client."""
    async with other(broker) as client:
        for payload in payloads:
            await client.publish(topic, payload, qos=1, **options)


def numbered(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]

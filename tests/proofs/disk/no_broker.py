"""Fakes of a gateway's two connections, so that it needs no broker: the telemetry session and the control client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Self

import aiomqtt
import mqtt5

from edge_gateway.mqtt.control_client import Limits
from fleet_wire.session import SessionOptions
from fleet_wire.session_options import Connected


@dataclass(slots=True)
class FakeSession:
    """A telemetry session without a broker: delivers given messages, and notes what is acknowledged."""

    on_publish: Callable[[int, list[mqtt5.PublishPacket]], None]
    options: SessionOptions | None = None
    connected: bool = True
    acknowledged: set[int] = field(default_factory=set)
    delivered: int = 0

    def deliver(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Deliver messages, as from one read of a socket."""
        packets = []
        for topic, payload in messages:
            self.delivered += 1
            packets.append(
                mqtt5.PublishPacket(
                    topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=self.delivered
                )
            )
        self.on_publish(1, packets)

    async def connect(self) -> Connected:
        return Connected(session_present=False, epoch=1, server_receive_maximum=1, server_keep_alive=None)

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        pass

    async def subscribe(self, filters: Sequence[str], *, session_present: bool) -> None:
        pass

    def publish(self, topic: str, payload: bytes, **_: Any) -> None:
        """Deliver the gateway's own message back to it."""
        packet = mqtt5.PublishPacket(topic, payload=payload, qos=mqtt5.QoS.AT_MOST_ONCE, packet_id=None)
        asyncio.get_running_loop().call_soon(self.on_publish, 1, [packet])

    def ack(self, epoch: int, packet_ids: Iterable[int]) -> int:
        assert epoch == 1
        before = len(self.acknowledged)
        self.acknowledged.update(packet_ids)
        return len(self.acknowledged) - before

    async def wait_lost(self) -> Exception:
        await asyncio.Event().wait()
        return ConnectionError("lost")

    async def disconnect(self) -> None:
        self.connected = False

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass


class NoMessages:
    """The messages of a broker that has none for this client."""

    def __len__(self) -> int:
        return 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> aiomqtt.Message:
        await asyncio.Event().wait()
        raise StopAsyncIteration


class FakeControlClient:
    """A control client without a broker: accepts everything that is published."""

    limits = Limits()

    def __init__(self, _: aiomqtt.Will | None = None) -> None:
        self.messages = NoMessages()

    @classmethod
    def standing_by(cls) -> Self:
        return cls()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def subscribe(self, topics: Any) -> list[Any]:
        return [SimpleNamespace(value=1) for _ in topics]

    async def unsubscribe(self, _: Any) -> None:
        pass

    async def deliver(self, *_: Any) -> int:
        await asyncio.sleep(0)
        return 0

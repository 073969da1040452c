"""A broker for the control connection that refuses what a test asks it to and forwards nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Self

import aiomqtt
import mqtt5

from edge_gateway.fold.messages import Message
from edge_gateway.mqtt.control_client import ControlClient
from edge_gateway.mqtt.control_parts import make_control
from edge_gateway.mqtt.control_session import Control
from edge_gateway.mqtt.ownership import Ownership
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import Problems

WITHIN = 30.0
NONCE = "00000000000000aa"


def takes_all(_: mqtt5.PublishPacket) -> int:
    return 0


class StrictBroker:
    """`answer` gives the reason code of each PUBLISH; one too large ends its connection, as an honest broker does.

    With `says_size` it names its bound in CONNACK. `retained` is delivered to the first subscription of its topic.
    """

    def __init__(self) -> None:
        self.answer: Callable[[mqtt5.PublishPacket], int] = takes_all
        self.refused_filters: set[str] = set()
        self.largest = 1 << 20
        self.says_size = True
        self.tells_why = True
        self.limits: dict[str, Any] = {}
        self.retained: dict[str, bytes] = {}
        self.taken: list[mqtt5.PublishPacket] = []
        self.seen: list[mqtt5.PublishPacket] = []
        self.connects: list[mqtt5.ConnectPacket] = []
        self.answers_late = False
        """Answer after a delay, so that `most_unanswered` counts messages in flight."""
        self.unanswered = self.most_unanswered = 0
        self.ends_after: Callable[[], int] | None = None
        """How many packets a connection lasts."""
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    def publish(self, topic: str, payload: bytes) -> None:
        """Deliver to the newest connection."""
        self._writers[-1].write(mqtt5.PublishPacket(topic, payload).write())

    def end(self, reason: mqtt5.DisconnectReasonCode | None) -> None:
        """End the newest connection, with a DISCONNECT or without."""
        if reason is not None:
            self._writers[-1].write(mqtt5.DisconnectPacket(reason_code=reason).write())
        self._writers[-1].close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        left = self.ends_after() if self.ends_after else -1
        data = b""
        with suppress(ConnectionError):
            while left:
                try:
                    packet, used = mqtt5.read(memoryview(data))
                except IndexError:
                    more = await reader.read(65_536)
                    if not more:
                        break
                    data += more
                    continue
                data = data[used:]
                left -= 1
                if not self._take(packet, used, writer):
                    break
        writer.close()

    def _take(self, packet: mqtt5.Packet, size: int, writer: asyncio.StreamWriter) -> bool:
        """Answer one packet; return False if that ends the connection."""
        match packet:
            case mqtt5.ConnectPacket():
                self.connects.append(packet)
                bound: dict[str, Any] = {"max_packet_size": self.largest} if self.says_size else {}
                writer.write(mqtt5.ConnAckPacket(**bound, **self.limits).write())
            case _ if size > self.largest:
                if self.tells_why:
                    reason = mqtt5.DisconnectReasonCode.PACKET_TOO_LARGE
                    writer.write(mqtt5.DisconnectPacket(reason_code=reason).write())
                return False
            case mqtt5.SubscribePacket():
                self._subscribed(packet, writer)
            case mqtt5.UnsubscribePacket():
                codes = [mqtt5.UnsubAckReasonCode.SUCCESS] * len(packet.patterns)
                writer.write(mqtt5.UnsubAckPacket(packet.packet_id, codes).write())
            case mqtt5.PublishPacket():
                self._published(packet, writer)
            case mqtt5.PingReqPacket():
                writer.write(mqtt5.PingRespPacket().write())
            case mqtt5.DisconnectPacket():
                return False
        return True

    def _subscribed(self, packet: mqtt5.SubscribePacket, writer: asyncio.StreamWriter) -> None:
        codes = mqtt5.SubAckReasonCode
        granted = [
            codes.NOT_AUTHORIZED if one.pattern in self.refused_filters else codes.GRANTED_QOS_AT_LEAST_ONCE
            for one in packet.topic_filters
        ]
        for one in packet.topic_filters:
            if one.retain_handling is not mqtt5.RetainHandling.SEND_NEVER:
                for topic in filter(partial(_covers, one.pattern), self.retained):
                    writer.write(mqtt5.PublishPacket(topic, self.retained[topic], retain=True).write())
        writer.write(mqtt5.SubAckPacket(packet.packet_id, granted).write())

    def _published(self, packet: mqtt5.PublishPacket, writer: asyncio.StreamWriter) -> None:
        code = self.answer(packet)
        self.seen.append(packet)
        if code < 0x80:
            self.taken.append(packet)
        if packet.packet_id is not None:
            self.unanswered += 1
            self.most_unanswered = max(self.most_unanswered, self.unanswered)
            answer = mqtt5.PubAckPacket(packet.packet_id, reason_code=mqtt5.PubAckReasonCode(code)).write()
            delay = 0.01 if self.answers_late else 0
            asyncio.get_running_loop().call_later(delay, self._acknowledge, writer, answer)

    def _acknowledge(self, writer: asyncio.StreamWriter, answer: bytes) -> None:
        self.unanswered -= 1
        writer.write(answer)


def _covers(pattern: str, topic: str) -> bool:
    return topic == pattern or (pattern.endswith("/#") and topic.startswith(pattern[:-1]))


class Clients:
    """Factory of clients for a port; counts those that stand by."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.standing = 0

    def __call__(self, will: aiomqtt.Will) -> ControlClient:
        return self._client("edge-gw-control", will)

    def standing_by(self) -> ControlClient:
        self.standing += 1
        return self._client("edge-gw-control-by", None)

    def _client(self, name: str, will: aiomqtt.Will | None) -> ControlClient:
        return ControlClient(
            "127.0.0.1", self.port, identifier=name, protocol=aiomqtt.ProtocolVersion.V5, will=will, timeout=5
        )


class Rig:
    """A control connection and its collaborators; `at` is its monotonic clock's lead over the real one."""

    def __init__(self, port: int, status: dict[str, Any] | None = None) -> None:
        self.told: list[tuple[str, str, str, bool]] = []
        self.fires: list[Message] = []
        self.at = 0.0
        self.counters = Counters()
        self.problems = Problems(lambda: 0, timer=lambda: int(self.clock() * 1000))
        self.ownership = Ownership([NONCE], self.clock, self.counters, self.problems)
        self.clients = Clients(port)
        said = status or {"gateway": "gw", "state": "online", "nonce": NONCE}
        self.control: Control = make_control(
            "gw",
            clients=self.clients,
            monotonic=lambda: 1_000,
            started=0,
            report=lambda: dict(said),
            firing_alerts=lambda: self.fires,
            operate=self._operate,
            undelivered=lambda *told: self.told.append(told),
            ownership=self.ownership,
            counters=self.counters,
            problems=self.problems,
            clock=self.clock,
        )

    def clock(self) -> float:
        return asyncio.get_running_loop().time() + self.at

    async def _operate(self, do: str, _: Any) -> str:
        return do

    def problem(self, code: str) -> str:
        return next((one.text for one in self.problems if one.code == code), "")

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.control.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        async with asyncio.timeout(WITHIN):
            await asyncio.wait([self._task])

    async def until(self, holds: Callable[[], object]) -> None:
        """Return as soon as `holds()`, which has no event to wait for."""
        async with asyncio.timeout(WITHIN):
            while not holds():
                assert not self._task.done(), self._task
                await asyncio.sleep(0.01)

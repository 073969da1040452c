"""A broker in the test's own process: it acknowledges what it gets, and sends receipts if a test wants them."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

import mqtt5

from fleet_wire.control_messages import Receipt, encode_receipt
from fleet_wire.telemetry import Telemetry, decode_telemetry
from fleet_wire.topics import RECEIPT, TELEMETRY, device_topic, parse_device_topic

RECEIPT_AFTER = 0.02
"""Seconds from a message to its receipt: the PUBACK comes first, as with a real broker."""


class AnsweringBroker:
    """Listens on a free port of loopback. `received` are the telemetry messages as (device, message).

    While `withheld` is true, telemetry gets no PUBACK. With `receipts`, each telemetry message gets a receipt.
    """

    port: int

    def __init__(self, *, receipts: bool = False) -> None:
        self.received: list[tuple[str, Telemetry]] = []
        self.births: list[str] = []
        self.receipts = receipts
        self.withheld = False
        self.arrived = asyncio.Event()
        self._held: list[tuple[asyncio.StreamWriter, int]] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def count(self, messages: int) -> None:
        """Wait until that many telemetry messages have arrived."""
        async with asyncio.timeout(60):
            while len(self.received) < messages:
                self.arrived.clear()
                await self.arrived.wait()

    def release(self) -> None:
        """Send the PUBACKs that were withheld; withhold no further ones."""
        self.withheld = False
        for writer, packet_id in self._held:
            writer.write(mqtt5.PubAckPacket(packet_id).write())
        self._held.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        pending = b""
        with suppress(ConnectionError):
            while more := await reader.read(65_536):
                pending += more
                with suppress(IndexError):
                    while pending:
                        packet, used = mqtt5.read(memoryview(pending))
                        pending = pending[used:]
                        self._answer(writer, packet)
        writer.close()

    def _answer(self, writer: asyncio.StreamWriter, packet: mqtt5.Packet) -> None:
        match packet:
            case mqtt5.ConnectPacket():
                writer.write(mqtt5.ConnAckPacket().write())
            case mqtt5.SubscribePacket():
                granted = [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE] * len(packet.topic_filters)
                writer.write(mqtt5.SubAckPacket(packet.packet_id, granted).write())
            case mqtt5.PingReqPacket():
                writer.write(mqtt5.PingRespPacket().write())
            case mqtt5.PublishPacket():
                self._published(writer, packet)

    def _published(self, writer: asyncio.StreamWriter, packet: mqtt5.PublishPacket) -> None:
        topic = parse_device_topic(packet.topic)
        assert topic is not None
        telemetry = topic.kind == TELEMETRY
        if packet.packet_id is not None:
            if telemetry and self.withheld:
                self._held.append((writer, packet.packet_id))
            else:
                writer.write(mqtt5.PubAckPacket(packet.packet_id).write())
        if not telemetry:
            self.births.append(topic.device)
            return
        message = decode_telemetry(bytes(packet.payload))
        self.received.append((topic.device, message))
        self.arrived.set()
        if self.receipts:
            payload = encode_receipt(Receipt(boot=message.boot, upto=message.seq, missing=[]))
            name = device_topic(topic.site, topic.device, RECEIPT)
            packet = mqtt5.PublishPacket(name, payload, qos=mqtt5.QoS.AT_MOST_ONCE)
            asyncio.get_running_loop().call_later(RECEIPT_AFTER, writer.write, packet.write())

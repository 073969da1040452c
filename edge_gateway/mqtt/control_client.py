"""The MQTT client of the control connection: aiomqtt's, fixed to leak no connection and to notice each end.

It also exposes what aiomqtt drops: the limits in CONNACK and the reason code in PUBACK.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiomqtt
from paho.mqtt import client as paho
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

MOST_RECEIVED = 65_535
NO_LINGERING = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits from CONNACK. `packet`: bytes, None if unlimited; `received`: unacknowledged messages in flight."""

    packet: int | None = None
    received: int = MOST_RECEIVED
    qos: int = 2
    retain: bool = True

    @classmethod
    def of(cls, said: Properties | None) -> Limits:
        """Read the properties of a CONNACK; an absent property means MQTT's default."""
        return cls(
            packet=getattr(said, "MaximumPacketSize", None),
            received=getattr(said, "ReceiveMaximum", MOST_RECEIVED),
            qos=getattr(said, "MaximumQoS", 2),
            retain=bool(getattr(said, "RetainAvailable", 1)),
        )


class ControlClient(aiomqtt.Client):
    """An aiomqtt client that is connected only inside its `async with` block.

    When CONNECT or DISCONNECT times out, aiomqtt forgets the client while paho keeps its connection alive. Answered
    late, it would be a second client of the same id, and the two would push each other off the broker.
    """

    _entering = False
    limits = Limits()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._answers: dict[int, asyncio.Future[int]] = {}

    async def deliver(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        retain: bool,  # noqa: FBT001 - as paho has it
        properties: Properties,
    ) -> int:
        """Publish and return the broker's reason code: 0x80 and above for a refusal, always 0 at QoS 0.

        Raises aiomqtt.MqttError if the connection ends first or no answer comes in time. Never swallows a cancel.
        """
        sent = self._client.publish(topic, payload, qos, retain, properties)
        if sent.rc != paho.MQTT_ERR_SUCCESS:
            raise aiomqtt.MqttCodeError(sent.rc, "Could not publish message") from self._end
        if sent.is_published():
            return 0
        answer: asyncio.Future[int] = self._loop.create_future()
        self._answers[sent.mid] = answer
        try:
            either: list[asyncio.Future[Any]] = [answer, self._disconnected]
            await asyncio.wait(either, timeout=self.timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._answers[sent.mid]
        if not answer.done():
            ended = self._disconnected.done()
            raise aiomqtt.MqttError("the connection ended" if ended else "no answer in time") from self._end
        return answer.result()

    @property
    def _end(self) -> BaseException | None:
        """The error that ended the connection, if any."""
        return self._disconnected.exception() if self._disconnected.done() else None

    async def __aenter__(self) -> Self:
        self._entering = True
        try:
            await super().__aenter__()
        except BaseException:
            self._abort_connection()
            raise
        finally:
            self._entering = False
            self._disconnected.add_done_callback(_retrieve_exception)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            await super().__aexit__(exc_type, exc, tb)
        finally:
            self._abort_connection()

    def _abort_connection(self) -> None:
        """Close the socket, if one is open, with a reset: unsent data is dropped."""
        left = self._client.socket()
        if isinstance(left, socket.socket):
            with suppress(OSError):
                left.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGERING)
                left.shutdown(socket.SHUT_RDWR)

    # Callbacks of paho, in the event loop or in the thread that connects

    def _on_connect(
        self, client: paho.Client, userdata: Any, flags: Any, reason_code: Any, properties: Any = None
    ) -> None:
        self.limits = Limits.of(properties)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(self, client: paho.Client, *answer: Any, **named: Any) -> None:
        """Ignore the end of an attempt that was cancelled, of which aiomqtt would ask the result."""
        if not self._connected.cancelled():
            super()._on_disconnect(client, *answer, **named)

    def _on_publish(
        self, client: paho.Client, userdata: Any, mid: int, reason_code: ReasonCode, properties: Any
    ) -> None:
        answer = self._answers.get(mid)
        if answer is not None and not answer.done():
            answer.set_result(int(reason_code.value))
        super()._on_publish(client, userdata, mid, reason_code, properties)

    def _on_socket_close(self, client: paho.Client, userdata: Any, sock: Any) -> None:
        """Fail the attempt when the socket closes before CONNACK, where aiomqtt would wait for its timeout."""
        super()._on_socket_close(client, userdata, sock)
        if self._entering:
            self._loop.call_soon_threadsafe(self._attempt_ended)

    def _attempt_ended(self) -> None:
        if self._entering and not self._connected.done():
            self._connected.set_exception(
                aiomqtt.MqttError("the connection broke before the broker answered")
            )

    def _on_socket_register_write(self, client: paho.Client, userdata: Any, sock: Any) -> None:  # noqa: ARG002 - paho's
        self._loop.call_soon_threadsafe(self._watch, client, sock)

    def _watch(self, client: paho.Client, sock: Any) -> None:
        """Watch for writability, unless the socket was closed meanwhile: its number may be another file's by now."""
        held = client.socket()
        if held is not None and held is sock:
            self._loop.add_writer(held.fileno(), self._write, client)

    def _write(self, client: paho.Client) -> None:
        try:
            client.loop_write()
        except OSError as error:
            if not self._disconnected.done():
                self._disconnected.set_exception(error)


def _retrieve_exception(ended: asyncio.Future[None]) -> None:
    """Mark the error as seen: callers get it from their own calls, and asyncio must not log it as unretrieved."""
    if not ended.cancelled():
        ended.exception()

"""The client of the control connection: aiomqtt's, made to leave no connection behind and to see each one end.

It also hears what aiomqtt passes over: the limits in CONNACK, and the reason code in a PUBACK.
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
    """What the broker said in CONNACK. `packet` in bytes, None without a bound; `received` in unanswered messages."""

    packet: int | None = None
    received: int = MOST_RECEIVED
    qos: int = 2
    retain: bool = True

    @classmethod
    def of(cls, said: Properties | None) -> Limits:
        """Read the properties of a CONNACK; what is not there is without a bound."""
        return cls(
            packet=getattr(said, "MaximumPacketSize", None),
            received=getattr(said, "ReceiveMaximum", MOST_RECEIVED),
            qos=getattr(said, "MaximumQoS", 2),
            retain=bool(getattr(said, "RetainAvailable", 1)),
        )


class ControlClient(aiomqtt.Client):
    """Whoever enters it has a connection; whoever failed to enter it or has left it has none.

    aiomqtt only forgets a client whose CONNECT or DISCONNECT was not answered in time, and paho keeps its connection
    alive. Answered late, it would be a second client of the same id, and the two would push each other off the broker.
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
        """Publish; returns the broker's reason code, 0x80 and above for a refusal, and 0 at QoS 0.

        aiomqtt.MqttError when the connection ends first, or nothing is answered in time. Never misses a cancel.
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
        """Why the connection ended, once it has."""
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
        """End the connection, if there still is one; what was not sent yet is dropped."""
        left = self._client.socket()
        if isinstance(left, socket.socket):
            with suppress(OSError):
                left.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGERING)
                left.shutdown(socket.SHUT_RDWR)

    # What paho calls, from the loop or from the thread that connects

    def _on_connect(
        self, client: paho.Client, userdata: Any, flags: Any, reason_code: Any, properties: Any = None
    ) -> None:
        self.limits = Limits.of(properties)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_publish(
        self, client: paho.Client, userdata: Any, mid: int, reason_code: ReasonCode, properties: Any
    ) -> None:
        answer = self._answers.get(mid)
        if answer is not None and not answer.done():
            answer.set_result(int(reason_code.value))
        super()._on_publish(client, userdata, mid, reason_code, properties)

    def _on_socket_close(self, client: paho.Client, userdata: Any, sock: Any) -> None:
        """An end before the CONNACK is the end of the attempt: aiomqtt would wait for its timeout."""
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
        """Ask to be called when the socket takes more, unless it was closed meanwhile: its number may be another's."""
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
    """Whoever uses the client meets the end as an error of what it does; that nobody asked for the reason is none."""
    if not ended.cancelled():
        ended.exception()

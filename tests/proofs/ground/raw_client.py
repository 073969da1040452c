"""An MQTT 5 client on a bare socket, for packets no client library would send.

Packets: https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html
"""

from __future__ import annotations

import itertools
import socket
import struct
from collections.abc import Sequence
from types import TracebackType
from typing import Self

CONNECT, PUBLISH, SUBSCRIBE, DISCONNECT = 0x10, 0x30, 0x82, 0xE0
CONNACK, PUBACK = 0x20, 0x40
RETAIN, QOS_1 = 0x01, 0x02
REFUSED = 0x80
PATIENCE = 30.0


class Hung(Exception):
    """The broker closed the connection, or did not answer in time."""


class RawClient:
    """A connection that publishes raw bytes; `with` opens and closes it."""

    def __init__(self, host: str, port: int, name: str) -> None:
        self._address = (host, port)
        self._name = name
        self._socket: socket.socket | None = None
        self._ids = itertools.cycle(range(1, 65_536))

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Connect anew."""
        self.close()
        self._socket = socket.create_connection(self._address, timeout=PATIENCE)
        self._send(CONNECT, _text("MQTT") + b"\x05\x02" + struct.pack(">H", 0) + b"\x00" + _text(self._name))
        kind, _ = self._read()
        if kind != CONNACK:
            raise Hung(f"packet {kind:#x} in place of CONNACK")

    def close(self) -> None:
        """Close the socket without a DISCONNECT."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def publish(self, topic: bytes, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        """Send one message; return whether the broker accepted it. If it closes the connection, open a new one."""
        try:
            number = self._send_publish(topic, payload, qos, retain=retain)
            return qos == 0 or self._acknowledged({number}) == {number}
        except (Hung, OSError):
            self.open()
            return False

    def publish_all(self, messages: Sequence[tuple[bytes, bytes]]) -> int:
        """Send well-formed messages of QoS 1 at once and wait for every PUBACK; returns how many said yes."""
        wanted = {self._send_publish(topic, payload, 1) for topic, payload in messages}
        return len(self._acknowledged(wanted))

    def _send_publish(self, topic: bytes, payload: bytes, qos: int, *, retain: bool = False) -> int:
        number = next(self._ids)
        flags = (QOS_1 if qos else 0) | (RETAIN if retain else 0)
        middle = struct.pack(">H", number) if qos else b""
        head = struct.pack(">H", len(topic)) + topic
        self._send(PUBLISH | flags, head + middle + b"\x00" + payload)
        return number

    def _acknowledged(self, wanted: set[int]) -> set[int]:
        """Wait for the PUBACKs of these packets; those that say yes, even if nobody subscribed."""
        good: set[int] = set()
        left = set(wanted)
        while left:
            kind, body = self._read()
            if kind == DISCONNECT:
                raise Hung(f"disconnected: {body.hex()}")
            if kind == PUBACK:
                number = int.from_bytes(body[:2], "big")
                left.discard(number)
                if len(body) < 3 or body[2] < REFUSED:
                    good.add(number)
        return good

    def _send(self, head: int, body: bytes) -> None:
        if self._socket is None:
            raise Hung("not connected")
        self._socket.sendall(bytes([head]) + _length(len(body)) + body)

    def _read(self) -> tuple[int, bytes]:
        head = self._exactly(1)[0]
        length = shift = 0
        while True:
            (byte,) = self._exactly(1)
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        return head & 0xF0, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        assert self._socket is not None
        found = b""
        while len(found) < count:
            piece = self._socket.recv(count - len(found))
            if not piece:
                raise Hung("the broker hung up")
            found += piece
        return found


def _text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack(">H", len(raw)) + raw


def _length(value: int) -> bytes:
    found = bytearray()
    while True:
        value, byte = divmod(value, 128)
        found.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(found)

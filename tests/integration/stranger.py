"""A device that uses none of the product's code, but paho-mqtt and msgpack encoded by hand.

It encodes by the msgpack specification and the wire contract, and decodes with the msgpack library.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgpack
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

WITHIN = 60.0
SMALL = 0x80
FIXED_MAP, FIXED_ARRAY, FIXED_TEXT = 0x80, 0x90, 0xA0
MOST_IN_FIXED, MOST_IN_FIXED_TEXT = 16, 32


def pack(value: Any) -> bytes:
    """Encode a value as msgpack, in the few forms a small device needs."""
    match value:
        case None | bool():
            return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
        case int():
            return bytes([value]) if 0 <= value < SMALL else b"\xd3" + struct.pack(">q", value)
        case float():
            return b"\xcb" + struct.pack(">d", value)
        case str():
            return _text(value.encode())
        case list() | tuple():
            assert len(value) < MOST_IN_FIXED
            return bytes([FIXED_ARRAY | len(value)]) + b"".join(map(pack, value))
        case Mapping():
            assert len(value) < MOST_IN_FIXED
            pairs = (pack(key) + pack(inner) for key, inner in value.items())
            return bytes([FIXED_MAP | len(value)]) + b"".join(pairs)
    raise AssertionError(f"a small device does not send {value!r}")


def _text(raw: bytes) -> bytes:
    if len(raw) < MOST_IN_FIXED_TEXT:
        return bytes([FIXED_TEXT | len(raw)]) + raw
    return b"\xd9" + bytes([len(raw)]) + raw


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Heard(NamedTuple):
    """A delivery; `body` is the decoded payload, None if empty."""

    topic: str
    body: Any
    retained: bool
    qos: int
    correlation: bytes | None
    expiry: int | None


def _heard(message: MQTTMessage) -> Heard:
    body = msgpack.unpackb(message.payload) if message.payload else None
    said = message.properties
    return Heard(
        message.topic,
        body,
        bool(message.retain),
        message.qos,
        getattr(said, "CorrelationData", None),
        getattr(said, "MessageExpiryInterval", None),
    )


class Client5:
    """A paho client that keeps what it receives."""

    def __init__(self, host: str, port: int, client_id: str, *filters: str) -> None:
        self.heard: list[Heard] = []
        self._news = threading.Condition()
        self._filters = filters
        self._subscribed = threading.Event()
        self.client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTv5)
        self.client.max_inflight_messages_set(500)
        self.client.on_connect = self._on_connect
        self.client.on_message = self._on_message
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self._address = (host, port)

    def will(self, topic: str, payload: bytes) -> None:
        self.client.will_set(topic, payload, qos=1, retain=True)

    def __enter__(self) -> Self:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 300
        self.client.connect(*self._address, keepalive=30, clean_start=False, properties=properties)
        self.client.loop_start()
        assert self._subscribed.wait(WITHIN)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.disconnect()
        self.client.loop_stop()
        left = self.client.socket()
        if isinstance(left, socket.socket):  # the broker had not ended the connection yet
            left.close()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> None:
        """Publish, and return when the broker has acknowledged."""
        self.client.publish(topic, payload, qos=qos, retain=retain).wait_for_publish(WITHIN)

    def wait_for(self, holds: Callable[[Heard], bool], within: float = WITHIN) -> Heard:
        """Return the first delivery, past or future, for which `holds` is true."""
        end = time.monotonic() + within
        with self._news:
            while True:
                for heard in self.heard:
                    if holds(heard):
                        return heard
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"not heard in {within} s; heard: {self.heard[-20:]}")
                self._news.wait(left)

    def _on_connect(self, *_: Any) -> None:
        self.client.subscribe([(filter_, 1) for filter_ in self._filters])

    def _on_message(self, _client: Any, _userdata: Any, message: MQTTMessage) -> None:
        with self._news:
            self.heard.append(_heard(message))
            self._news.notify_all()


class Device(Client5):
    """A device as the wire contract describes it, and nothing more."""

    def __init__(self, host: str, port: int, site: str, name: str, *, boot: int = 1) -> None:
        self.site, self.name, self.boot, self.seq, self._at = site, name, boot, 0, 0
        self.holds: int | None = None
        """The highest number of a command that its acks say it holds, if any."""
        super().__init__(host, port, name, self.topic("command"), self.topic("receipt"))
        self.will(self.topic("status"), pack({"state": "offline"}))

    def topic(self, kind: str) -> str:
        return f"fleet/v1/{self.site}/{self.name}/{kind}"

    def be_born(self, type_: str = "freezer", at: int | None = None, **tags: str) -> None:
        """Publish the birth, as after every connect."""
        metrics = {"temperature": {"unit": "°C", "label": "Air"}}
        birth = {"state": "online", "type": type_, "tags": tags, "metrics": metrics, "boot": self.boot,
                 "floor": self.seq, "next": self.seq, "ts": now_ms() if at is None else at}  # fmt: skip
        self.publish(self.topic("status"), pack(birth), retain=True)

    def measure(self, at: int | None = None, **values: float | str | bool) -> int:
        """Send one reading with a later time than the previous one; return its sequence number."""
        seq, self.seq = self.seq, self.seq + 1
        self._at = max(self._at + 1, now_ms())
        reading = {"v": 1, "boot": self.boot, "seq": seq, "ts": self._at if at is None else at, "m": values}
        self.publish(self.topic("telemetry"), pack(reading))
        return seq

    def answer(self, command: Mapping[str, Any], outcome: str = "done") -> None:
        ack = {"id": command["id"], "outcome": outcome, "detail": "", "ts": now_ms()}
        ack |= {} if self.holds is None else {"n": self.holds}
        self.publish(self.topic("ack"), pack(ack))

    def command(self, after: int = 0) -> Heard:
        """Return the first command whose number is above `after`."""
        topic = self.topic("command")
        return self.wait_for(
            lambda one: one.topic == topic and one.body["kind"] == "command" and one.body["n"] > after
        )

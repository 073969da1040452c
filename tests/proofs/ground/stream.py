"""Readings as a function of device and number, so that every window can be computed without a ledger.

Stream ── message(device, seq) ──▶ Publisher (paho-mqtt) ──▶ broker
  └────── windows(every, until) ─▶ what must be stored
"""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from fleet_sim.judging.stored import WindowKey
from fleet_sim.ledger.expected import Facts
from fleet_wire.control_messages import decode_command
from fleet_wire.telemetry import encode_telemetry
from fleet_wire.topics import COMMAND, TELEMETRY, device_topic, parse_device_topic
from tests.proofs.proof import Findings
from tests.servers.broker import Broker
from tests.servers.process import ServerFailed

BOOT = 7
PERIOD = 40
"""Readings of a device in one period of its `heat`."""
MOST_UNDER_WAY = 200
MOST_QUEUED = 1000
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Stream:
    """`devices` devices of a site, each with a reading every `every` ms from `start` (ms) on, in turn."""

    site: str
    devices: int
    start: int
    every: int
    prefix: str = "dev"

    def name(self, device: int) -> str:
        return f"{self.prefix}-{device:04d}"

    def at(self, device: int, seq: int) -> int:
        """Return the time of a reading in ms."""
        return self.start + seq * self.every + device * self.every // self.devices

    def values(self, device: int, seq: int) -> dict[str, float]:
        turn = 2 * math.pi * (seq / PERIOD + device / self.devices)
        return {"heat": round(10 * math.sin(turn), 3), "level": round(50 + seq / 7 + device / 3, 4)}

    def message(self, device: int, seq: int) -> tuple[str, bytes]:
        """Return topic and payload of a reading."""
        topic = device_topic(self.site, self.name(device), TELEMETRY)
        return topic, encode_telemetry(BOOT, seq, self.at(device, seq), self.values(device, seq))

    def windows(self, every: int, rounds: int) -> dict[WindowKey, Facts]:
        """Return the windows of `every` ms when each device has sent readings 0 to `rounds` - 1."""
        found: dict[WindowKey, list[float]] = defaultdict(list)
        for device in range(self.devices):
            name = self.name(device)
            for seq in range(rounds):
                start = self.at(device, seq) // every * every
                for metric, value in self.values(device, seq).items():
                    found[WindowKey(name, metric, every, start)].append(value)
        return {key: facts_in_order(values) for key, values in found.items()}


def facts_in_order(values: list[float]) -> Facts:
    """Return the facts of a window from its values in order of time."""
    return Facts(len(values), math.fsum(values), min(values), max(values), values[0], values[-1])


def take_windows(
    findings: Findings,
    expected: Mapping[WindowKey, Facts],
    found: Mapping[WindowKey, Facts],
    source: str,
    *,
    complete: bool = True,
) -> int:
    """Count the windows that differ; return how many are missing, which is an error only if `complete`."""
    missing = 0
    for key, facts in expected.items():
        held = found.get(key)
        if held is None and not complete:
            missing += 1
        elif held != facts:
            findings.wrong += 1
            findings.lost += max(0, facts.count - (held.count if held else 0))
            findings.double += max(0, (held.count if held else 0) - facts.count)
            findings.show(f"{source}: {key}: expected {facts}, found {held}")
    for key in found.keys() - expected.keys():
        findings.wrong += 1
        findings.show(f"{source}: {key} is not of the stream: {found[key]}")
    findings.windows += len(expected)
    return missing


class Publisher:
    """A QoS 1 publisher with bounded queues that can wait for every PUBACK."""

    def __init__(self, broker: Broker, client_id: str) -> None:
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=paho.MQTTv5)
        self._client.max_inflight_messages_set(MOST_UNDER_WAY)
        self._address = broker.host, broker.port
        self._under_way: deque[paho.MQTTMessageInfo] = deque()

    def __enter__(self) -> Self:
        self._client.connect(*self._address)
        self._client.loop_start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, messages: Iterable[tuple[str, bytes]], *, retain: bool = False) -> None:
        """Queue messages; wait while too many have no PUBACK."""
        for topic, payload in messages:
            self._under_way.append(self._client.publish(topic, payload, qos=1, retain=retain))
            while len(self._under_way) > MOST_QUEUED:
                self._under_way.popleft().wait_for_publish(PATIENCE)

    def settle(self) -> None:
        """Wait for the last PUBACK."""
        while self._under_way:
            self._under_way.popleft().wait_for_publish(PATIENCE)


class Arrived(NamedTuple):
    """A command that arrived at `at` (ms), and the reading that caused it."""

    id: str
    device: int
    seq: int
    at: int


class Commands:
    """A client that collects the commands to a stream's devices while the block runs, at QoS 1."""

    def __init__(self, broker: Broker, stream: Stream) -> None:
        self.arrived: list[Arrived] = []
        self._listening = threading.Event()
        self._devices = {stream.name(device): device for device in range(stream.devices)}
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"{stream.site}-commands", protocol=paho.MQTTv5
        )
        self._client.on_message = self._take
        self._client.on_subscribe = lambda *_: self._listening.set()
        self._topics = [(device_topic(stream.site, name, COMMAND), 1) for name in self._devices]
        self._address = broker.host, broker.port

    def __enter__(self) -> Self:
        self._client.connect(*self._address)
        self._client.subscribe(self._topics)
        self._client.loop_start()
        if not self._listening.wait(PATIENCE):
            raise ServerFailed("the broker did not answer SUBSCRIBE")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _take(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        topic, command = parse_device_topic(message.topic), decode_command(bytes(message.payload))
        device = self._devices.get(topic.device) if topic else None
        if device is not None and command.alert is not None and command.alert.seq is not None:
            at = time.time_ns() // 1_000_000
            self.arrived.append(Arrived(command.id, device, command.alert.seq, at))

"""The recorded stream that every consumer is given: the same readings, in the encoding each reads best."""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Self

from fleet_wire.telemetry import encode_telemetry
from fleet_wire.topics import TELEMETRY, device_topic

Encoding = Literal["fleet-v1", "json"]
Message = tuple[bytes, bytes]
SITES = ("berlin", "lyon", "porto")
BOOT = 1_700_000_000
METRICS = {
    "temperature": (-18, 2, 2),
    "humidity": (60, 10, 1),
    "pressure": (1013, 8, 1),
    "vibration": (3, 1, 3),
    "power": (420, 90, 0),
}
"""Mean, swing and digits of each."""


@dataclass(frozen=True, slots=True)
class Stream:
    """`messages` of `devices` devices in turn, each every `interval_ms`, from `start` (ms) on, with so many metrics."""

    messages: int
    devices: int
    start: int
    interval_ms: int = 1_000
    metrics: int = len(METRICS)

    @classmethod
    def until_now(
        cls, messages: int, devices: int, interval_ms: int = 1_000, metrics: int = len(METRICS)
    ) -> Self:
        """Return the stream whose last message is of this moment."""
        return cls(messages, devices, now_ms() - messages * interval_ms // devices, interval_ms, metrics)

    @classmethod
    def from_now(cls, messages: int, devices: int, interval_ms: int, metrics: int = len(METRICS)) -> Self:
        """Return the stream whose first message is of this moment."""
        return cls(messages, devices, now_ms(), interval_ms, metrics)

    def readings(self) -> Iterator[tuple[str, int, int, dict[str, float]]]:
        """(topic, sequence number, time, values): smooth values, with the digits that sensors have."""
        signals = list(METRICS.items())[: self.metrics]
        for number in range(self.messages):
            seq, device = divmod(number, self.devices)
            at = self.start + seq * self.interval_ms + device * self.interval_ms // self.devices
            turn = math.sin(number / 5_000 + device)
            values = {name: round(mean + swing * turn, digits) for name, (mean, swing, digits) in signals}
            yield device_topic(SITES[device % len(SITES)], f"frz-{device:05d}", TELEMETRY), seq, at, values

    def encoded(self, encoding: Encoding) -> list[Message]:
        """JSON carries no time: Telegraf's aggregators drop what is older than their running period."""
        if encoding == "json":
            return [(topic.encode(), json.dumps(values).encode()) for topic, _, _, values in self.readings()]
        return [(topic.encode(), encode_telemetry(BOOT, seq, at, m)) for topic, seq, at, m in self.readings()]


def now_ms() -> int:
    return time.time_ns() // 1_000_000

"""One device floods the gateway in every way there is: what is held of it does not grow with the flood."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records import codec
from edge_gateway.records.inputs import Batch, Moment, Tick
from edge_gateway.recovery.settings import fold_settings
from fleet_wire import control_messages
from fleet_wire.telemetry import encode_telemetry

START = 1_790_000_000_000
LARGEST = 2**63 - 1
EARLY, LATER = 200, 700
SHARES = {"device_series": 64, "device_strings": 64}
SLACK = 2_000
"""Bytes by which a state may grow: numbers that take a byte more, a list that is not full yet."""

Flood = Callable[[int], tuple[str, bytes]]


def topic(kind: str, device: str = "flood", site: str = "berlin") -> str:
    return f"fleet/v1/{site}/{device}/{kind}"


def reading(boot: int, seq: int, ts: int | None = None, **more: Any) -> tuple[str, bytes]:
    return topic("telemetry"), encode_telemetry(boot, seq, ts, {"temperature": 5.0}, **more)


def birth(**facts: Any) -> tuple[str, bytes]:
    return topic("status"), control_messages.encode_birth(
        control_messages.Birth(**{"type": "freezer", "boot": 1, **facts})
    )


def long_birth(number: int) -> tuple[str, bytes]:
    tags = {f"tag_{place}": f"{number}-{'x' * 120}" for place in range(32)}
    info = control_messages.MetricInfo(unit="y" * 32, label=f"{number}-{'z' * 100}", min=float(number))
    return birth(tags=tags, metrics={f"metric_{place}": info for place in range(200)})


FLOODS: dict[str, Flood] = {
    "a new boot with every message": lambda n: reading(LARGEST - n, 0),
    "a new boot with every message, and gaps": lambda n: reading(LARGEST - n, 9),
    "a new boot with every birth": lambda n: birth(boot=LARGEST - n, next=5),
    "a gap with every message": lambda n: reading(1, 2 * n),
    "leaps to the highest number there is": lambda n: reading(n, LARGEST, floor=LARGEST),
    "births from nowhere": lambda n: birth(boot=n % 3, next=LARGEST - n, floor=LARGEST - n),
    "births with other labels": lambda n: birth(type=f"type-{n}", tags={"line": f"L{n}", "note": f"{n}"}),
    "long births": long_birth,
    "the same birth": lambda n: birth(next=n % 2),
    "births that change their mind": lambda n: birth(
        boot=n, metrics={"temperature": control_messages.MetricInfo(kind="state" if n % 2 else "number")}
    ),
    "metrics without end": lambda n: (
        topic("telemetry"),
        encode_telemetry(1, n, None, {f"m{n}_{place}": 1.0 for place in range(9)}),
    ),
    "texts without end": lambda n: (
        topic("telemetry"),
        encode_telemetry(1, n, None, {f"m{place}": f"text {n} {place}" for place in range(9)}),
    ),
    "wills": lambda n: (topic("status"), control_messages.encode_death(control_messages.Death(ts=START + n))),
    "acks of commands nobody sent": lambda n: (
        topic("ack"),
        control_messages.encode_ack(control_messages.Ack(id=f"none-{n}", outcome="done", detail="x" * 500)),
    ),
    "acks that are none": lambda n: (topic("ack"), f"nonsense {n}".encode()),
    "JSON": lambda n: (topic("telemetry"), json.dumps({"n": n}).encode()),
    "JSON at invented sites": lambda n: (topic("telemetry", site=f"site-{n}"), json.dumps({"n": n}).encode()),
    "readings at invented sites": lambda n: (topic("telemetry", site=f"site-{n}"), reading(1, n)[1]),
    "one message again and again": lambda n: reading(1, 0),  # noqa: ARG005 - as the others
    "times of all ages": lambda n: reading(1, n, START - n * 86_400_000),
}


class Folded:
    """A fold that a flood and a good device feed."""

    def __init__(self) -> None:
        config = {"mqtt": {"url": "mqtt://localhost"}, "gateway": {"tags": ["line"]}, "limits": SHARES}
        self.pipeline: Pipeline = build_pipeline("gw", fold_settings(GatewayConfig.model_validate(config)))
        self.elapsed = 0

    def take(self, *messages: tuple[str, bytes]) -> None:
        self.elapsed += 10
        now = Moment(START + self.elapsed, self.elapsed, monotonic=self.elapsed)
        self.pipeline.fold(Batch(now, [one for one, _ in messages], [payload for _, payload in messages]))
        self.pipeline.fold(Tick(now))

    def size(self) -> int:
        """Bytes of the whole state, without the windows that are open."""
        for _ in range(3):
            self.elapsed += 24 * 3_600_000
            self.pipeline.fold(Tick(Moment(START + self.elapsed, self.elapsed, monotonic=self.elapsed)))
        while self.pipeline.windows.pending:
            self.pipeline.fold(Tick(Moment(START + self.elapsed, self.elapsed, monotonic=self.elapsed)))
        return len(codec.pack(self.pipeline.snapshot()))


def flooded(flood: Flood, messages: int) -> int:
    folded = Folded()
    for number in range(messages):
        good = topic("telemetry", "good"), encode_telemetry(1, number, START + folded.elapsed, {"t": 1.0})
        folded.take(flood(number), good)
    assert folded.pipeline.admission.accounting.of(_number(folded, "good"))["new"] == messages
    return folded.size()


def _number(folded: Folded, device: str) -> int:
    number = folded.pipeline.registry.find(device)
    assert number is not None
    return number


@pytest.mark.parametrize("name", FLOODS)
def test_what_is_held_does_not_grow_with_a_flood(name: str) -> None:
    assert flooded(FLOODS[name], LATER) - flooded(FLOODS[name], EARLY) < SLACK

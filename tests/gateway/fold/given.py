"""A small fleet and its rules, as inputs of a fold."""

from __future__ import annotations

import random
from typing import Any

import msgspec

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.fold.effects import Effects
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.series_names import SeriesNames
from edge_gateway.fold.settings import FoldSettings
from edge_gateway.records import codec
from edge_gateway.records.inputs import Batch, Input, Moment, Tick
from edge_gateway.recovery.settings import fold_settings
from fleet_wire import control_messages, topics
from fleet_wire.telemetry import encode_telemetry

HOUR = 3_600_000
START = 1_760_000_000_000
RULES = """
version: 1
groups:
- name: cold
  rules:
  - alert: TooWarm
    expr: temperature
    above: -10
    clear: -12
    for: 2s
    severity: critical
    commands:
    - name: compressor
      args: {value: -22}
      on: [firing]
      cooldown: 1m
      expires: 60s
      confirm: {within: 5s, retries: 1}
  - {record: double, expr: temperature * 2}
"""


def settings(**changes: Any) -> FoldSettings:
    config = GatewayConfig.model_validate_json(
        msgspec.json.encode(
            {
                "mqtt": {"url": "mqtt://localhost"},
                "windows": [
                    {"every": "5s", "bucket": "a", "keep": "30d"},
                    {"every": "10s", "bucket": "b", "keep": "60d"},
                ],
                "time": {"allowed_lateness": "1s", "idle_close": "3s"},
                "metrics": {"temperature": {"range": [-40, 85]}},
                "gateway": {"tags": ["line"]},
                **changes,
            }
        )
    )
    return fold_settings(config)


def moment(ms: int) -> Moment:
    return Moment(START + ms, ms, monotonic=ms)


def reading(device: str, seq: int, ms: int, *, boot: int = 1, **metrics: Any) -> tuple[str, bytes]:
    topic = topics.device_topic("berlin", device, topics.TELEMETRY)
    return topic, encode_telemetry(boot, seq, START + ms, metrics)


def birth(device: str, **tags: str) -> tuple[str, bytes]:
    topic = topics.device_topic("berlin", device, topics.STATUS)
    return topic, control_messages.encode_birth(
        control_messages.Birth(type="freezer", boot=1, next=0, floor=0, tags=tags)
    )


def batch(ms: int, *messages: tuple[str, bytes]) -> Batch:
    return Batch(moment(ms), [topic for topic, _ in messages], [payload for _, payload in messages])


def plain(effects: Effects, pipeline: Pipeline) -> Any:
    """Everything the store is told, as bytes: equal bytes, equal effects."""
    return codec.pack(effects.for_store(SeriesNames(pipeline.registry)))


def scenario(seed: int) -> list[Input]:
    """Two minutes of a small fleet: disorder, duplicates, bad values, silence, ticks."""
    chance = random.Random(seed)
    given: list[Input] = [batch(0, *(birth(f"f{number}", line=f"L{number % 3}") for number in range(12)))]
    sent = dict.fromkeys(range(12), 0)
    held: list[tuple[str, bytes]] = []
    for step in range(1, 240):
        ms = step * 500
        messages: list[tuple[str, bytes]] = []
        for number in range(12):
            if chance.random() < 0.1 or (number == 5 and 60 < step < 120):
                continue
            value: Any = chance.choice([-18.0, -9.0, -8.5, chance.gauss(-15, 5), float("nan"), "warm", 900])
            message = reading(
                f"f{number}", sent[number], ms - chance.randrange(1500), temperature=value, door="open"
            )
            sent[number] += 1
            (held if chance.random() < 0.05 else messages).append(message)
            if chance.random() < 0.05:
                messages.append(message)
        if chance.random() < 0.3:
            messages += held
            held = []
        given += [batch(ms, *messages), Tick(moment(ms + 250))]
    return given

"""Where the time of a message goes in the gateway's process, in ns of CPU a reading, without socket and disk.

Batches of 1,000 messages are a backlog; batches of 40 are a quiet fleet, where the fixed cost of a fold counts. 100
rules are evaluated, a quarter of them over a range. The reference is the least a consumer does: unpack each message and
keep its values by device and metric in a dict.
"""

import gc
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mqtt5
import msgpack

from benchmarks.gateway import rules_text
from benchmarks.stream import Stream
from edge_gateway.configuration.loading import load_config
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records import codec
from edge_gateway.records.inputs import Batch, Moment, Reload
from edge_gateway.recovery.settings import fold_settings
from edge_gateway.rules.files.load import load_rules
from fleet_wire.packets import encode_pubacks, read_packets

DEVICES = 2_000
RULES = 100
START = 1_760_000_000_000
WARM = 12 * DEVICES
"""Messages until every device is known and its first windows have closed."""
MEASURED = 12 * DEVICES
CONFIG = """
version: 1
mqtt: {url: "mqtt://localhost:1883"}
windows: [{every: 10s, bucket: telemetry, keep: 30d}]
"""


def pipeline(metrics: int) -> Pipeline:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "gateway.yaml").write_text(CONFIG)
        (directory / "rules.yaml").write_text(rules_text(RULES, metrics))
        config = load_config(directory / "gateway.yaml", environment={}).config
        made = build_pipeline("bench", fold_settings(config))
        made.fold(Reload(Moment(START, 0), load_rules(directory / "rules.yaml").to_plain()))
    return made


def batches(metrics: int, size: int) -> list[Batch]:
    """Return everything that is folded, warm-up included, in batches of `size` messages that arrive when measured."""
    stream = Stream(WARM + MEASURED, DEVICES, START, metrics=metrics)
    messages = stream.encoded("fleet-v1")
    made = []
    for at in range(0, len(messages), size):
        some = messages[at : at + size]
        passed = (at + size) * 1000 // DEVICES
        made.append(
            Batch(
                Moment(START + passed, passed, monotonic=passed),
                [topic.decode() for topic, _ in some],
                [one for _, one in some],
            )
        )
    return made


Took = dict[str, list[int]]
"""CPU nanoseconds of each stage, batch by batch."""


def timed(took: Took, stage: str, do: Callable[[], Any]) -> Any:
    begun = time.thread_time_ns()
    result = do()
    took.setdefault(stage, []).append(time.thread_time_ns() - begun)
    return result


def stages(metrics: int, size: int) -> Took:
    """Time the stages one by one on one pipeline, and the whole fold on another."""
    whole, parts = pipeline(metrics), pipeline(metrics)
    took: Took = {}
    plain: dict[tuple[str, str], Any] = {}
    given = batches(metrics, size)
    gc.collect()
    gc.freeze()  # as a gateway does after its start: else one collection of all of this lands in some stage
    for batch in given:
        timed(took, "plain Python", lambda: keep(plain, batch))  # noqa: B023 - called at once
        packets = wire(batch)
        timed(took, "read packets", lambda: read_packets(packets, 1 << 20))  # noqa: B023
        effects = timed(took, "whole fold", lambda: whole.fold(batch))  # noqa: B023
        fold_by_stages(took, parts, batch)
        tree = {"inputs": [batch], "closings": [effects.closings], "effects": effects.windows}
        timed(took, "encode record", lambda: codec.encode(tree))  # noqa: B023
        timed(took, "encode acks", lambda: encode_pubacks(range(1, size + 1)))
    gc.unfreeze()
    first = WARM // size
    return {stage: each[first:] for stage, each in took.items()}


def keep(held: dict[tuple[str, str], Any], batch: Batch) -> None:
    for topic, payload in zip(batch.topics, batch.payloads, strict=True):
        for name, value in msgpack.unpackb(payload)["m"].items():
            held[topic, name] = value


def wire(batch: Batch) -> memoryview:
    pairs = zip(batch.topics, batch.payloads, strict=True)
    return memoryview(
        b"".join(
            mqtt5.PublishPacket(topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=number).write()
            for number, (topic, payload) in enumerate(pairs, 1)
        )
    )


def fold_by_stages(took: Took, parts: Pipeline, batch: Batch) -> None:
    """Do what `Pipeline.fold` does with telemetry, in the same order."""
    listening = batch.moment.listening
    admitted = timed(took, "decode, dedup, check", lambda: parts.admission.admit(batch))
    frame = parts.rules.add_records(admitted.frame)
    timed(took, "open windows", lambda: parts.windows.add(frame, listening_ms=listening))
    timed(took, "rules", lambda: parts.rules.evaluate(frame, listening))
    timed(took, "close windows", lambda: parts.windows.close(16_384))


def measure() -> dict[str, dict[str, float]]:
    """Return CPU by metrics a message and batch size, then by stage."""
    told = {}
    for metrics, size in ((5, 1_000), (5, 40), (1, 1_000)):
        took = stages(metrics, size)
        readings = size * metrics
        told[f"ns a reading: {metrics} metrics a message, {size:,} messages a batch"] = {
            stage: sum(each) / len(each) / readings for stage, each in took.items()
        }
    return told


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))

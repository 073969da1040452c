"""What the front half of the fold costs: decode, dedup, and admission whole, in µs a message of 5 metrics."""

import json
import random
import statistics
import time
from collections.abc import Callable
from functools import partial

from edge_gateway.fleet.admission import Admission, AdmissionPolicy
from edge_gateway.fleet.arrivals.sequences import Sequences
from edge_gateway.fleet.decoders import native
from edge_gateway.fleet.registry import Registry
from edge_gateway.records.inputs import Batch, Moment
from fleet_wire.telemetry import encode_telemetry
from fleet_wire.topics import TELEMETRY, device_topic

DEVICES = 10_000
METRICS = ("temperature", "humidity", "pressure", "vibration", "energy")
START = 1_760_000_000_000


def batches(size: int, count: int, *, first: int = 0) -> list[Batch]:
    """Return `count` batches of `size` messages; every device sends in turn, in order."""
    made = []
    draw = random.Random(1)
    for number in range(first, first + count):
        rows = range(number * size, (number + 1) * size)
        topics = [device_topic("site", f"device-{row % DEVICES:05d}", TELEMETRY) for row in rows]
        payloads = [
            encode_telemetry(row % DEVICES, row // DEVICES, START + row, _values(draw)) for row in rows
        ]
        made.append(Batch(Moment(START + rows[-1], rows[-1], monotonic=rows[-1]), topics, payloads))
    return made


def _values(draw: random.Random) -> dict[str, float]:
    return {name: draw.gauss(20, 5) for name in METRICS}


def cost(run: Callable[[Batch], object], given: list[Batch]) -> float:
    """Return the median cost of a batch in µs a message."""
    costs = []
    for batch in given:
        before = time.perf_counter_ns()
        run(batch)
        costs.append((time.perf_counter_ns() - before) / 1_000 / len(batch.topics))
    return statistics.median(costs)


def measure() -> dict[str, float]:
    """Return µs a message by stage and batch size, once all devices and series are known."""
    result = {}
    for size in (500, 50, 10):
        registry = Registry()
        admission = Admission(registry, AdmissionPolicy())
        rounds = DEVICES // size
        for batch in batches(size, rounds):
            admission.admit(batch)
        given = batches(size, min(rounds, 200), first=rounds)
        result[f"decode_{size}"] = cost(partial(_decode, registry), given)
        result[f"dedup_{size}"] = _dedup(registry, given)
        result[f"admission_{size}"] = cost(admission.admit, given)
    before = time.perf_counter_ns()
    admission.receipts_due(10_000_000)
    result["receipts_tick_10000_devices_ms"] = (time.perf_counter_ns() - before) / 1e6
    before = time.perf_counter_ns()
    registry.snapshot()
    admission.snapshot()
    result["snapshot_10000_devices_ms"] = (time.perf_counter_ns() - before) / 1e6
    return result


def _decode(registry: Registry, one: Batch) -> object:
    return native.decode(registry, one.topics, one.payloads)


def _dedup(registry: Registry, given: list[Batch]) -> float:
    sequences = Sequences()
    columns = [native.decode(registry, one.topics, one.payloads).messages for one in given]
    for one in columns:
        sequences.accept(one.device, one.boot, one.seq - 1, one.ts - 1)
    costs = []
    for one in columns:
        before = time.perf_counter_ns()
        sequences.accept(one.device, one.boot, one.seq, one.ts)
        costs.append((time.perf_counter_ns() - before) / 1_000 / len(one.seq))
    return statistics.median(costs)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))

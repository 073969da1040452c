"""What windows cost, in CPU time: ns a reading with everything closed, µs a closed row for the coarser tiers.

The reference in the same run is the least that plain Python could do: a dict of lists, and `math.fsum` at the end,
without lateness, tiers or a p95.
"""

import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from edge_gateway.columns.frame import Frame
from edge_gateway.store.line_protocol import prefix, render_windows
from edge_gateway.windows.closed import Closed
from edge_gateway.windows.open_windows import Windows

DEVICES = 10_000
METRICS = 5
WINDOW = 10_000
START = 1_760_000_000_000 // 3_600_000 * 3_600_000
BUDGET = 16_384


def frames(seconds: int, messages: int) -> list[Frame]:
    """10,000 devices in turn at 1 Hz, 2 % of their messages up to 1.5 s behind."""
    random = np.random.default_rng(1)
    order, made = random.permutation(DEVICES), []
    rows = np.repeat(np.arange(messages), METRICS)
    none = np.empty(0, np.int64)
    for at in range(0, DEVICES * seconds, messages):
        device = order[(at + np.arange(messages)) % DEVICES]
        ts = START + (at + np.arange(messages)) * 1000 // DEVICES
        ts -= np.where(random.random(messages) < 0.02, random.integers(0, 1500, messages), 0)
        made.append(
            Frame(
                arrival=int(ts.max()),
                device=device,
                boot=np.ones(messages, np.int64),
                seq=np.full(messages, at // DEVICES),
                ts=ts,
                at=ts,
                backlog=np.zeros(messages, np.bool_),
                row=rows,
                series=(device[:, None] * METRICS + np.arange(METRICS)).ravel(),
                value=np.round(random.normal(20, 5, messages * METRICS), 2),
                quality=np.full(messages * METRICS, 1000, np.uint16),
                state_row=none,
                state_series=none,
                state_code=none,
            )
        )
    return made


def windows(every: Sequence[int], p95: Sequence[str] = ()) -> Windows:
    series = np.arange(DEVICES * METRICS)
    registry = SimpleNamespace(
        series_device=series // METRICS,
        series_metric=series % METRICS,
        series_is_state=np.zeros(len(series), np.bool_),
        series_epoch=0,
        metric_names=[f"m{number}" for number in range(METRICS)],
    )
    return Windows(
        every,
        allowed_lateness_ms=2_000,
        idle_close_ms=30_000,
        max_future_skew_ms=300_000,
        p95_metrics=p95,
        series=registry,
    )


def run(open_windows: Windows, batches: Sequence[Frame]) -> tuple[list[float], list[Closed]]:
    """Return the seconds of each batch, and all that closed."""
    took, closed = [], []
    for batch in batches:
        start = time.thread_time()
        open_windows.add(batch, listening_ms=batch.arrival - START)
        closed.append(open_windows.close(max(BUDGET, 4 * batch.rows)))
        took.append(time.thread_time() - start)
    return took, closed


def plain(batches: Sequence[Frame]) -> float:
    start = time.thread_time()
    held: dict[tuple[int, int], list[tuple[int, float]]] = defaultdict(list)
    for batch in batches:
        ts = batch.ts[batch.row].tolist()
        for series, at, value in zip(batch.series.tolist(), ts, batch.value.tolist(), strict=True):
            held[series, at // WINDOW].append((at, value))
    for readings in held.values():
        values = [value for _, value in readings]
        (math.fsum(values), min(values), max(values), min(readings), max(readings))
    return time.thread_time() - start


def best(rounds: int, measure: Callable[[], float]) -> float:
    return min(measure() for _ in range(rounds))


def measure(rounds: int = 3) -> dict[str, Any]:
    """Return costs; `ns_a_reading` and the like are the best of `rounds`, `worst_batch_ms` is of one run."""
    batches = frames(44, 1_000)
    readings = sum(len(batch.row) for batch in batches)
    told: dict[str, Any] = {"readings": readings, "readings_a_window": 10}

    def cost(every: Sequence[int], p95: Sequence[str] = ()) -> float:
        return best(rounds, lambda: sum(run(windows(every, p95), batches)[0])) / readings * 1e9

    base = told["ns_a_reading"] = cost([WINDOW])
    tiers = cost([WINDOW, 2 * WINDOW, 4 * WINDOW])
    rows = 4 * DEVICES * METRICS
    told["us_a_base_row_for_two_coarser_tiers"] = (tiers - base) * readings / rows / 1e3
    told["ns_a_reading_with_p95_of_one_metric"] = cost([WINDOW], ["m0"])
    told["plain_python_ns_a_reading"] = best(rounds, lambda: plain(batches)) / readings * 1e9
    took, closed = run(windows([WINDOW, 2 * WINDOW]), batches)
    told["worst_batch_ms"], told["median_batch_ms"] = max(took) * 1e3, sorted(took)[len(took) // 2] * 1e3
    told["us_a_small_batch"] = {size: small_batch(size) for size in (1, 10, 50)}
    told["bytes_a_reading_in_a_checkpoint"] = bytes_held(batches)
    told["us_a_line"] = line_cost(rounds, closed)
    return told


def small_batch(messages: int) -> float:
    """Return the median cost of a batch of so many messages on a quiet gateway, in µs."""
    took, _ = run(windows([WINDOW, 6 * WINDOW]), frames(1, messages)[:2_000])
    return sorted(took)[len(took) // 2] * 1e6


def bytes_held(batches: Sequence[Frame]) -> float:
    open_windows = windows([WINDOW])
    run(open_windows, batches[:90])
    logs = [log for _, log in open_windows.snapshot()["open"]["logs"]]
    columns = [column for log in logs for run in (*log["runs"], log["tail"]) for column in run]
    return float(sum(column.nbytes for column in columns)) / open_windows.open_readings


def line_cost(rounds: int, closed: Sequence[Closed]) -> float:
    block = max((part.block for one in closed for part in one.numbers), key=len)
    numbers = block.rows["series"].tolist()
    labels = [prefix("sensor", {"device": f"d{n}", "metric": "m", "site": "s"}) for n in numbers]

    def render() -> float:
        start = time.thread_time()
        render_windows(labels, block)
        return time.thread_time() - start

    return best(5 * rounds, render) / len(block) * 1e6


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))

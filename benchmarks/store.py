"""What the store costs a window at a trickle: CPU of its thread, bytes written, bytes kept.

10,000 devices with 5 metrics send a message each every 10 s, and each reading is a window of its own: batches of 30
messages close 150 windows. A sink takes the lines as they come; at the end what was stored is cut anew. Bytes written
are those the kernel counts for the process; bytes kept are the pages in use after the outbox was emptied. It runs in
`TMPDIR`; on a file system in memory nothing is written.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fold import by_figure
from benchmarks.measure import Comparison, resident_bytes, written_bytes
from edge_gateway.records.store_effects import ClosedWindows, SeriesName, StoreEffects
from edge_gateway.store.database import Record, Store
from edge_gateway.store.outbox import SinkBudget
from edge_gateway.store.retention import used_bytes
from edge_gateway.store.settings import StoredTier, StoreSettings
from edge_gateway.windows.reduce import Readings, rows_of_values

DEVICES = 10_000
METRICS = 5
MESSAGES = 30
"""Messages a batch."""
GROUPED = 25
"""Records in one transaction of the store's thread."""
EVERY = 10_000
ROUNDS = 6
"""Windows of each series."""
START = 1_760_000_000_000 // EVERY * EVERY
SETTINGS = StoreSettings((StoredTier(EVERY, "telemetry", 0),), sinks=(SinkBudget("influx", 1 << 30),))

Took = dict[str, float]
"""CPU seconds by stage."""


def add_arguments(_: argparse.ArgumentParser) -> None:
    """There are none."""


def run(arguments: argparse.Namespace) -> Iterator[Comparison]:
    yield by_figure("store", [measure() for _ in range(arguments.rounds)])


def records() -> Iterator[Record]:
    """Yield the records of the fleet; those of the first round define the series."""
    random = np.random.default_rng(1)
    number = 0
    for turn in range(ROUNDS):
        for first in range(0, DEVICES, MESSAGES):
            devices = np.arange(first, min(first + MESSAGES, DEVICES))
            number += 1
            yield number, [_effects(turn, devices, random)]


def _effects(turn: int, devices: np.ndarray[Any, Any], random: np.random.Generator) -> StoreEffects:
    series = (devices[:, None] * METRICS + np.arange(METRICS)).ravel()
    ts = START + turn * EVERY + np.repeat(devices, METRICS) * EVERY // DEVICES
    value = np.round(random.normal(20, 5, len(series)), 2)
    quality = np.full(len(series), 1000, np.uint16)
    block = rows_of_values(EVERY, Readings(series, ts, value, quality))
    closed = ClosedWindows(0, block, np.zeros(len(series), np.int64))
    names = tuple(map(_name, series.tolist())) if turn == 0 else ()
    return StoreEffects(int(ts[-1]) + EVERY, names, windows=(closed,))


def _name(series: int) -> SeriesName:
    device, metric = divmod(series, METRICS)
    return SeriesName(series, 0, f"freezer-{device:05}", f"metric_{metric}", "berlin", "freezer", {})


def measure() -> dict[str, float]:
    """Return the costs a window of all rounds but the first, in which the series are defined."""
    with tempfile.TemporaryDirectory(prefix="edge-fleet-bench-") as name:
        store = Store.open(Path(name) / "store.sqlite", SETTINGS, floor=0, at=START)
        took: Took = {}
        waiting = list(records())
        warm = len(waiting) // ROUNDS
        for at in range(0, warm, GROUPED):
            _store(store, waiting[at : min(at + GROUPED, warm)], {})
        before, kept = written_bytes(os.getpid()), used_bytes(store._db)
        for at in range(warm, len(waiting), GROUPED):
            _store(store, waiting[at : at + GROUPED], took)
        while _timed(took, "compact", store.compact):
            pass
        _timed(took, "sync", store.sync)
        store.close()
        windows = (ROUNDS - 1) * DEVICES * METRICS
        written = written_bytes(os.getpid()) - before
        store = Store.open(Path(name) / "store.sqlite", SETTINGS, floor=0, at=START)
        kept = used_bytes(store._db) - kept
        store.close()
    return {
        **{f"{stage}, µs a window": seconds / windows * 1e6 for stage, seconds in took.items()},
        "all, µs a window": sum(took.values()) / windows * 1e6,
        "written, bytes a window": written / windows,
        "kept, bytes a window": kept / windows,
        "resident, MB": resident_bytes(os.getpid()) / 1e6,
    }


def _store(store: Store, some: list[Record], took: Took) -> None:
    _timed(took, "apply", lambda: store.apply(some))
    while (parcel := _timed(took, "take", lambda: store.take("influx"))) is not None:
        _timed(took, "done", lambda: store.done(parcel))


def _timed(took: Took, stage: str, do: Callable[[], Any]) -> Any:
    begun = time.thread_time()
    result = do()
    took[stage] = took.get(stage, 0.0) + time.thread_time() - begun
    return result

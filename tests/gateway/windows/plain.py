"""What windows must hold, in plain Python; and frames to feed them with."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from edge_gateway.columns.frame import Frame
from edge_gateway.records.window_block import Rows
from edge_gateway.windows.closed import Closed
from edge_gateway.windows.coarse_tier import CoarseTiers
from edge_gateway.windows.ever_closed import EverClosed
from edge_gateway.windows.gaps import TimeGaps
from edge_gateway.windows.merge import MergeBlocks, sums
from edge_gateway.windows.tiers import Tier

T0 = 1_760_000_000_000 // 3_600_000 * 3_600_000
METRICS = ("temperature", "humidity", "door")
"""Of every device, in this order; the last one is a text."""
DOOR = 2
TEXTS = ("shut", "open", "ajar")


class Reading(NamedTuple):
    """One value of one device; `value` of the door is a code."""

    device: int
    ts: int
    metric: int
    value: float
    quality: int = 1000

    @property
    def series(self) -> int:
        return self.device * len(METRICS) + self.metric


class Fleet:
    """Numbers of devices and series as the registry would give them."""

    def __init__(self, devices: int) -> None:
        number = np.arange(devices * len(METRICS))
        self.series_device = number // len(METRICS)
        self.series_metric = number % len(METRICS)
        self.series_is_state = np.equal(self.series_metric, DOOR)
        self.series_epoch = 0
        self.metric_names: Sequence[str] = METRICS


def plain_tier(every: int, dtype: np.dtype[Any], merge: MergeBlocks) -> Tier:
    """Return a coarser tier of a fleet of ten devices."""
    return Tier(dtype, merge, EverClosed(every), Fleet(10))


def plain_coarse_tiers(*every: int) -> CoarseTiers:
    """Return the coarser tiers of these lengths, of a fleet of ten devices none of which was offline yet."""
    gaps = TimeGaps(1, 0, 0)
    gaps.grow(10)
    return CoarseTiers([EverClosed(length) for length in every], Fleet(10), gaps)


def frame_of(readings: Sequence[Reading], arrival: int = T0) -> Frame:
    """Return a frame with a row for each reading."""
    rows = np.arange(len(readings))
    texts = np.array([reading.metric == DOOR for reading in readings], np.bool_)
    series = np.array([reading.series for reading in readings], np.int64)
    value = np.array([reading.value for reading in readings], np.float64)
    return Frame(
        arrival=arrival,
        device=np.array([reading.device for reading in readings], np.int64),
        boot=np.ones(len(readings), np.int64),
        seq=rows,
        ts=(ts := np.array([reading.ts for reading in readings], np.int64)),
        at=ts,
        backlog=np.zeros(len(readings), np.bool_),
        row=rows[~texts],
        series=series[~texts],
        value=value[~texts],
        quality=np.array([reading.quality for reading in readings], np.uint16)[~texts],
        state_row=rows[texts],
        state_series=series[texts],
        state_code=value[texts].astype(np.int64),
    )


Window = tuple[int, int, int]
"""(every, series, start)"""


class Plain(NamedTuple):
    """One window of numbers."""

    values: int
    sum: float
    min: float
    max: float
    first: float
    first_at: int
    last: float
    last_at: int
    quality: int


class PlainState(NamedTuple):
    """One window of texts."""

    last: int
    last_at: int
    first: int
    first_at: int
    changes: int


def plain_windows(readings: Iterable[Reading], every_ms: Sequence[int]) -> dict[Window, Plain | PlainState]:
    """Return every window of every tier."""
    held: dict[Window, list[Reading]] = defaultdict(list)
    for reading in readings:
        for every in every_ms:
            held[every, reading.series, reading.ts // every * every].append(reading)
    return {window: _plain(sorted(of_window, key=_order)) for window, of_window in held.items()}


def _order(reading: Reading) -> tuple[int, float]:
    return reading.ts, reading.value


def _plain(readings: list[Reading]) -> Plain | PlainState:
    first, last = readings[0], readings[-1]
    values = [reading.value for reading in readings]
    if first.metric == DOOR:
        changes = sum(a != b for a, b in pairwise(values))
        return PlainState(int(last.value), last.ts, int(first.value), first.ts, changes)
    quality = sum(reading.quality for reading in readings)
    ends = (first.value, first.ts, last.value, last.ts)
    return Plain(len(values), math.fsum(values), min(values), max(values), *ends, quality)


def windows_of(closed: Iterable[Closed], every_ms: Sequence[int]) -> dict[Window, Plain | PlainState]:
    """Return closed windows in the plain form; no window may be closed twice."""
    found: dict[Window, Plain | PlainState] = {}
    for part in closed:
        for tier, block, _ in part.numbers:
            totals = sums(block.rows, block.tails).tolist()
            add_once(found, every_ms[tier], block.rows, plain_rows(block.rows, totals))
        for tier, block, _ in part.states:
            add_once(found, every_ms[tier], block.rows, plain_state_rows(block.rows))
    return found


def add_once(
    found: dict[Window, Plain | PlainState], every: int, rows: Rows, plain: Sequence[Plain | PlainState]
) -> None:
    keys = [(every, *key) for key in zip(rows["series"].tolist(), rows["start"].tolist(), strict=True)]
    assert not found.keys() & set(keys)
    assert len(set(keys)) == len(keys)
    found |= dict(zip(keys, plain, strict=True))


def plain_rows(rows: Rows, totals: list[float]) -> list[Plain]:
    names = ("min", "max", "first", "first_at", "last", "last_at", "quality")
    columns = (rows["count"].tolist(), totals, *(rows[name].tolist() for name in names))
    return [Plain(*row) for row in zip(*columns, strict=True)]


def plain_state_rows(rows: Rows) -> list[PlainState]:
    columns = (rows[name].tolist() for name in PlainState._fields)
    return [PlainState(*row) for row in zip(*columns, strict=True)]

"""Effects of a small fleet, as the fold would leave them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_gateway.records.store_effects import (
    ClosedWindows,
    LateStates,
    LateValues,
    SeriesName,
    StoreEffects,
    TextName,
)
from edge_gateway.store.outbox import SinkBudget
from edge_gateway.store.settings import StoredTier, StoreSettings
from edge_gateway.windows.reduce import Readings, rows_of_states, rows_of_values

MINUTE = 60_000
DAY = 86_400_000
T0 = 1_700_000_040_000
"""A time at which a window of the base tier starts, and none of the coarser ones."""
TIERS = (
    StoredTier(MINUTE, "telemetry", 30 * DAY),
    StoredTier(10 * MINUTE, "telemetry_10m", 180 * DAY),
    StoredTier(60 * MINUTE, "telemetry_1h", 730 * DAY),
)
INFLUX = SinkBudget("influx", 1 << 30)
SETTINGS = StoreSettings(TIERS, forwarded=("region",), sinks=(INFLUX,))

Reading = tuple[int, int, float]
"""series, ts, value"""


def name(series: int, version: int = 0, **tags: str) -> SeriesName:
    return SeriesName(series, version, f"dev-{series}", "temperature", "berlin", "freezer", tags)


def columns(readings: Sequence[Reading]) -> Readings:
    series, ts, value = zip(*readings, strict=True) if readings else ((), (), ())
    quality = np.full(len(readings), 1000, np.uint16)
    return Readings(np.array(series, np.int64), np.array(ts, np.int64), np.array(value, np.float64), quality)


def closed(tier: int, readings: Sequence[Reading], version: int = 0, **options: Any) -> ClosedWindows:
    p95 = np.ones(1000, np.bool_) if options.pop("p95", False) else np.zeros(0, np.bool_)
    windows = rows_of_values(TIERS[tier].every, columns(readings), p95)
    versions = np.full(len(windows), version, np.int64)
    return ClosedWindows(tier, windows, versions, **options)


def closed_states(tier: int, readings: Sequence[Reading], **options: Any) -> ClosedWindows:
    windows = rows_of_states(TIERS[tier].every, columns(readings))
    return ClosedWindows(tier, windows, np.zeros(len(windows), np.int64), **options)


def late(readings: Sequence[Reading], tiers: int = 0b111, version: int = 0) -> LateValues:
    given = columns(readings)
    versions, bits = np.full(len(given), version, np.int64), np.full(len(given), tiers, np.int64)
    nth = np.arange(len(given))
    return LateValues(given.series, versions, given.ts, given.value, given.quality, bits, nth)


def late_states(readings: Sequence[Reading], tiers: int = 0b1) -> LateStates:
    given = columns(readings)
    versions, bits = np.zeros(len(given), np.int64), np.full(len(given), tiers, np.int64)
    return LateStates(given.series, versions, given.ts, given.value.astype(np.int64), bits)


def named(series: Sequence[int] = range(5), at: int = T0, **more: Any) -> StoreEffects:
    """Effects that define these series, and whatever else is given."""
    return StoreEffects(at, tuple(name(number, region="eu") for number in series), **more)


def texts(*words: str) -> tuple[TextName, ...]:
    return tuple(TextName(code, word) for code, word in enumerate(words))

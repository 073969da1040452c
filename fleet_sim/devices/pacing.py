"""When each device is due, how late the generator ran, and whether its figures can be believed.

Deadlines are absolute (`phase + n * interval`), so a slow moment never shifts what follows it. Everything
here is columns over the devices of one group and plain functions of their arguments: no clock is read.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

__all__ = [
    "Due",
    "Lateness",
    "Pacer",
    "Percentiles",
    "SimClock",
    "Verdict",
    "judge",
]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Uniform = Callable[[Ints, Ints], Floats]
"""(device rows, ticks) -> numbers in [0, 1); the same arguments always give the same numbers."""

LATE_US = 100_000
"""A message sent later than this after its intended time is an overrun."""

OVERRUN_SHARE = 0.01
LOOP_LAG_US = 250_000


class Due(NamedTuple):
    """What falls due in one look ahead, in time order: `rows` index the group's devices, `at` is in ms."""

    rows: Ints
    ticks: Ints
    at: Ints


@dataclass(frozen=True, slots=True)
class SimClock:
    """Simulated time as a function of monotonic time; `speed` simulated seconds pass in one real second."""

    origin_mono: float
    origin_ms: float
    speed: float = 1.0

    def at(self, mono: float) -> float:
        """Return the simulated time in milliseconds since 1970 at `mono` (seconds)."""
        return self.origin_ms + (mono - self.origin_mono) * 1000.0 * self.speed

    def mono(self, at_ms: float) -> float:
        """Return the monotonic time in seconds at which it is `at_ms`."""
        return self.origin_mono + (at_ms - self.origin_ms) / (1000.0 * self.speed)


class Pacer:
    """The deadlines of one group's devices.

    `first_ms` says when each device is due first, `every_ms` the interval. `jitter` (0 … 1) moves a single
    deadline by up to that share of the interval in either direction without moving those after it. With
    `poisson` the gaps between deadlines are drawn from an exponential distribution with the interval as its
    mean, from the first on. Deadlines before `since_ms` (one value for each device) are skipped, not moved.
    """

    def __init__(
        self,
        first_ms: npt.ArrayLike,
        every_ms: int,
        *,
        uniform: Uniform,
        jitter: float = 0.0,
        poisson: bool = False,
        since_ms: Floats | float = -np.inf,
    ) -> None:
        self.every_ms = every_ms
        self._uniform = uniform
        self._poisson = poisson
        self._swing = 0.0 if poisson else jitter * every_ms
        # In `grid` a device's deadlines stand without their jitter, in `next` with it.
        self._grid = np.array(first_ms, dtype=np.float64)
        self._tick = np.zeros(self._grid.size, dtype=np.int64)
        self._next = self._jittered(np.arange(self._grid.size, dtype=np.int64))
        while (early := np.flatnonzero(self._next < since_ms)).size:
            self._advance(early)

    def _gaps(self, rows: Ints, ticks: Ints) -> Floats:
        if not self._poisson:
            return np.full(rows.size, float(self.every_ms))
        gaps: Floats = np.round(-np.log1p(-self._uniform(rows, ticks)) * self.every_ms)
        return np.maximum(1.0, gaps)

    def _jittered(self, rows: Ints) -> Floats:
        grid = self._grid[rows]
        if self._swing == 0.0:
            return grid
        moved: Floats = grid + np.round((2.0 * self._uniform(rows, self._tick[rows]) - 1.0) * self._swing)
        return moved

    def _advance(self, rows: Ints) -> None:
        """Move devices on to their next deadline, at least 1 ms after the last."""
        earliest = self._next[rows] + 1
        self._grid[rows] += self._gaps(rows, self._tick[rows])
        self._tick[rows] += 1
        self._next[rows] = np.maximum(self._jittered(rows), earliest)

    def take(self, horizon_ms: float) -> Due:
        """Take one deadline of every device that has one before `horizon_ms`, in time order.

        Call it until nothing is due: deadlines of one device come in the order of their ticks. Devices that
        share a time keep the order of their rows.
        """
        rows = np.flatnonzero(self._next < horizon_ms)
        ticks, at = self._tick[rows], self._next[rows]
        self._advance(rows)
        order = np.argsort(at, kind="stable")
        return Due(rows[order], ticks[order], at[order].astype(np.int64))

    def next_at(self) -> float:
        """Return the earliest deadline in ms; infinity where there is no device."""
        return float(self._next.min()) if self._next.size else np.inf


@dataclass(frozen=True, slots=True)
class Percentiles:
    """A distribution of durations in microseconds."""

    count: int
    p50: float
    p90: float
    p95: float
    p99: float
    most: float

    @classmethod
    def of(cls, values: npt.ArrayLike) -> Self:
        """Nearest-rank percentiles of `values` (microseconds); zeros where there are none."""
        ordered = np.sort(np.asarray(values, dtype=np.float64))
        if ordered.size == 0:
            return cls(0, 0.0, 0.0, 0.0, 0.0, 0.0)
        p50, p90, p95, p99 = (
            float(ordered[max(0, int(np.ceil(share * ordered.size)) - 1)])
            for share in (0.50, 0.90, 0.95, 0.99)
        )
        return cls(ordered.size, p50, p90, p95, p99, float(ordered[-1]))


_BUCKETS = 2048
_GROWTH = 1.01


class Lateness:
    """Durations in microseconds, counted in buckets that grow by 1 %; count and maximum are exact."""

    def __init__(self) -> None:
        self._buckets = np.zeros(_BUCKETS, dtype=np.int64)
        self.count = 0
        self.most = 0.0

    def add(self, values: npt.ArrayLike) -> None:
        """Count `values` (microseconds; below 1 counts as 1)."""
        column = np.maximum(np.asarray(values, dtype=np.float64), 1.0)
        if column.size == 0:
            return
        index = np.minimum((np.log(column) / np.log(_GROWTH)).astype(np.int64), _BUCKETS - 1)
        self._buckets += np.bincount(index, minlength=_BUCKETS)
        self.count += column.size
        self.most = max(self.most, float(column.max()))

    def percentile(self, share: float, *, endless: int = 0) -> float:
        """Return the nearest-rank percentile in microseconds, at most 1 % too high.

        `endless` more durations have no end yet: infinity where the percentile falls on one of them.
        """
        if self.count + endless == 0:
            return 0.0
        rank = max(1, int(np.ceil(share * (self.count + endless))))
        if rank > self.count:
            return math.inf
        bucket = int(np.searchsorted(np.cumsum(self._buckets), rank))
        return min(self.most, _GROWTH ** (bucket + 1))

    def percentiles(self) -> Percentiles:
        p50, p90, p95, p99 = (self.percentile(share) for share in (0.50, 0.90, 0.95, 0.99))
        return Percentiles(self.count, p50, p90, p95, p99, self.most)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the generator kept its own pace; if it did not, its figures say nothing about the broker."""

    saturated: bool
    reason: str = ""


def judge(*, sent: int, overruns: int, loop_lag_p99_us: float) -> Verdict:
    """Decide from what was sent, how much of it late, and the p99 of the event loop's lag."""
    if sent and overruns > max(10.0, OVERRUN_SHARE * sent):
        share = 100.0 * overruns / sent
        return Verdict(
            saturated=True,
            reason=f"{overruns} of {sent} messages ({share:.1f} %) left more than {LATE_US // 1000} ms late",
        )
    if loop_lag_p99_us > LOOP_LAG_US:
        return Verdict(
            saturated=True,
            reason=f"the event loop woke {loop_lag_p99_us / 1000:.0f} ms late (p99)",
        )
    return Verdict(saturated=False)

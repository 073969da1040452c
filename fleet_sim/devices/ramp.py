"""The ramp: how many connections a rate lets through at once, and when each device is switched on.

A device measures from the moment its turn in the ramp comes, connected or not, so that what a run measures depends on
the scenario alone and not on how quickly the broker answered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["ConnectRate", "burst_of", "switched_on"]

BURST_SECONDS = 0.05
"""The throttle lets this much of its rate through at once, so that a ramp is smooth."""


class ConnectRate(NamedTuple):
    """From `since` (seconds after the start of the run) on, `rate` devices a second are connected."""

    since: float
    rate: float


def burst_of(rate: float) -> int:
    """Return how many connections are made at once at `rate` a second."""
    return max(1, round(rate * BURST_SECONDS))


def switched_on(devices: int, ramps: Sequence[ConnectRate]) -> npt.NDArray[np.float64]:
    """Return when each device is switched on, in seconds after the start; `ramps` are in order, the first at 0."""
    times: list[float] = []
    ends = [*(ramp.since for ramp in ramps[1:]), math.inf]
    for (since, rate), end in zip(ramps, ends, strict=True):
        at, burst = since, burst_of(rate)
        while at < end and len(times) < devices:
            times.extend([at] * burst)
            at += burst / rate
    return np.array(times[:devices], dtype=np.float64)

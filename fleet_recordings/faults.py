"""Faults of sensors as arithmetic: what is reported in place of the true values.

The simulator's faults and those laid over a recording are computed here, so that a kind means the same in both.
Values, times and draws are arrays of the same shape; times in ms since the fault began.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Column = NDArray[np.float64]

__all__ = ["DEFAULT_SIZES", "FALSIFIED", "KINDS", "OF_DURATION", "biased", "drifted", "mixed_up", "noisy"]

_HOUR_MS: Final = 3_600_000


def biased(values: Column, by: float) -> Column:
    """Return values with a constant error, in the unit of the metric."""
    return values + by


def drifted(values: Column, per_hour: float, elapsed_ms: Column | NDArray[np.int64] | float) -> Column:
    """Return values with an error that grows by `per_hour`, in the unit of the metric."""
    return values + per_hour * (elapsed_ms / _HOUR_MS)


def noisy(values: Column, deviation: float, normal: Column) -> Column:
    """Return values with more noise: `normal` draws of standard deviation 1, times `deviation`."""
    return values + deviation * normal


def mixed_up(values: Column, scale: float, offset: float) -> Column:
    """Return values in another unit than announced."""
    return values * scale + offset


class Struck(NamedTuple):
    """The readings that a fault strikes: true values, ms since its begin, and normal draws."""

    values: Column
    elapsed_ms: Column
    normal: Column


FALSIFIED: Final[dict[str, Callable[[Struck, float], Column]]] = {
    "spike": lambda struck, by: biased(struck.values, by),
    "bias": lambda struck, by: biased(struck.values, by),
    "drift": lambda struck, per_hour: drifted(struck.values, per_hour, struck.elapsed_ms),
    "noise": lambda struck, deviation: noisy(struck.values, deviation, struck.normal),
    "unit_mix_up": lambda struck, scale: mixed_up(struck.values, scale, 32.0),
    "out_of_range": lambda struck, value: biased(struck.values * 0.0, value),
    "missing_code": lambda struck, value: biased(struck.values * 0.0, value),
}
"""What each kind reports, of a size: `spike` strikes one reading, the others all of their time."""

OF_DURATION: Final = ("stuck", "dropout")
"""Kinds without a size: how bad they are is how long they last."""

DEFAULT_SIZES: Final = {"unit_mix_up": 1.8, "missing_code": -200.0}
"""Kinds that need no size, and what it is then."""

KINDS: Final = tuple(sorted([*FALSIFIED, *OF_DURATION]))
"""All kinds that can be laid over a recording."""

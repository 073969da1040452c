"""What every model of a metric has in common."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, WithJsonSchema

from fleet_config import spelling
from fleet_config.durations import Duration, Percent
from fleet_config.explain import wrong_kind
from fleet_config.validation import Strict


def _as_pair(value: object) -> object:
    every = value if isinstance(value, (list, tuple)) else (value, value)
    if len(every) != 2 or not all(map(_is_number, every)):  # noqa: PLR2004 - a pair
        raise wrong_kind("a number or [low, high]")
    return tuple(every)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


Spread = Annotated[
    tuple[float, float],
    BeforeValidator(_as_pair),
    WithJsonSchema(
        {
            "description": "a number, or [low, high]: each device draws its own between them",
            "anyOf": [
                {"type": "number"},
                {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
            ],
        }
    ),
]
MetricName = Annotated[str, spelling.METRIC]


class Excursions(Strict):
    """How often a metric goes near its thresholds: shares of the time."""

    warning: Percent = 0.15
    critical: Percent = 0.05
    stay: Duration = 60_000
    """how long an episode lasts"""
    reach: tuple[float, float] = (0.95, 1.1)
    """the peak as a share of the way from the mean to the threshold: [1, 1.1] always crosses"""


class Metric(Strict):
    """What every model has besides its own keys."""

    movable: ClassVar[tuple[str, ...]] = ()
    """settings that a command can move, such as the `setpoint` of a thermal metric"""
    noise: float = Field(default=0.0, ge=0)
    """standard deviation of the sensor's noise"""
    precision: float | None = Field(default=None, gt=0)
    """readings are multiples of it"""
    unit: str = ""
    label: str = ""
    min: float | None = None
    """announced in the birth; the signal itself stays within, faults do not"""
    max: float | None = None
    warning: float | None = None
    critical: float | None = None
    every: Duration | None = None
    """sent less often than the device sends: in the first message of each such span of time"""
    quality: tuple[float, float] | None = None
    """the sensor's own doubt: each reading carries a quality drawn between these"""
    excursions: Excursions | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """The metrics of the same device that this one is computed from."""
        return ()

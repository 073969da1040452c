"""One metric of a group: the model, and what its sensor makes of it.

model -> excursions -> noise -> limits -> faults -> precision
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from fleet_sim.signals.computing import signal_of
from fleet_sim.signals.disturbance import Disturbance, Reading
from fleet_sim.signals.excursion import Excursion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet_sim.noise import F8
    from fleet_sim.signals.metric import Metric
    from fleet_sim.signals.moment import Devices, Moment, Signal


class Channel:
    """One metric of all devices of a group."""

    def __init__(self, name: str, metric: Metric, devices: Devices) -> None:
        self.name = name
        self.every = metric.every
        self.signal: Signal = signal_of(metric, devices, name)
        self.words: tuple[str, ...] = getattr(self.signal, "words", ())
        self._excursion = Excursion(metric, devices, name) if metric.excursions is not None else None
        self._low, self._high = metric.min, metric.max
        self._round = Rounding(metric.precision) if metric.precision is not None else None
        self._quality = metric.quality
        self._doubt = devices.stream(f"{name}/quality")
        self._disturbances: list[Disturbance] = []

    def add(self, disturbance: Disturbance) -> None:
        """Let something act on this metric from now on."""
        self._disturbances.append(disturbance)

    def sample(self, now: Moment) -> Reading:
        """What is reported; the true value is left in `now.raw`."""
        for each in self._disturbances:
            each.disturb(self.signal, now)
        value = self.signal.sample(now)
        if self._excursion is not None:
            value = self._excursion.applied(value, now.rows, now.at_ms)
        now.raw[self.name] = value
        noise = now.noise.get(self.name)
        if noise is not None:
            value = value + noise
        if self._low is not None or self._high is not None:
            value = np.clip(value, self._low, self._high)
        reading = Reading(value)
        for each in self._disturbances:
            each.falsify(reading, now)
        if self._round is not None:
            reading.value = self._round(reading.value)
        return reading

    def quality(self, now: Moment) -> list[float] | None:
        """One quality a reading, two decimals; None where the sensor doubts nothing."""
        if self._quality is None:
            return None
        low, high = self._quality
        drawn = low + (high - low) * self._doubt.uniform(now.rows, now.ticks)
        values: list[float] = np.round(drawn, 2).tolist()
        return values

    def set(self, row: int, setting: str, value: float | str, at_ms: int) -> tuple[int, ...]:
        """Move a setting of one device; the numbers of the faults that this repaired. ValueError: why not."""
        column = self.signal.settings.get(setting)
        if column is None:
            raise ValueError(f"{self.name} has no setting '{setting}'")
        column[row] = self._number(setting, value)
        return tuple(each.number for each in self._disturbances if each.repaired_by(row, setting, at_ms))

    def episodes(self, from_ms: int, until_ms: int) -> Sequence[Any]:
        """The excursions of this metric that begin in a span of time."""
        return [] if self._excursion is None else list(self._excursion.episodes(from_ms, until_ms))

    def as_list(self, values: F8) -> list[Any]:
        """Return Python values for the wire: words for codes, floats otherwise."""
        plain: list[Any] = values.tolist()
        return [self.words[int(code)] for code in plain] if self.words else plain

    def _number(self, setting: str, value: float | str) -> float:
        if self.words:
            if value not in self.words:
                raise ValueError(f"{self.name} cannot be {value!r}; one of {', '.join(self.words)}")
            return float(self.words.index(str(value)))
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"{self.name}.{setting} must be a number, not {value!r}")
        return float(value)


class Rounding:
    """Readings as multiples of a step, in as few decimals as the step has."""

    def __init__(self, step: float) -> None:
        exponent = Decimal(repr(step)).as_tuple().exponent
        self._decimals = -exponent if isinstance(exponent, int) else 0
        self._step = None if math.isclose(step, 10.0**-self._decimals, rel_tol=1e-12) else step

    def __call__(self, values: F8) -> F8:
        multiples = values if self._step is None else np.rint(values / self._step) * self._step
        return np.round(multiples, self._decimals) + 0.0  # no -0.0 on the wire

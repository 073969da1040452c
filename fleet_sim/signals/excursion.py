"""Excursions: episodes in which a metric goes near its warning or critical threshold.

Time is cut into spans of `stay`, each device by its own offset; what a device does in a span is one draw. So
an episode is known before it happens and after it is over, and is a label in the ledger like a fault.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fleet_sim.noise import counted, mixed_keys, unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet_sim.noise import F8, I8
    from fleet_sim.signals.metric import Metric
    from fleet_sim.signals.moment import Devices

_RISE = 0.05  # of the span, and as much to fall


class Episode(NamedTuple):
    """One excursion of one device; times in ms since 1970, `peak` as a share of the way to the threshold."""

    row: int
    metric: str
    level: str
    from_ms: int
    until_ms: int
    peak: float


class Excursion:
    """The excursions of one metric of all devices of a group."""

    def __init__(self, metric: Metric, devices: Devices, name: str) -> None:
        """`metric` has excursions, warning and critical (the scenario's checks see to it)."""
        shape = metric.excursions
        if shape is None or metric.warning is None or metric.critical is None:
            raise ValueError(f"{name} has no excursions, or no thresholds to go to")
        self._name = name
        self._start_ms = devices.start_ms
        self._levels = np.array([metric.critical, metric.warning])
        self._critical, self._any = shape.critical, shape.critical + shape.warning
        self._stay = shape.stay
        self._low, self._reach = shape.reach[0], shape.reach[1] - shape.reach[0]
        self._which = mixed_keys(devices.keys, f"{name}/excursion")
        self._how_far = mixed_keys(devices.keys, f"{name}/reach")
        self._offset = (devices.stream(f"{name}/offset").of_devices() * self._stay).astype(np.int64)

    def applied(self, value: F8, rows: I8, at_ms: I8) -> F8:
        """The values, moved towards a threshold where an episode is on."""
        shifted = at_ms + self._offset[rows]
        span = shifted // self._stay
        draw = unit(counted(self._which[rows], span))
        on = np.flatnonzero(draw < self._any)
        if not on.size:
            return value
        part = (shifted[on] - span[on] * self._stay) / self._stay
        envelope = np.minimum(np.minimum(part, 1 - part) / _RISE, 1.0)
        threshold = np.where(draw[on] < self._critical, *self._levels)
        moved = value.copy()
        moved[on] += (threshold - value[on]) * self._peaks(rows[on], span[on]) * envelope
        return moved

    def episodes(self, from_ms: int, until_ms: int) -> Iterator[Episode]:
        """Every episode that begins in [from_ms, until_ms); at the run's start also those that are on."""
        begin = max(from_ms, self._start_ms)
        if until_ms <= begin:
            return
        shifted = begin + self._offset
        first = shifted // self._stay if from_ms <= self._start_ms else -(-shifted // self._stay)
        spans = first[:, None] + np.arange((until_ms - begin) // self._stay + 2)
        begins = spans * self._stay - self._offset[:, None]
        draws = unit(counted(self._which[:, None], spans))
        rows, columns = np.nonzero((draws < self._any) & (begins < until_ms))
        at, draw = begins[rows, columns], draws[rows, columns]
        peaks = self._peaks(rows, spans[rows, columns])
        for row, start, drawn, peak in zip(rows, at, draw, peaks, strict=True):
            level = "critical" if drawn < self._critical else "warning"
            yield Episode(int(row), self._name, level, int(start), int(start) + self._stay, float(peak))

    def _peaks(self, rows: I8, spans: I8) -> F8:
        return self._low + self._reach * unit(counted(self._how_far[rows], spans))

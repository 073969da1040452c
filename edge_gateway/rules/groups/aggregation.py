"""Aggregates of groups, as columns: one value a group, of one value a device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edge_gateway.rules.language.analysis import is_condition

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_gateway.columns.frame import BoolColumn, FloatColumn, IntColumn
    from edge_gateway.rules.columns.observed import Observation
    from edge_gateway.rules.groups.device_values import DeviceValues
    from edge_gateway.rules.language.expression import Call


class Observed(NamedTuple):
    """What the devices of a rule have of the argument of an aggregate: NaN where it is unknown.

    `counted`: those that the aggregate is over.
    """

    value: FloatColumn
    counted: BoolColumn


class Aggregate:
    """One aggregate, compiled. `is_condition`: its argument is one, a column of 1, 0 and NaN."""

    def __init__(self, call: Call, observation: Observation) -> None:
        self.function = call.name
        self._argument = observation.operation
        self._needs = observation.awaited
        self.is_condition = is_condition(call.args[0])

    def observe(self, devices: DeviceValues) -> Observed:
        """What the devices have; a share is over those that are expected to send what it names."""
        value = np.broadcast_to(np.asarray(self._argument(devices), np.float64), len(devices.devices))
        if self.function != "share":
            return Observed(value, ~np.isnan(value))
        counted = np.ones(len(value), np.bool_)
        for metric in self._needs:
            counted &= devices.expected(metric)
        return Observed(value, counted)

    def over(self, observed: Observed, start: IntColumn) -> FloatColumn:
        """The aggregate of each group, which begins at `start` among the devices; no group is empty."""
        value, counted = observed
        if self.is_condition:
            holds = np.add.reduceat((counted & (value == 1)).astype(np.float64), start)
            return holds if self.function == "count" else _shared(holds, counted, start)
        return _FUNCTIONS[self.function](value, counted, start)


def _count(_: FloatColumn, counted: BoolColumn, start: IntColumn) -> FloatColumn:
    return np.add.reduceat(counted.astype(np.float64), start)


def _sum(value: FloatColumn, counted: BoolColumn, start: IntColumn) -> FloatColumn:
    total = np.add.reduceat(np.where(counted, value, 0.0), start)
    return np.where(_count(value, counted, start) > 0, total, np.nan)


def _avg(value: FloatColumn, counted: BoolColumn, start: IntColumn) -> FloatColumn:
    return _sum(value, counted, start) / np.maximum(_count(value, counted, start), 1.0)


def _shared(holds: FloatColumn, counted: BoolColumn, start: IntColumn) -> FloatColumn:
    every = _count(holds, counted, start)
    return np.where(every > 0, holds / np.maximum(every, 1.0), np.nan)


_FUNCTIONS: Final[dict[str, Callable[[FloatColumn, BoolColumn, IntColumn], FloatColumn]]] = {
    "avg": _avg,
    "sum": _sum,
    "count": _count,
    "min": lambda value, _, start: np.fmin.reduceat(value, start),
    "max": lambda value, _, start: np.fmax.reduceat(value, start),
}

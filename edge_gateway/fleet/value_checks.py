"""Check values: their kind, their quality, and the limits gateway.yaml sets for their metric."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from edge_gateway.columns.frame import BoolColumn, IntColumn
from edge_gateway.fleet.decoders.bad_values import BadReason, BadValues, joined
from edge_gateway.fleet.decoders.decoded import Numbers, States
from edge_gateway.fleet.devices.series import KIND_NUMBER, KIND_OPEN, KIND_STATE
from edge_gateway.fleet.registry import Registry
from edge_gateway.fleet.token_buckets import TokenBuckets


@dataclass(frozen=True, slots=True)
class MetricPolicy:
    """The limits gateway.yaml sets for one metric.

    Attributes:
        range: (lowest, highest) good value, inclusive.
        missing: values that stand for "no value".
        rate: (readings, ms); readings of a series beyond this rate, by device time, are refused.
        unit: what its values are measured in. Values are not converted.
    """

    range: tuple[float, float] | None = None
    missing: tuple[float, ...] = ()
    rate: tuple[float, int] | None = None
    unit: str | None = None


def units_of(metrics: Mapping[str, MetricPolicy]) -> dict[str, str]:
    """Return the unit of each metric that has one."""
    return {name: one.unit for name, one in metrics.items() if one.unit}


class Checked(NamedTuple):
    """The good numbers and states, and the bad values."""

    numbers: Numbers
    states: States
    bad: BadValues


class ValueChecks:
    """The limits of all metrics in columns, and a token bucket for each series whose metric has a rate."""

    def __init__(self, registry: Registry, metrics: Mapping[str, MetricPolicy]) -> None:
        self._registry = registry
        self._policies = dict(metrics)
        self._buckets = TokenBuckets()
        self._loaded = 0
        self._epoch = 0
        self._low = np.empty(0, np.float64)
        self._high = np.empty(0, np.float64)
        self._missing = np.empty((0, max((len(one.missing) for one in metrics.values()), default=0)))
        self._limited = np.empty(0, np.bool_)

    def _load(self) -> None:
        """Extend the columns by metrics the registry added since the last batch."""
        names = self._registry.metric_names
        if self._epoch != self._registry.series_epoch:
            self._epoch = self._registry.series_epoch
            self._unload()
        if self._loaded == len(names):
            return
        added = [self._policies.get(name, MetricPolicy()) for name in names[self._loaded :]]
        ranges = [one.range or (-np.inf, np.inf) for one in added]
        missing = np.full((len(added), self._missing.shape[1]), np.nan)
        for row, one in enumerate(added):
            missing[row, : len(one.missing)] = one.missing
        self._low = np.append(self._low, [low for low, _ in ranges])
        self._high = np.append(self._high, [high for _, high in ranges])
        self._missing = np.concatenate([self._missing, missing])
        self._limited = np.append(self._limited, [one.rate is not None for one in added])
        self._loaded = len(names)

    def _unload(self) -> None:
        self._loaded = 0
        self._low, self._high = np.empty(0), np.empty(0)
        self._missing, self._limited = self._missing[:0], np.empty(0, np.bool_)

    def check(self, numbers: Numbers, states: States, ts: IntColumn) -> Checked:
        """Separate good values from bad ones. `ts` is the time of each sample, ms.

        The first good value of a series fixes whether it holds numbers or texts.
        """
        self._load()
        parts: list[BadValues] = []
        numbers, states = self._trusted(numbers, states, parts)
        numbers, states = self._of_their_kind(numbers, states, parts)
        if self._policies and len(numbers.row):
            numbers = self._within_limits(numbers, parts)
            numbers = self._within_rate(numbers, ts, parts)
        return Checked(numbers, states, joined(parts))

    def _trusted(self, numbers: Numbers, states: States, parts: list[BadValues]) -> tuple[Numbers, States]:
        """Drop values whose quality says that the device itself does not trust them."""
        numbers = self._only(numbers, numbers.quality > 0, BadReason.QUALITY, parts)
        if not len(states.row):
            return numbers, states
        return numbers, self._only_states(states, states.quality > 0, BadReason.QUALITY, parts)

    def _of_their_kind(
        self, numbers: Numbers, states: States, parts: list[BadValues]
    ) -> tuple[Numbers, States]:
        """Drop texts in series of numbers, and numbers in series of texts."""
        table = self._registry.table
        found = table.kind[numbers.series]
        if not len(states.row) and not found.any():  # KIND_NUMBER is 0: all are numbers in series of numbers
            if table.any_anew:
                table.settle(numbers.series)
            return numbers, states
        self._fix_kinds(numbers, states)
        kind = table.kind
        numbers = self._only(numbers, kind[numbers.series] == KIND_NUMBER, BadReason.TYPE, parts)
        return numbers, self._only_states(states, kind[states.series] == KIND_STATE, BadReason.TYPE, parts)

    def _fix_kinds(self, numbers: Numbers, states: States) -> None:
        """Fix the kind of open series by their first value in the batch; a sample has one value per series at most.

        The same for reopened series: if the first value is of the other kind, it and later values get a new series
        number.
        """
        table = self._registry.table
        firsts: dict[int, tuple[int, int]] = {}
        for column, kind_of_it in ((numbers, KIND_NUMBER), (states, KIND_STATE)):
            unsure = table.kind[column.series] == KIND_OPEN
            if table.any_anew:
                unsure |= table.anew[column.series]
            for at in np.flatnonzero(unsure).tolist():
                seen = (int(column.row[at]), kind_of_it)
                series = int(column.series[at])
                firsts[series] = min(firsts.get(series, seen), seen)
        for series, (_, first_kind) in firsts.items():
            self._begin(series, first_kind, numbers, states)

    def _begin(self, series: int, kind: int, numbers: Numbers, states: States) -> None:
        table = self._registry.table
        if table.kind[series] not in {kind, KIND_OPEN}:
            if not table.may_replace(series):
                return
            number = table.replace(series)
            for column in (numbers, states):
                column.series[column.series == series] = number
            series = number
        table.settle(np.array([series], np.int64))
        table.kind[series] = kind

    def _within_limits(self, numbers: Numbers, parts: list[BadValues]) -> Numbers:
        metric = self._registry.series_metric[numbers.series]
        if self._missing.shape[1]:
            absent = (self._missing[metric] == numbers.value[:, None]).any(axis=1)
            numbers = self._only(numbers, ~absent, BadReason.MISSING, parts)
            metric = self._registry.series_metric[numbers.series]
        inside = (numbers.value >= self._low[metric]) & (numbers.value <= self._high[metric])
        return self._only(numbers, inside, BadReason.RANGE, parts)

    def _within_rate(self, numbers: Numbers, ts: IntColumn, parts: list[BadValues]) -> Numbers:
        metric = self._registry.series_metric[numbers.series]
        limited = np.flatnonzero(self._limited[metric])
        if not len(limited):
            return numbers
        names = self._registry.metric_names
        rates = [self._policies[names[number]].rate or (1.0, 1) for number in metric[limited].tolist()]
        keep = np.ones(len(numbers.row), np.bool_)
        keep[limited] = self._buckets.take(numbers.series[limited], ts[numbers.row[limited]], rates)
        return self._only(numbers, keep, BadReason.RATE, parts)

    def _only(self, numbers: Numbers, keep: BoolColumn, reason: BadReason, parts: list[BadValues]) -> Numbers:
        if keep.all():
            return numbers
        parts.append(self._bad(numbers, ~keep, reason))
        return Numbers(numbers.row[keep], numbers.series[keep], numbers.value[keep], numbers.quality[keep])

    def _only_states(
        self, states: States, keep: BoolColumn, reason: BadReason, parts: list[BadValues]
    ) -> States:
        if keep.all():
            return states
        parts.append(self._bad(states, ~keep, reason))
        return States(states.row[keep], states.series[keep], states.code[keep], states.quality[keep])

    def _bad(self, values: Numbers | States, at: BoolColumn, reason: BadReason) -> BadValues:
        row = values.row[at]
        metric = self._registry.series_metric[values.series[at]]
        return BadValues(row, metric, np.full(len(row), reason, np.int64))

    def forget(self, series: IntColumn) -> None:
        """Reset the rate limits of these series."""
        self._buckets.forget(series)

    def snapshot(self) -> dict[str, Any]:
        return {"buckets": self._buckets.snapshot()}

    def restore(self, state: dict[str, Any]) -> None:
        self._buckets.restore(state["buckets"])
        self._unload()

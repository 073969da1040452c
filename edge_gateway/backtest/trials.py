"""Trials of faults: excerpts of readings, each copied to a device of its own, with one fault at a known time."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edge_gateway.backtest.readings import PastReadings, Sample
from fleet_recordings.faults import OF_DURATION
from fleet_recordings.labels import Label
from fleet_recordings.overlay import falsified

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_gateway.fold.settings import FoldSettings, MetricLimits

__all__ = ["Excerpt", "Trial", "accepted", "copies", "excerpts", "interval_of"]

WEEK: Final = 7 * 86_400_000


class Trial(NamedTuple):
    """One kind of fault of one size; of `stuck` and `dropout` the size is how long it lasts, ms."""

    kind: str
    size: float

    def label(self, device: str, metric: str, start: int, lasts: int) -> Label:
        """Return the fault on a device; it lasts `lasts` ms unless its size says so."""
        if self.kind in OF_DURATION:
            return Label(start, device, metric, self.kind, start + int(self.size))
        return Label(start, device, metric, self.kind, start + lasts, self.size)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Samples of one device around an onset, moved to a common time; `onset` ms."""

    source: str
    onset: int
    samples: tuple[Sample, ...]
    ts: NDArray[np.int64]
    values: NDArray[np.float64]
    places: tuple[int, ...]
    """Where in the samples the metric is, side by side with `ts` and `values`."""


def accepted(readings: PastReadings, settings: FoldSettings) -> PastReadings:
    """Return the readings that the gateway's configuration lets rules see: faults are laid over good values alone."""
    samples = []
    for sample in readings.samples:
        m = {name: value for name, value in sample.m.items() if _is_good(value, settings.metrics.get(name))}
        if m:
            samples.append(sample._replace(m=m))
    return PastReadings(samples, readings.devices, readings.notes)


def _is_good(value: float | str, limits: MetricLimits | None) -> bool:
    if limits is None or isinstance(value, str):
        return True
    low, high = limits.range or (-math.inf, math.inf)
    return low <= value <= high and value not in limits.missing


def interval_of(readings: PastReadings, metric: str) -> int:
    """Return the median time (ms) between two readings of a metric on a device; 0 if there are no two."""
    last: dict[str, int] = {}
    gaps = []
    for sample in readings.samples:
        if metric in sample.m:
            if sample.device in last:
                gaps.append(sample.ts - last[sample.device])
            last[sample.device] = sample.ts
    return int(median(gaps)) if gaps else 0


def excerpts(
    readings: PastReadings, metric: str, *, before: int, after: int, count: int, seed: int, whole_weeks: bool
) -> list[Excerpt]:
    """Draw onsets and return the samples around each.

    Args:
        readings: what they are cut from.
        metric: an onset is at one of its readings.
        before: samples from so long before an onset on, ms.
        after: samples until so long after it, ms.
        count: how many; fewer if there are not so many readings with as much time around them.
        seed: draws the onsets.
        whole_weeks: move excerpts by whole weeks only, for rules that ask for the time of the week.
    """
    by_device: dict[str, list[Sample]] = {}
    for sample in readings.samples:
        by_device.setdefault(sample.device, []).append(sample)
    possible = [
        (device, sample.ts)
        for device, own in by_device.items()
        for sample in own
        if metric in sample.m and sample.ts - before >= own[0].ts and sample.ts + after <= own[-1].ts
    ]
    drawn = random.Random(seed).sample(possible, min(count, len(possible)))  # noqa: S311 - a sample, no secret
    at = max((ts for _, ts in drawn), default=0)
    return [
        _excerpt(
            by_device[device], metric, ts, (ts - before, ts + after), _moved(at - ts, whole_weeks=whole_weeks)
        )
        for device, ts in sorted(drawn)
    ]


def _moved(by: int, *, whole_weeks: bool) -> int:
    return by - by % WEEK if whole_weeks else by


def _excerpt(own: Sequence[Sample], metric: str, onset: int, span: tuple[int, int], by: int) -> Excerpt:
    begin, end = span
    samples = tuple(each._replace(ts=each.ts + by) for each in own if begin <= each.ts <= end)
    places = tuple(at for at, each in enumerate(samples) if metric in each.m)
    ts = np.array([samples[at].ts for at in places], np.int64)
    values = np.array([float(samples[at].m[metric]) for at in places])
    return Excerpt(own[0].device, onset + by, samples, ts, values, places)


def copies(
    drawn: Sequence[Excerpt],
    trials: Sequence[Trial | None],
    readings: PastReadings,
    *,
    metric: str,
    lasts: int,
    seed: int,
) -> tuple[PastReadings, dict[str, tuple[int, int]]]:
    """Return every excerpt with every fault as a device of its own; its (trial, excerpt) by the device.

    A trial of None is the excerpt as it is. Other metrics keep their readings.
    """
    samples: list[Sample] = []
    devices, origin = {}, {}
    for number, trial in enumerate(trials):
        for place, one in enumerate(drawn):
            name = f"t{number}-{place}"
            devices[name] = readings.devices[one.source]
            origin[name] = (number, place)
            samples += _with_fault(one, trial, name, metric=metric, lasts=lasts, seed=seed)
    samples.sort(key=lambda sample: sample.ts)
    return PastReadings(samples, devices), origin


def _with_fault(
    one: Excerpt, trial: Trial | None, name: str, *, metric: str, lasts: int, seed: int
) -> Iterator[Sample]:
    values: Mapping[int, float] = {}
    if trial is not None:
        label = trial.label(name.partition("-")[2], metric, one.onset, lasts)
        values = dict(zip(one.places, falsified(one.values, one.ts, label, seed).tolist(), strict=True))
    for at, sample in enumerate(one.samples):
        m = dict(sample.m)
        if at in values:
            m[metric] = values[at]
        kept = {key: value for key, value in m.items() if value == value}  # noqa: PLR0124 - NaN: it is missing
        if kept:
            yield Sample(sample.ts, name, kept)

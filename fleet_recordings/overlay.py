"""Lay faults over the readings of a recording. What no fault strikes stays as it is, and the times of all samples.

The same seed, recording and faults give the same readings. A fault that does not change a reading, such as a stuck
sensor whose true value did not move, is a fault nevertheless, and labelled.
"""

from __future__ import annotations

from collections import defaultdict
from hashlib import blake2b
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fleet_recordings.faults import FALSIFIED, Struck

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fleet_recordings.labels import Label
    from fleet_recordings.reading import RecordedSample

__all__ = ["falsified", "laid_over"]

Column = NDArray[np.float64]
_CUT = 1e-5
"""Probability beyond which a normal draw is cut off, at 4.3 deviations."""


def laid_over(samples: Sequence[RecordedSample], faults: Iterable[Label], seed: int) -> list[RecordedSample]:
    """Return the samples with faults; those that lose their last value are left out.

    Faults of one metric of one device must not overlap.
    """
    by_series: dict[tuple[str, str], list[Label]] = defaultdict(list)
    for fault in faults:
        by_series[fault.device, fault.metric].append(fault)
    changed: dict[int, dict[str, float]] = {}
    for (device, metric), own in by_series.items():
        places = [at for at, each in enumerate(samples) if each.device == device and metric in each.m]
        ts = np.array([samples[at].ts for at in places], np.int64)
        values = np.array([samples[at].m[metric] for at in places])
        for fault in own:
            values = falsified(values, ts, fault, seed)
        for at, value in zip(places, values.tolist(), strict=True):
            changed.setdefault(at, dict(samples[at].m))[metric] = value
    return [each for at, sample in enumerate(samples) if (each := _with(sample, changed.get(at))).m]


def falsified(values: Column, ts: NDArray[np.int64], fault: Label, seed: int) -> Column:
    """Return what is reported of one series in the order of time: f8[n], NaN where a value is missing.

    `values` are the true ones, f8[n], measured at `ts` (ms).
    """
    struck = (ts >= fault.start) & (ts < fault.end)
    if fault.kind == "spike":
        struck &= np.cumsum(struck) == 1
    reported = values.copy()
    if fault.kind == "dropout":
        reported[struck] = np.nan
    elif fault.kind == "stuck":
        first = int(np.argmax(struck))
        reported[struck] = values[max(first - 1, 0)]
    else:
        elapsed = (ts[struck] - fault.start).astype(np.float64)
        normal = _draws(fault, seed, int(struck.sum()))
        reported[struck] = FALSIFIED[fault.kind](Struck(values[struck], elapsed, normal), fault.size or 0.0)
    return reported


def _draws(fault: Label, seed: int, count: int) -> Column:
    """Return normal draws for a fault, which depend on it and the seed alone; f8[count]."""
    if fault.kind != "noise":
        return np.zeros(count)
    text = "\0".join(map(str, (seed, fault.device, fault.metric, fault.start)))
    key = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")
    uniform = np.random.Generator(np.random.Philox(key=key)).random(count).clip(_CUT, 1 - _CUT)
    return np.array([NormalDist().inv_cdf(each) for each in uniform.tolist()])


def _with(sample: RecordedSample, values: dict[str, float] | None) -> RecordedSample:
    if values is None:
        return sample
    m = {metric: value for metric, value in values.items() if not np.isnan(value)}
    q = {metric: quality for metric, quality in (sample.q or {}).items() if metric in m}
    return sample._replace(m=m, q=q or None)

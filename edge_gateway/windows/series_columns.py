"""The columns of the registry that windows read, as a protocol: a test needs no registry; and which have a p95."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_gateway.windows.rows import NEVER

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class SeriesColumns(Protocol):
    """Columns by series number, and metric names by metric number.

    `series_epoch` grows when a number is reused for another series or metric.
    """

    @property
    def series_device(self) -> Ints: ...
    @property
    def series_metric(self) -> Ints: ...
    @property
    def series_is_state(self) -> Bools: ...
    @property
    def series_epoch(self) -> int: ...
    @property
    def metric_names(self) -> Sequence[str]: ...


def by_series(series: SeriesColumns, time: Ints) -> Ints:
    """Return by series the time of its device, given by device number; NEVER for devices beyond."""
    devices = series.series_device
    known = np.full(int(devices.max(initial=-1)) + 1, NEVER)
    known[: len(time)] = time[: len(known)]
    return known[devices]


class SeriesWithP95:
    """Which series have a p95: those of some metrics, by name."""

    def __init__(self, series: SeriesColumns, metrics: frozenset[str]) -> None:
        self._series = series
        self._metrics = metrics
        self._mask = np.zeros(0, np.bool_)
        self._epoch = 0

    def mask(self) -> Bools:
        """Return by series whether its windows have a p95; empty if no metric's have."""
        metrics = self._series.series_metric
        if self._metrics and (len(self._mask) != len(metrics) or self._epoch != self._series.series_epoch):
            self._epoch = self._series.series_epoch
            wanted = [name in self._metrics for name in self._series.metric_names]
            self._mask = np.array(wanted, np.bool_)[metrics]
        return self._mask

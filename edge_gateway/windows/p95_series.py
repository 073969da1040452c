"""Which series have a p95 in their windows: those of the metrics that ask for it."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from edge_gateway.windows.series_columns import SeriesColumns

Bools = NDArray[np.bool_]


class P95Series:
    """`metrics` are names; the answer follows series that are new and numbers that are reused."""

    def __init__(self, metrics: Collection[str], series: SeriesColumns) -> None:
        self._metrics = frozenset(metrics)
        self._series = series
        self._flags = np.zeros(0, np.bool_)
        self._epoch = 0

    def __call__(self) -> Bools:
        """Return by series whether its windows have a p95; empty if no metric's have."""
        metrics, epoch = self._series.series_metric, self._series.series_epoch
        if self._metrics and (len(self._flags) != len(metrics) or self._epoch != epoch):
            self._epoch = epoch
            wanted = [name in self._metrics for name in self._series.metric_names]
            self._flags = np.array(wanted, np.bool_)[metrics]
        return self._flags

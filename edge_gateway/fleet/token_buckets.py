"""Token buckets on device time, one pair a series."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_gateway.columns.frame import BoolColumn, IntColumn
from edge_gateway.columns.growing import with_room

_NEVER = -(2**62)


class TokenBuckets:
    """How much each series may still send.

    A device that was offline sends its newest reading first and then what it kept, so readings older than the
    newest draw from a second bucket; either refills by the time between readings, whichever way time runs.
    So a buffer sent late is limited like the same readings sent on time.
    """

    def __init__(self) -> None:
        self._size = 0
        self._tokens = np.empty((2, 0), np.float64)
        self._at = np.empty((2, 0), np.int64)

    def _make_room(self, series: int) -> None:
        if series <= self._size:
            return
        self._size = series
        self._tokens = np.stack([with_room(column, series, 0.0) for column in self._tokens])
        self._at = np.stack([with_room(column, series, _NEVER) for column in self._at])

    def take(self, series: IntColumn, ts: IntColumn, rates: Sequence[tuple[float, int]]) -> BoolColumn:
        """Return which readings are within their rate, taken in arrival order.

        `rates` gives (readings, ms) for each. A bucket holds as many tokens as the rate has readings, at
        least one, and begins full.
        """
        self._make_room(int(series.max(initial=-1)) + 1)
        columns = zip(series.tolist(), ts.tolist(), rates, strict=True)
        return np.array([self._take(number, time, *rate) for number, time, rate in columns], np.bool_)

    def _take(self, series: int, time: int, count: float, per_ms: int) -> bool:
        newest, late_at, most = int(self._at[0, series]), int(self._at[1, series]), max(count, 1.0)
        late = int(time < newest)
        apart = min(newest - time, abs(time - late_at)) if late else time - newest
        tokens = min(float(self._tokens[late, series]) + apart * count / per_ms, most)
        granted = tokens >= 1.0
        self._tokens[late, series] = tokens - granted
        self._at[late, series] = time
        return granted

    def forget(self, series: IntColumn) -> None:
        """Fill the buckets of these series."""
        known = series[series < self._size]
        self._tokens[:, known], self._at[:, known] = 0.0, _NEVER

    def snapshot(self) -> dict[str, Any]:
        return {"tokens": self._tokens[:, : self._size].copy(), "at": self._at[:, : self._size].copy()}

    def restore(self, state: dict[str, Any]) -> None:
        self._tokens, self._at = state["tokens"].copy(), state["at"].copy()
        self._size = self._tokens.shape[1]

"""Token buckets on device time, a pair for each series."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_gateway.columns.frame import BoolColumn, IntColumn
from edge_gateway.columns.growing import with_room

_NEVER = -(2**62)


class TokenBuckets:
    """How many readings each series may still send.

    A device that was offline may send its newest reading first and its buffer after it. So readings older than
    the newest draw from a second bucket. Both refill by the time between readings, in whichever direction it runs:
    a buffer sent late is limited just as if its readings had been sent on time.
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
        """Take a token for each reading, in arrival order; return which readings got one.

        Args:
            series: series of each reading.
            ts: device time of each reading, ms.
            rates: (readings, ms) allowed for each reading's series. A bucket starts full; it holds as many tokens as
                the rate has readings, at least one.
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
        """Refill the buckets of these series."""
        known = series[series < self._size]
        self._tokens[:, known], self._at[:, known] = 0.0, _NEVER

    def snapshot(self) -> dict[str, Any]:
        return {"tokens": self._tokens[:, : self._size].copy(), "at": self._at[:, : self._size].copy()}

    def restore(self, state: dict[str, Any]) -> None:
        self._tokens, self._at = state["tokens"].copy(), state["at"].copy()
        self._size = self._tokens.shape[1]

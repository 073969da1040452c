"""What a journal record says an input led to in the windows, for a replay to follow.

When a window closes depends on pacing: on budgets, and on when a walk is worth it. A program with another pacing than
the one that wrote a record would close windows the store does not have, or keep open some that it has. Such a replay
follows the record instead: these rows were closed, these readings were late.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_gateway.records.window_block import WindowBlock

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_PLACE_BITS: Final = 42
"""Bits that hold a time in ms up to the year 2100."""


class RecordedLate(NamedTuple):
    """Late readings of a frame, in its order; `tiers` as in `LateReadings`."""

    series: Ints
    ts: Ints
    tiers: Ints


_NONE: Final = np.empty(0, np.int64)
NONE_RECORDED: Final = RecordedLate(_NONE, _NONE, _NONE)


@dataclass(frozen=True, slots=True)
class Recorded:
    """Closed rows, as (tier, block), and late readings of one recorded input."""

    numbers: Sequence[tuple[int, WindowBlock]] = ()
    states: Sequence[tuple[int, WindowBlock]] = ()
    late: RecordedLate = NONE_RECORDED
    late_states: RecordedLate = NONE_RECORDED

    def late_rows(self, device: Ints, start: Ints, base: int, series_device: Ints) -> Bools:
        """Return which rows of a frame hold late readings.

        Args:
            device: device of each row.
            start: start of each row's base window, ms.
            base: length of a base window, ms.
            series_device: device of each series.
        """
        late = [
            _places(series_device[one.series], one.ts - one.ts % base)
            for one in (self.late, self.late_states)
        ]
        found: Bools = np.isin(_places(device, start), np.concatenate(late))
        return found


def _places(device: Ints, start: Ints) -> Ints:
    return (device << _PLACE_BITS) | start


class ClosedRanges(NamedTuple):
    """For each closed row of one base window its series, ascending, and the times of its first and last reading, ms."""

    series: Ints
    first_at: Ints
    last_at: Ints

    @classmethod
    def of(cls, rows: NDArray[Any]) -> "ClosedRanges":
        ordered = rows[np.argsort(rows["series"], kind="stable")]
        return cls(ordered["series"], ordered["first_at"], ordered["last_at"])

    def among(self, series: Ints, ts: Ints) -> Bools:
        """Return which readings belong to these rows."""
        place = np.minimum(np.searchsorted(self.series, series), len(self.series) - 1)
        same = self.series[place] == series
        found: Bools = same & (self.first_at[place] <= ts) & (ts <= self.last_at[place])
        return found

"""Readings whose window is closed: what is merged where.

The base window is always merged in the store. A coarser window that the series has still open, or may open,
takes the reading in memory, at once; otherwise its bit says that the store must do it. Each tier takes each
reading once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_gateway.windows.closed import Closed
from edge_gateway.windows.reduce import Readings
from edge_gateway.windows.tiers import Tier

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LateReadings:
    """Columns of one entry a reading."""

    row: Ints
    """The reading's row in its frame."""
    device: Ints
    tiers: Ints
    """Bit i is set where the reading must be merged into the stored window of tier i. Bit 0 always is, but for readings
    over their device's share: these have none, and no tier takes them."""
    readings: Readings
    """Series, time, value (for texts: the code as a float) and quality."""

    def __len__(self) -> int:
        return len(self.row)

    def not_stored(self, tier: int) -> Readings:
        """Return the readings that a tier takes in memory."""
        return self.readings.rows(((self.tiers >> tier) & 1 == 0) & (self.tiers != 0))

    @property
    def series(self) -> Ints:
        return self.readings.series

    @property
    def ts(self) -> Ints:
        return self.readings.ts

    @property
    def value(self) -> NDArray[np.float64]:
        return self.readings.value

    @property
    def quality(self) -> NDArray[np.uint16]:
        return self.readings.quality

    @property
    def code(self) -> Ints:
        """Codes of texts, where the readings are texts."""
        return self.readings.value.astype(np.int64)


@dataclass(frozen=True, slots=True)
class Late:
    """Late readings of one frame."""

    numbers: LateReadings
    states: LateReadings

    def __len__(self) -> int:
        return len(self.numbers) + len(self.states)


def _none() -> LateReadings:
    no = np.empty(0, np.int64)
    return LateReadings(no, no, no, Readings(no, no, np.empty(0, np.float64), np.empty(0, np.uint16)))


NONE_LATE: Final = Late(_none(), _none())
"""No late reading; shared, so never written to."""


def stored_in(tiers: Sequence[Tier], readings: Readings, closed_to: Ints, over: Bools) -> Ints:
    """Return for each late reading the tiers in which it must be merged in the store, as bits.

    That is at least tier 0, and nowhere for those over their device's share.

    Args:
        tiers: the open coarser windows, tier 1 first.
        readings: numbers or texts, the kind of the tiers.
        closed_to: up to where the base windows of each reading's device are closed, ms.
        over: which readings are over the share.
    """
    bits = np.ones(len(readings), np.int64)
    for number, tier in enumerate(tiers, start=1):
        start = readings.ts - readings.ts % tier.every
        gone = (tier.start_of(readings.series) != start) & (start + tier.every <= closed_to)
        bits |= gone.astype(np.int64) << number
    bits[over] = 0
    return bits


class Added(NamedTuple):
    """What became of a frame beside what is open now: readings of closed windows, and windows closed at once."""

    late: Late
    closed: Closed


NOTHING: Final = Added(NONE_LATE, Closed())

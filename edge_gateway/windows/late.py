"""Late readings, whose base window is closed, and where each is merged.

The store merges the reading into the base window. A coarser window that is still open, or may still open,
takes it in memory at once; if it is closed, the tier's bit asks the store to merge it there too. Each tier takes
each reading exactly once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_gateway.records.store_effects import BEHIND, OVER_SHARE
from edge_gateway.windows.closed import Closed
from edge_gateway.windows.coarse_tier import CoarseTier
from edge_gateway.windows.reduce import Readings

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LateReadings:
    """Columns with one entry per reading."""

    row: Ints
    """The reading's row in its frame."""
    device: Ints
    tiers: Ints
    """Bit i is set where the store must merge the reading into its window of tier i.

    Bit 0 is set for every reading that is merged at all. No tier takes the others, which have OVER_SHARE or BEHIND.
    """
    readings: Readings
    """Series, time, value (for texts: the code as a float) and quality."""

    def __len__(self) -> int:
        return len(self.row)

    def not_stored(self, tier: int) -> Readings:
        """Return the readings that a coarser tier takes in memory."""
        return self.readings.rows(((self.tiers >> tier) & 1 == 0) & (self.tiers != OVER_SHARE))

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
        """The values as text codes; only for readings that are texts."""
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
    return LateReadings(no, no, no, Readings(no, no, np.empty(0), np.empty(0, np.uint16)))


NONE_LATE: Final = Late(_none(), _none())
"""No late readings; shared, so never write to it."""


def stored_in(
    tiers: Sequence[CoarseTier], readings: Readings, closed_to: Ints, over: Bools, behind: Bools
) -> Ints:
    """Return for each late reading, as bits, the tiers in which the store must merge it (`LateReadings.tiers`).

    Args:
        tiers: the coarser tiers, tier 1 first.
        readings: numbers or texts, of the same kind as the tiers.
        closed_to: for each reading, the time (ms) up to which base windows of its device are closed.
        over: which readings are over their device's share.
        behind: which readings belong to a window, of any tier, that the history may have given up. They are merged in
            none: what one tier refuses, no tier takes.
    """
    bits = np.ones(len(readings), np.int64)
    for number, tier in enumerate(tiers, start=1):
        start = readings.ts - readings.ts % tier.every
        gone = ~tier.is_open(readings.series, start) & (start + tier.every <= closed_to)
        bits |= gone.astype(np.int64) << number
    bits[behind] = BEHIND
    bits[over] = OVER_SHARE
    return bits


class Added(NamedTuple):
    """What adding a frame led to at once: late readings, and windows that were already due and closed."""

    late: Late
    closed: Closed


NOTHING: Final = Added(NONE_LATE, Closed())

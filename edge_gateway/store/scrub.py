"""Check the checksums of all stored windows once after opening, a piece at a time.

Without it damage would be found when a late reading or a query meets it, or never.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from edge_gateway.store.window_table import Key, WindowTable

PIECE: Final = 2_000
FIRST: Final = (-(1 << 62), 0)


class _Left(NamedTuple):
    """A tier's windows with keys above `after` that start at or before `upto` (ms)."""

    table: WindowTable
    tier: int
    after: Key
    upto: int


class Scrub:
    """Checks the windows that are stored when it is made; later ones are not among them."""

    def __init__(self, tables: Sequence[WindowTable], *, tiers: int) -> None:
        spans = [(table, tier, table.span(tier)) for table in tables for tier in range(tiers)]
        self._left = [_Left(table, tier, FIRST, span[1]) for table, tier, span in spans if span is not None]

    @property
    def pending(self) -> bool:
        """Whether there are windows left to check."""
        return bool(self._left)

    def step(self) -> None:
        """Check the next windows. StoreDamaged if a checksum does not match."""
        first = self._left[0]
        last = first.table.scrub(first.tier, first.after, first.upto, PIECE)
        self._left[:1] = [] if last is None else [first._replace(after=last)]

"""Whether stored windows are what was written, looked at once a life.

Damage would else be met when a late reading comes for it, or never.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from edge_gateway.store.window_table import Key, WindowTable

PIECE: Final = 2_000
FIRST: Final = (-(1 << 62), 0)


class _Left(NamedTuple):
    """A tier's windows behind `after` that start at `upto` (ms) at the latest."""

    table: WindowTable
    tier: int
    after: Key
    upto: int


class Scrub:
    """Goes through the windows there are when it is made; those that come later are not among them."""

    def __init__(self, tables: Sequence[WindowTable], *, tiers: int) -> None:
        spans = [(table, tier, table.span(tier)) for table in tables for tier in range(tiers)]
        self._left = [_Left(table, tier, FIRST, span[1]) for table, tier, span in spans if span is not None]

    @property
    def unseen(self) -> bool:
        """Whether there is more to look at."""
        return bool(self._left)

    def go_on(self) -> None:
        """Look at a piece; StoreDamaged where a row is not what was written."""
        first = self._left[0]
        last = first.table.scrub(first.tier, first.after, first.upto, PIECE)
        self._left[:1] = [] if last is None else [first._replace(after=last)]

"""Check the checksums of all names and stored windows once after opening, a piece at a time.

Without it damage would be found when a late reading or a query meets it, or never. Names come first: under a wrong one
the next windows are stored, too.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from edge_gateway.store.block_table import BlockTable
from edge_gateway.store.names import NameTables
from edge_gateway.store.row_checksum import NAME_TABLES, NameTable
from edge_gateway.store.window_table import Key, WindowTable

PIECE: Final = 2_000
BLOCKS: Final = 4
"""Blocks checked at a time."""
_BELOW: Final = -(1 << 62)
FIRST: Final = (_BELOW, 0)


class _Names(NamedTuple):
    """The names of a kind with keys above `after`."""

    names: NameTables
    kind: NameTable
    after: tuple[int, ...]

    def step(self) -> "_Names | None":
        """Check the next ones; return what is left."""
        last = self.names.check(self.kind, self.after, PIECE)
        return None if last is None else self._replace(after=last)


class _Rows(NamedTuple):
    """A tier's windows with keys above `after` that start at or before `upto` (ms)."""

    table: WindowTable
    tier: int
    after: Key
    upto: int

    def step(self) -> "_Rows | None":
        """Check the next ones; return what is left."""
        last = self.table.scrub(self.tier, self.after, self.upto, PIECE)
        return None if last is None else self._replace(after=last)


class _Blocks(NamedTuple):
    """The blocks with numbers above `after` and up to `upto`."""

    blocks: BlockTable
    after: int
    upto: int

    def step(self) -> "_Blocks | None":
        """Check the next ones; return what is left."""
        last = self.blocks.check(self.after, self.upto, BLOCKS)
        return None if last is None else self._replace(after=last)


class Scrub:
    """Checks the names, and the windows that are stored when it is made; later ones are not among them."""

    def __init__(self, names: NameTables, tables: Sequence[WindowTable], *, tiers: int) -> None:
        spans = [(table, tier, table.row_span(tier)) for table in tables for tier in range(tiers)]
        self._left: list[_Names | _Rows | _Blocks] = [
            _Names(names, kind, (_BELOW,) * len(kind.key)) for kind in NAME_TABLES
        ]
        self._left += [_Rows(table, tier, FIRST, span[1]) for table, tier, span in spans if span is not None]
        self._left += [
            _Blocks(table.blocks, 0, newest) for table in tables if (newest := table.blocks.newest())
        ]

    @property
    def pending(self) -> bool:
        """Whether there is anything left to check."""
        return bool(self._left)

    def step(self) -> None:
        """Check the next names or windows. StoreDamaged if a checksum does not match."""
        left = self._left[0].step()
        self._left[:1] = [] if left is None else [left]

"""Windows that are certainly new, gathered over the records of a transaction and stored at its end.

Many become blocks, to which the outboxes refer; a few become rows, and lines.
"""

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_gateway.records.store_effects import Stamp
from edge_gateway.records.window_block import WindowBlock
from edge_gateway.store.block_body import Revised
from edge_gateway.store.block_table import in_pieces
from edge_gateway.store.outbox import Reference
from edge_gateway.store.window_table import WindowTable

FEW: Final = 64
"""Up to this many windows of a tier are stored as rows: a block of a few is larger than they are."""
BLOCK_ROWS: Final = 1_024
"""Most windows of a block: a single one is read by decoding all of them, in 0.4 ms."""
MOST_GATHERED: Final = 16_384
"""Windows of a tier that are gathered before they are stored within the transaction."""


class FreshLines(Protocol):
    """Receives the windows that were stored, as rows or as a block."""

    def windows(self, tier: int, windows: WindowBlock, at: Stamp) -> None: ...
    def block(self, tier: int, what: Reference, windows: WindowBlock, at: Stamp) -> None: ...


class FreshWindows:
    """Used inside the store's transactions."""

    def __init__(self, table: WindowTable) -> None:
        self._table = table
        self._gathered: dict[int, list[WindowBlock]] = {}
        self._at = Stamp(0)

    def snapshot(self) -> None:
        """Return nothing: what is gathered belongs to one transaction."""

    def restore(self, _: None) -> None:
        """Drop what the transaction gathered that is rolled back."""
        self._gathered.clear()

    def add(self, tier: int, windows: WindowBlock, at: Stamp, lines: FreshLines) -> None:
        """Gather windows of a tier; `at` is when they came."""
        self._gathered.setdefault(tier, []).append(windows)
        self._at = at
        if sum(map(len, self._gathered[tier])) >= MOST_GATHERED:
            self.store(lines)

    def store(self, lines: FreshLines) -> None:
        """Store what is gathered, and send it to `lines`."""
        gathered, self._gathered = self._gathered, {}
        for tier, parts in sorted(gathered.items()):
            windows = WindowBlock.joined(parts)
            rows = windows.rows
            windows = windows.take(np.lexsort((rows["series"], rows["start"])))
            if len(windows) <= FEW or _repeats(windows.rows["start"], windows.rows["series"]):
                lines.windows(tier, self._table.put_new(tier, windows), self._at)
                continue
            for piece in in_pieces(windows, BLOCK_ROWS):
                revisions = np.zeros(len(piece), np.int64)
                number = self._table.blocks.insert(tier, Revised(piece, revisions))
                lines.block(tier, Reference(number, 0), piece, self._at)


def _repeats(start: NDArray[np.int64], series: NDArray[np.int64]) -> bool:
    """Whether two neighbours are the same window."""
    return bool(((start[1:] == start[:-1]) & (series[1:] == series[:-1])).any())

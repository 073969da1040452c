"""Cut stored windows anew, so that few blocks have those of a series.

Windows come in the order of time: as rows, and as blocks that have all series of a second or so. Where enough of a
tier stand loose, the oldest are written once more, as blocks of few neighbouring series over a longer time; a window
that was corrected goes with the others of its time. What is read and what is sent stays the same.

    series ▲ ┌┐┌┐┌┐┌┐ fresh      ┌──────┐
           │ ││││││││            ├──────┤
           │ ││││││││ ·· rows    ├──────┤ settled
           │ └┘└┘└┘└┘            └──────┘ ▶ time

Where series are so many that a piece has few starts of each, its blocks are wide: of up to CELL series, and loose until
those of the same cell are enough for a piece. So a window is written anew once, in a large fleet twice.
"""

import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_gateway.records.window_block import WindowBlock
from edge_gateway.store.block_body import Revised
from edge_gateway.store.block_table import Loose
from edge_gateway.store.fresh_windows import BLOCK_ROWS
from edge_gateway.store.window_table import Key, WindowTable

Ints = NDArray[np.int64]

MOST: Final = 50_000
"""Most windows of a piece, which are held in memory: 6 MB without their tails."""
LEAST: Final = 8_192
STARTS: Final = 64
"""A piece has this many windows of each series, but between LEAST and MOST of all."""
FEW_STARTS: Final = 32
"""With fewer windows of each series than this the blocks of a piece are wide."""
CELL: Final = 1_024
"""Series of a cell: their numbers divided by this are the same."""
ROW_BYTES: Final = 128
"""A row larger than this, which has a tail, weighs more than one window."""
SPARSE: Final = 8
"""Less than 1/SPARSE of the windows in half of the time are strays, which would stretch the blocks of all others."""


class _Piece(NamedTuple):
    """What stands loose, by start: the start (ms), the weight in windows, and the block; of a row -1 less its place."""

    start: Ints
    weight: Ints
    number: Ints

    @classmethod
    def of_blocks(cls, blocks: Iterable[tuple[int, int, int]], most: int) -> "_Piece":
        """Blocks as (number, start, weight), no more than weigh `most`."""
        taken, weight = [], 0
        for block in blocks:
            if weight >= most:
                break
            taken.append(block)
            weight += block[2]
        number, start, weights = np.array(taken, np.int64).reshape(-1, 3).T
        return cls(start, weights, number)

    def take(self, chosen: slice | Ints) -> "_Piece":
        return _Piece(*(column[chosen] for column in self))

    def oldest(self, most: int) -> "_Piece":
        """Return the first ones by start, no more than weigh `most`."""
        ordered = self.take(np.argsort(self.start, kind="stable"))
        before = np.cumsum(ordered.weight) - ordered.weight
        return ordered.take(slice(int(np.searchsorted(before, most))))

    def densest(self) -> "_Piece":
        """Return those between the strays; where there are more of these, before or behind the others, return them.

        Strays wait until they are many: a block is read for any time that it spans.
        """
        first, stop = 0, len(self.start)
        held = np.concatenate([[0], np.cumsum(self.weight)])
        while self.start[first] < self.start[stop - 1]:
            middle = (self.start[first] + self.start[stop - 1]) // 2
            half = first + int(np.searchsorted(self.start[first:stop], middle, "right"))
            few = (held[stop] - held[first]) / SPARSE
            if held[half] - held[first] < few:
                first = half
            elif held[stop] - held[half] < few:
                stop = half
            else:
                break
        parts = (slice(first, stop), slice(first), slice(stop, len(self.start)))
        return self.take(max(parts, key=lambda part: held[part.stop] - held[part.start or 0]))


class Compaction:
    """Used inside the store's transactions. `tables`: the windows of numbers and those of texts."""

    def __init__(self, db: sqlite3.Connection, tables: Sequence[WindowTable], *, tiers: int) -> None:
        self._db = db
        cuts = (_cut_fresh, _cut_wide)
        self._turns = deque(
            partial(cut, table, tier) for tier in range(tiers) for table in tables for cut in cuts
        )

    def step(self) -> int:
        """Cut one piece anew; return how many windows it has, 0 if nowhere enough stand loose."""
        (series,) = self._db.execute("SELECT COALESCE(MAX(id), 0) FROM series").fetchone()
        size = min(max(series * STARTS, LEAST), MOST)
        for _ in range(len(self._turns)):
            cut = self._turns[0]
            self._turns.rotate(-1)
            if done := cut(size):
                return done
        return 0


def _cut_fresh(table: WindowTable, tier: int, size: int) -> int:
    """Cut rows and fresh blocks of a tier anew if they make a piece of this size; return how many windows."""
    weight = max(1, round(table.row_bytes() / ROW_BYTES))
    count = table.count(tier, -(-size // weight))
    blocks = _Piece.of_blocks(table.blocks.loose(tier, Loose.FRESH), size)
    if count * weight + int(blocks.weight.sum()) < size:
        return 0
    keys = table.keys(tier, count)
    rows = _Piece(keys[:, 0], np.full(count, weight), -1 - np.arange(count))
    every = _Piece(*map(np.concatenate, zip(rows, blocks, strict=True)))
    return _cut(table, tier, every.oldest(size).densest(), keys, again=True)


def _cut_wide(table: WindowTable, tier: int, size: int) -> int:
    """Cut wide blocks of the fullest cell of a tier anew if they make a piece; return how many windows."""
    cell, weight = table.blocks.fullest(tier, CELL)
    if weight < size:
        return 0
    series = cell * CELL, (cell + 1) * CELL - 1
    blocks = _Piece.of_blocks(table.blocks.loose(tier, Loose.WIDE, series), size)
    return _cut(table, tier, blocks.oldest(size).densest(), np.empty((0, 2), np.int64), again=False)


def _cut(table: WindowTable, tier: int, piece: _Piece, keys: Ints, *, again: bool) -> int:
    """Write windows anew in place of the blocks and rows of a piece; return how many.

    Args:
        table: theirs.
        tier: 0 is the base.
        piece: what is cut.
        keys: start and series of the rows among which the piece has places.
        again: whether blocks of few starts may be cut once more.
    """
    numbers = piece.number[piece.number >= 0].tolist()
    places = -1 - piece.number[piece.number < 0]
    parts = [table.blocks.valid(number) for number in numbers]
    if len(places):
        first, last = (_key(keys[at]) for at in (places[0], places[-1]))
        parts += table.between(tier, first, last)
        table.delete_between(tier, first, last)
    held = _by_series(parts)
    series = held.windows.rows["series"]
    wide = again and len(series) < FEW_STARTS * len(np.unique(series))
    pieces = _pieces(held, wide=wide)
    table.blocks.replace(tier, numbers, pieces, Loose.WIDE if wide else Loose.SETTLED)
    return int(piece.weight.sum())


def _key(row: Ints) -> Key:
    start, series = row.tolist()
    return start, series


def _by_series(parts: Sequence[Revised]) -> Revised:
    windows = WindowBlock.joined([part.windows for part in parts])
    order = np.lexsort((windows.rows["start"], windows.rows["series"]))
    return Revised(windows, np.concatenate([part.revisions for part in parts])).take(order)


def _pieces(held: Revised, *, wide: bool) -> Iterator[Revised]:
    """Cut windows by series into those of blocks, each by (start, series)."""
    series, begin = held.windows.rows["series"], 0
    while begin < len(series):
        stop = _end_of_cell(series, begin) if wide else _end(series, begin)
        part = held.take(slice(begin, stop))
        rows = part.windows.rows
        yield part.take(np.lexsort((rows["series"], rows["start"])))
        begin = stop


def _end(series: Ints, begin: int) -> int:
    """Return the end of a block: between two series, unless it would be small."""
    stop = begin + BLOCK_ROWS
    if stop >= len(series):
        return len(series)
    between = int(np.searchsorted(series, series[stop]))
    return between if between > begin + BLOCK_ROWS // 2 else stop


def _end_of_cell(series: Ints, begin: int) -> int:
    following = (int(series[begin]) // CELL + 1) * CELL
    return min(begin + BLOCK_ROWS, int(np.searchsorted(series, following)))

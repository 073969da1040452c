"""Windows in blocks: many rows of one tier in one row of a table, found by the times and series they span.

A block never changes, so that an outbox can refer to its rows. What changes stands beside it: a trim raises
`first_start`, and rows that start earlier are gone; `corrected` marks the windows of which a newer version stands
elsewhere. `rows` counts what is left, and each window counts in one place only. A block of which nothing is left stays
for as long as an outbox refers to it. `loose` is set until its windows are cut anew, over a longer time and fewer
series (`compaction`). `span` is the number of bits of the time it spans: with it the blocks that overlap some time are
few entries of an index, however long others are.
"""

import json
import sqlite3
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from heapq import heappop, heappush
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_gateway.records.window_block import WindowBlock
from edge_gateway.store.block_body import (
    NONE_CORRECTED,
    Keys,
    Revised,
    decoded,
    decoded_keys,
    decoded_marks,
    encoded,
    encoded_marks,
)
from edge_gateway.store.room_in_file import block_in_file
from edge_gateway.store.schema import StoreDamaged

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Places = Mapping[int, tuple[int, int]]
"""WindowBlock and row of windows, by the place in which they were asked for."""

KEYS_KEPT: Final = 128
BODIES_KEPT: Final = 8
"""Blocks whose keys, and whose rows, are kept decoded: sinks take what was stored last, and readings that are late are
late for few windows."""
COLUMNS: Final = "id, first_start, last_start, first_series, last_series, rows"
_LARGEST: Final = 1 << 62
"""Beyond all times in ms, and with room for a span."""
EVERY_SERIES: Final = (0, _LARGEST)
WINDOW_BYTES: Final = 64
_WEIGHT: Final = f"MAX(1, rows, size/{WINDOW_BYTES})"
_LOOSE: Final = "loose AND kind=?1 AND tier=?2 AND loose=?3 AND first_start<=last_start"


class Span(NamedTuple):
    """What a block spans: times in ms, both ends included."""

    id: int
    first_start: int
    last_start: int
    first_series: int
    last_series: int
    rows: int


def overlapping(  # noqa: PLR0917 - a range of times
    db: sqlite3.Connection,
    kind: str,
    tier: int,
    first: int = -_LARGEST,
    last: int = _LARGEST,
    series: tuple[int, int] = EVERY_SERIES,
) -> Iterator[Span]:
    """Yield the blocks of a tier that may have windows of some time and series, by start.

    Args:
        db: the store.
        kind: `window` or `state_window`.
        tier: 0 is the base.
        first: the first start of a window, ms.
        last: the last one; it is included.
        series: the lowest and the highest number of a series.
    """
    least = "SELECT MIN(span) FROM block WHERE kind=?1 AND tier=?2"
    rows = db.execute(
        f"WITH RECURSIVE length(bits) AS ({least} UNION ALL"  # noqa: S608 - columns from above
        f" SELECT ({least} AND span>bits) FROM length WHERE bits NOT NULL)"
        f" SELECT {COLUMNS} FROM length CROSS JOIN block"
        " ON kind=?1 AND tier=?2 AND span=bits AND last_start>=?3 AND last_start<=?4+(1<<bits)"
        " WHERE first_start<=?4 AND first_start<=last_start AND last_series>=?5 AND first_series<=?6"
        " ORDER BY first_start",
        (kind, tier, first, last, *series),
    )
    return map(Span._make, rows)


class Loose(IntEnum):
    """How far the windows of a block have come: they are cut anew while it is not settled."""

    SETTLED = 0
    FRESH = 1
    WIDE = 2


class StoredBlock(NamedTuple):
    """A block: `held` are its rows but the first `gone`, `valid` says which of these were not corrected since."""

    tier: int
    number: int
    gone: int
    held: Revised
    valid: Bools


class BlockTable:
    """The blocks of one kind of windows. Used inside the store's transactions.

    `kind` is the name of the table that has the windows of this kind that are in no block.
    """

    def __init__(self, db: sqlite3.Connection, kind: str, dtype: np.dtype[Any]) -> None:
        self._db = db
        self._kind = kind
        self._dtype = dtype
        self._keys: OrderedDict[int, Keys] = OrderedDict()
        self._bodies: OrderedDict[int, Revised] = OrderedDict()

    def snapshot(self) -> None:
        """Nothing is held that a rollback must bring back."""

    def restore(self, _: None) -> None:
        """After a rollback a number may come to stand for another block."""
        self.forget()

    def forget(self) -> None:
        """Forget what was decoded, after blocks were removed."""
        self._keys.clear()
        self._bodies.clear()

    def insert(self, tier: int, held: Revised) -> int:
        """Store windows that ascend by (start, series) as a fresh block; return its number."""
        number = self._insert(tier, held, Loose.FRESH)
        _keep(self._bodies, number, held, BODIES_KEPT)
        return number

    def replace(self, tier: int, numbers: Sequence[int], pieces: Iterable[Revised], loose: Loose) -> None:
        """Store windows as blocks, each by (start, series), in place of the blocks of these numbers."""
        for piece in pieces:
            self._insert(tier, piece, loose)
        chosen = "id IN (SELECT value FROM json_each(?))"
        for table in ("block_body", "block"):
            self._db.execute(f"DELETE FROM {table} WHERE {chosen}", (json.dumps(list(numbers)),))  # noqa: S608
        for number in numbers:
            self._keys.pop(number, None)
            self._bodies.pop(number, None)

    def _insert(self, tier: int, held: Revised, loose: Loose) -> int:
        rows = held.windows.rows
        start, series = rows["start"], rows["series"]
        ends = int(start[0]), int(start[-1]), int(series.min()), int(series.max())
        span = (ends[1] - ends[0]).bit_length()
        keys, body = encoded(held)
        number = self._db.execute(
            "INSERT INTO block(kind, tier, span, first_start, last_start, first_series, last_series, rows, size,"
            " loose, corrected) VALUES(?,?,?,?,?,?,?,?,?,?,?)",
            (self._kind, tier, span, *ends, len(rows), len(keys) + len(body), loose, NONE_CORRECTED),
        ).lastrowid
        assert number is not None
        self._db.execute("INSERT INTO block_body VALUES(?,?,?)", (number, keys, body))
        return number

    def read(self, number: int) -> Revised:
        """Return all rows of a block; StoreDamaged if it is not what was stored."""
        held = self._bodies.get(number)
        if held is None:
            held = read_block(self._db, number, self._dtype)
            _keep(self._bodies, number, held, BODIES_KEPT)
        return held

    def find(self, tier: int, start: Ints, series: Ints) -> dict[int, tuple[int, int]]:
        """Return block and row of those windows that are in a block and not corrected since, by their place here."""
        found: dict[int, tuple[int, int]] = {}
        if not len(start):
            return found
        ends = int(start.min()), int(start.max())
        for span in overlapping(self._db, self._kind, tier, *ends, (int(series.min()), int(series.max()))):
            within = (start >= span.first_start) & (start <= span.last_start)
            within &= (series >= span.first_series) & (series <= span.last_series)
            asked = np.flatnonzero(within)
            if len(asked):
                rows = self.keys(span.id).places(start[asked], series[asked])
                held = np.flatnonzero(rows >= 0)
                if len(held):
                    held = held[~self._marks(span.id)[rows[held]]]
                places = zip(asked[held].tolist(), rows[held].tolist(), strict=True)
                found |= {place: (span.id, row) for place, row in places}
        return found

    def correct(self, found: Places) -> None:
        """Note that these windows were corrected: from now on they are rows of the other table."""
        by_block: dict[int, list[int]] = {}
        for number, row in found.values():
            by_block.setdefault(number, []).append(row)
        for number, rows in by_block.items():
            marks = self._marks(number)
            marks[rows] = True
            change = "UPDATE block SET rows=rows-?, corrected=? WHERE id=?"
            self._db.execute(change, (len(rows), encoded_marks(marks), number))

    def _marks(self, number: int) -> Bools:
        (marks,) = self._db.execute("SELECT corrected FROM block WHERE id=?", (number,)).fetchone()
        return decoded_marks(marks, len(self.keys(number)))

    def rows_of(self, found: Places) -> Iterator[tuple[int, Revised]]:
        """Yield the windows that `find` found, each with its place."""
        for place, (number, row) in sorted(found.items(), key=lambda one: one[1]):
            yield place, self.read(number).take(np.array([row]))

    def keys(self, number: int) -> Keys:
        """Return the keys of a block."""
        keys = self._keys.get(number)
        if keys is None:
            row = self._db.execute("SELECT keys FROM block_body WHERE id=?", (number,)).fetchone()
            keys = decoded_keys(None if row is None else row[0])
        _keep(self._keys, number, keys, KEYS_KEPT)
        return keys

    def oldest(self, tier: int, count: int) -> Counter[int]:
        """Return starts (ms) of a tier with the number of their windows: all of the oldest `count`, and some more."""
        found: Counter[int] = Counter()
        waiting: list[int] = []
        for span in overlapping(self._db, self._kind, tier):
            while waiting and waiting[0] < span.first_start:
                count -= found[heappop(waiting)]
            if count <= 0:
                break
            start = self.keys(span.id).start
            start = start[(start >= span.first_start) & ~self._marks(span.id)]
            for at, windows in zip(
                *(column.tolist() for column in np.unique(start, return_counts=True)), strict=True
            ):
                if at not in found:
                    heappush(waiting, at)
                found[at] += windows
        return found

    def loose(
        self, tier: int, loose: Loose, series: tuple[int, int] = EVERY_SERIES
    ) -> Iterator[tuple[int, int, int]]:
        """Yield number, last start (ms) and weight of loose blocks that no outbox needs, by that start.

        The weight is in windows; blocks of more than WINDOW_BYTES a window, which have tails, weigh more. `series`: the
        least and the greatest number that the first series of a block may have.
        """
        held = (
            f"SELECT id, last_start, {_WEIGHT} FROM block WHERE {_LOOSE} AND first_series BETWEEN ?4 AND ?5"  # noqa: S608
            " AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.block=+block.id) ORDER BY last_start"
        )
        yield from self._db.execute(held, (self._kind, tier, loose, *series))

    def fullest(self, tier: int, cell: int) -> tuple[int, int]:
        """Return the cell of `cell` series with most in wide blocks, by its number, and the weight of these."""
        cells = f"SELECT first_series/?4 AS cell, SUM({_WEIGHT}) FROM block WHERE {_LOOSE} GROUP BY cell"  # noqa: S608
        row = self._db.execute(
            f"{cells} ORDER BY 2 DESC LIMIT 1", (self._kind, tier, Loose.WIDE, cell)
        ).fetchone()
        return row or (0, 0)

    def valid(self, number: int) -> Revised:
        """Return the windows of a block that count here, checked."""
        first, marks = self._db.execute(
            "SELECT first_start, corrected FROM block WHERE id=?", (number,)
        ).fetchone()
        held = read_block(self._db, number, self._dtype)
        start = held.windows.rows["start"]
        return held.take(np.flatnonzero((start >= first) & ~decoded_marks(marks, len(start))))

    def behind(self, after: int) -> Iterator[StoredBlock]:
        """Yield the blocks with numbers above `after` in order."""
        held = "SELECT id, tier, first_start FROM block WHERE kind=? AND id>? AND first_start<=last_start ORDER BY id"
        for number, tier, first in self._db.execute(held, (self._kind, after)).fetchall():
            block = self.read(number)
            gone = int(np.searchsorted(block.windows.rows["start"], first))
            yield StoredBlock(tier, number, gone, block.take(slice(gone, None)), ~self._marks(number)[gone:])

    def check(self, after: int, upto: int, limit: int) -> int | None:
        """Check at most `limit` blocks with numbers above `after` and up to `upto`; return the last, None at the end.

        Raises: StoreDamaged: one is not what was stored.
        """
        held = "SELECT id FROM block WHERE kind=? AND id>? AND id<=? ORDER BY id LIMIT ?"
        numbers = [number for (number,) in self._db.execute(held, (self._kind, after, upto, limit))]
        for number in numbers:
            read_block(self._db, number, self._dtype)
            self._marks(number)
        return numbers[-1] if numbers else None

    def newest(self) -> int:
        """Return the number of the newest block; 0 if there is none."""
        newest = "SELECT MAX(id) FROM block WHERE kind=?"
        return self._db.execute(newest, (self._kind,)).fetchone()[0] or 0

    def totals(self) -> tuple[int, int]:
        """Return how many windows are in blocks, and the bytes of these."""
        sums = "SELECT COALESCE(SUM(rows), 0), COALESCE(SUM(size), 0) FROM block"
        held = "WHERE kind=? AND first_start<=last_start"
        rows, size = self._db.execute(f"{sums} {held}", (self._kind,)).fetchone()
        return rows, size

    def span(self, tier: int) -> tuple[int, int] | None:
        """Return the starts (ms) of the oldest and the newest window in blocks of a tier; None if there are none."""
        ends = "SELECT MIN(first_start), MAX(last_start) FROM block WHERE kind=? AND tier=? AND first_start<=last_start"
        first, last = self._db.execute(ends, (self._kind, tier)).fetchone()
        return None if first is None else (first, last)

    def trim(self, tier: int, cut: int) -> int:
        """Let go of the rows of a tier that start before `cut` (ms); return how many.

        Blocks of which nothing is left stay where an outbox refers to them.
        """
        whole = "kind=? AND tier=? AND first_start<=last_start AND last_start<?"
        key = self._kind, tier, cut
        going = self._db.execute(f"SELECT id, rows, size FROM block WHERE {whole}", key).fetchall()  # noqa: S608
        gone = sum(rows for _, rows, _ in going)
        sizes = [(block_in_file(size), number) for number, _, size in going]
        self._db.executemany("UPDATE outbox SET size=? WHERE block=?", sizes)
        self._db.execute(f"UPDATE block SET first_start=last_start+1, rows=0 WHERE {whole}", key)  # noqa: S608
        for span in list(overlapping(self._db, self._kind, tier, last=max(cut - 1, -_LARGEST))):
            gone += self._shorten(span, cut)
        drop_unused(self._db, [number for number, _, _ in going])
        self.forget()
        return int(gone)

    def _shorten(self, span: Span, cut: int) -> int:
        """Let go of the first rows of a block; return how many of them were not corrected."""
        start, valid = self.keys(span.id).start, ~self._marks(span.id)
        before, now = np.searchsorted(start, [span.first_start, cut]).tolist()
        gone, left = int(valid[before:now].sum()), int(valid[now:].sum())
        self._db.execute(
            "UPDATE block SET first_start=?, rows=? WHERE id=?", (int(start[now]), left, span.id)
        )
        return gone


def drop_unused(db: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Remove those of these blocks that neither the history nor an outbox needs."""
    gone = (
        "SELECT id FROM block WHERE id IN (SELECT value FROM json_each(?)) AND first_start>last_start"
        " AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.block=+block.id)"
    )
    for table in ("block_body", "block") if numbers else ():
        db.execute(f"DELETE FROM {table} WHERE id IN ({gone})", (json.dumps(list(numbers)),))  # noqa: S608 - as above


def read_block(db: sqlite3.Connection, number: int, dtype: np.dtype[Any]) -> Revised:
    """Return all rows of a block; StoreDamaged if it is not what was stored."""
    row = db.execute("SELECT keys, body FROM block_body WHERE id=?", (number,)).fetchone()
    if row is None:
        raise StoreDamaged(f"block {number} of windows is missing")
    return decoded(row[0], row[1], dtype)


def in_pieces(windows: WindowBlock, most: int) -> Iterable[WindowBlock]:
    """Split windows into pieces of at most `most` rows, of about the same length."""
    pieces = -(-len(windows) // most)
    edges = [len(windows) * piece // pieces for piece in range(pieces + 1)]
    return (windows.take(slice(*ends)) for ends in pairwise(edges))


Kept = OrderedDict[int, Any]


def _keep(kept: Kept, number: int, item: object, most: int) -> None:
    """Keep the items used last."""
    kept[number] = item
    kept.move_to_end(number)
    if len(kept) > most:
        kept.popitem(last=False)

"""A table of closed windows: whole columns in and out, merged with rows that are stored already.

A stored row is the fixed-width bytes of the window, then its tail if it has one, then a CRC-32 of both: SQLite checks
the structure of its pages, not their content.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_gateway.records.window_block import Rows, WindowBlock, keys
from edge_gateway.store.block_body import Revised
from edge_gateway.store.block_table import BlockTable
from edge_gateway.store.newest_starts import NewestStarts
from edge_gateway.store.row_checksum import checked, with_checksum
from edge_gateway.store.schema import ROWS_A_STATEMENT, StoreDamaged, insert_many, looked_up, rows_at_once

Ints = NDArray[np.int64]
Key = tuple[int, int]
"""(start, series)"""

_LARGEST: Final = 1 << 62
_COLUMNS: Final = "(tier, start, series, revision, row)"
_BETWEEN: Final = "tier=? AND (start, series)>=(?, ?) AND (start, series)<=(?, ?)"


Merge = Callable[[WindowBlock, WindowBlock], WindowBlock]
"""Merges two blocks of the same windows row by row."""


SAMPLED: Final = 1_000
"""Windows whose average size stands for that of all: measuring them would read the whole file."""
CORRECTED: Final = 1
"""Windows of this revision and above contain late readings, even if they consist of nothing else."""


class Stored(NamedTuple):
    """A stored window: its series, its revision, its row without the checksum; block and row if it is in a block."""

    series: int
    revision: int
    data: bytes
    place: tuple[int, int] | None = None


class Found(NamedTuple):
    """Rows of one tier, their revisions, and the key (tier, start, series) of the last of them."""

    tier: int
    windows: WindowBlock
    revisions: Sequence[int]
    last: tuple[int, int, int]


class WindowTable:
    """The windows of one kind, in the table of that name; `series` in their rows are the store's numbers."""

    def __init__(self, db: sqlite3.Connection, table: str, dtype: np.dtype[Any], merge: Merge) -> None:
        self._db = db
        self._table = table
        self._dtype = dtype
        self._merge = merge
        self.blocks = BlockTable(db, table, dtype)
        self.newest = NewestStarts(self._newest())
        self.corrected: list[tuple[int, int, int]] = []
        """(tier, start, series) of stored windows that were merged with more; whoever reads it empties it."""

    def put(self, tier: int, windows: WindowBlock, *, first_revision: int = 0) -> WindowBlock:
        """Store windows; return them as they are stored now, merged with earlier rows.

        A merged window gets the next revision, a new one `first_revision`. Above 0 it is of late readings, most of
        which have a stored window, so that inserting them first would be in vain.
        """
        series, start = windows.rows["series"], windows.rows["start"]
        new = not first_revision and bool(self.newest.behind(tier, series, start).all())
        self.newest.note(tier, series, start)
        return self.put_new(tier, windows) if new else self._put_any(tier, windows, first_revision)

    def put_new(self, tier: int, windows: WindowBlock) -> WindowBlock:
        """Store windows none of which is stored yet; one that stands there twice is merged with itself."""
        return windows if self._insert_new(tier, windows) else self._put_any(tier, windows, 0)

    def _put_any(self, tier: int, windows: WindowBlock, first_revision: int) -> WindowBlock:
        runs = _without_repeats(windows.rows)
        taken = (windows.take(np.array(places, np.int64)) for places in runs)
        return WindowBlock.joined([self._put_known(tier, part, first_revision) for part in taken])

    def insert_absent(self, rows: Sequence[tuple[Any, ...]]) -> int:
        """Insert rows of the table whose windows are stored nowhere; return how many."""
        done = 0
        for tier in sorted({row[0] for row in rows}):
            chosen = [row for row in rows if row[0] == tier]
            start, series = np.array([row[1:3] for row in chosen], np.int64).T
            self.newest.note(tier, series, start)
            held = self.blocks.find(tier, start, series)
            absent = [row for place, row in enumerate(chosen) if place not in held]
            done += insert_many(self._db, f"INSERT OR IGNORE INTO {self._table}{_COLUMNS}", 5, absent)
        return done

    def put_absent(self, tier: int, held: Revised) -> int:
        """Store those of these windows, which ascend by (start, series), that are stored nowhere; return how many."""
        rows = held.windows.rows
        self.newest.note(tier, rows["series"], rows["start"])
        names = [(start, series) for series, start in keys(rows)]
        stored = self.find(tier, names)
        absent = np.array([place for place, key in enumerate(names) if key not in stored], np.int64)
        if len(absent):
            self.blocks.insert(tier, held.take(absent))
        return len(absent)

    def find(self, tier: int, keys: Iterable[Key]) -> dict[Key, Stored]:
        """Return the stored windows of these keys."""
        select = looked_up(self._table, "start, series, revision, hex(row)", ("start", "series"))
        wanted = list(keys)
        rows = rows_at_once(self._db, f"{select} WHERE tier={tier:d}", wanted)
        found = {
            (start, series): Stored(series, revision, self._checked(bytes.fromhex(data), start, series))
            for start, series, revision, data in rows
        }
        return found | self._in_blocks(tier, [key for key in wanted if key not in found])

    def _in_blocks(self, tier: int, keys: Sequence[Key]) -> dict[Key, Stored]:
        start, series = np.array(keys, np.int64).reshape(-1, 2).T
        found = self.blocks.find(tier, start, series)
        return {
            keys[place]: Stored(keys[place][1], int(revisions[0]), windows.packed()[0], found[place])
            for place, (windows, revisions) in self.blocks.rows_of(found)
        }

    def read(self, tier: int, keys: Iterable[Key]) -> WindowBlock:
        """Return the windows of these keys that are stored."""
        return self._packed([stored.data for stored in self.find(tier, keys).values()])

    def _store(
        self, tier: int, windows: WindowBlock, found: Mapping[int, Stored], first_revision: int
    ) -> WindowBlock:
        """Store windows, merging those at the places in `found`, of which no two may be the same stored window."""
        revisions = [first_revision] * len(windows)
        if found:
            places = np.array(sorted(found))
            merged = self._merged([found[place] for place in places.tolist()], windows.take(places))
            windows.put(places, merged)
            self.corrected += [(tier, start, series) for series, start in keys(merged.rows)]
            for place, stored in found.items():
                revisions[place] = stored.revision + 1
            in_blocks = {place: one.place for place, one in found.items() if one.place is not None}
            self.blocks.correct(in_blocks)
        self._insert("INSERT OR REPLACE", tier, windows, revisions)
        return windows

    def after(self, key: tuple[int, ...], limit: int) -> list[Found]:
        """Return at most `limit` rows with keys above (tier, start, series), in order, tier by tier."""
        rows = self._behind(key, limit)
        found = []
        for tier in sorted({row[0] for row in rows}):
            chosen = [row for row in rows if row[0] == tier]
            data = [self._checked(blob, start, series) for _, start, series, _, blob in chosen]
            found.append(Found(tier, self._packed(data), [row[3] for row in chosen], chosen[-1][:3]))
        return found

    def _behind(self, key: tuple[int, ...], limit: int) -> list[tuple[Any, ...]]:
        return self._db.execute(
            f"SELECT tier, start, series, revision, row FROM {self._table} WHERE (tier, start, series) > (?, ?, ?)"  # noqa: S608
            " ORDER BY tier, start, series LIMIT ?",
            (*key, limit),
        ).fetchall()

    def scrub(self, tier: int, after: Key, upto: int, limit: int) -> Key | None:
        """Check at most `limit` rows of a tier with keys above `after` that start at or before `upto` (ms).

        Returns the last row's key, None at the end. StoreDamaged if a checksum does not match.
        """
        rows = self._db.execute(
            f"SELECT start, series, row FROM {self._table}"  # noqa: S608
            " WHERE tier=? AND start<=? AND (start, series) > (?, ?) ORDER BY start, series LIMIT ?",
            (tier, upto, *after, limit),
        ).fetchall()
        for start, series, blob in rows:
            self._checked(blob, start, series)
        return rows[-1][:2] if rows else None

    def keys(self, tier: int, limit: int) -> Ints:
        """Return start (ms) and series of the first rows of a tier, at most `limit`, in order: an array of pairs."""
        first = f"SELECT start, series FROM {self._table} WHERE tier=? ORDER BY start, series LIMIT ?"  # noqa: S608
        numbers = chain.from_iterable(self._db.execute(first, (tier, limit)))
        return np.fromiter(numbers, np.int64).reshape(-1, 2)

    def count(self, tier: int, limit: int) -> int:
        """Return how many rows a tier has; `limit` if there are more."""
        some = f"SELECT 1 FROM {self._table} WHERE tier=? LIMIT ?"  # noqa: S608
        count: int = self._db.execute(f"SELECT COUNT(*) FROM ({some})", (tier, limit)).fetchone()[0]  # noqa: S608
        return count

    def between(self, tier: int, first: Key, last: Key) -> Iterator[Revised]:
        """Yield the rows of a tier with keys from `first` to `last`, checked, in order, some at a time."""
        select = f"SELECT start, series, revision, row FROM {self._table} WHERE {_BETWEEN}"  # noqa: S608
        rows = self._db.execute(select, (tier, *first, *last))
        while some := rows.fetchmany(ROWS_A_STATEMENT):
            windows = self._packed([self._checked(blob, start, series) for start, series, _, blob in some])
            yield Revised(windows, np.array([revision for _, _, revision, _ in some], np.int64))

    def delete_between(self, tier: int, first: Key, last: Key) -> None:
        """Remove these rows."""
        self._db.execute(f"DELETE FROM {self._table} WHERE {_BETWEEN}", (tier, *first, *last))  # noqa: S608

    def delete_before(self, tier: int, start: int) -> int:
        """Remove windows of a tier that start before `start` (ms); return how many."""
        statement = f"DELETE FROM {self._table} WHERE tier=? AND start<?"  # noqa: S608
        return self._db.execute(statement, (tier, start)).rowcount + self.blocks.trim(tier, start)

    def starts(self, tier: int, count: int) -> Counter[int]:
        """Return the oldest starts (ms) of a tier with the number of their windows, at least `count` if there are."""
        found: Counter[int] = Counter()
        groups = f"SELECT start, COUNT(*) FROM {self._table} WHERE tier=? GROUP BY start ORDER BY start"  # noqa: S608
        for start, rows in self._db.execute(groups, (tier,)):
            found[start] = rows
            if found.total() > count:
                break
        return found + self.blocks.oldest(tier, count)

    def row_bytes(self) -> float:
        """Return the average bytes of some windows that are in no block; 0 if there are none."""
        some = f"SELECT LENGTH(row) AS size FROM {self._table} LIMIT {SAMPLED}"  # noqa: S608
        return self._db.execute(f"SELECT AVG(size) FROM ({some})").fetchone()[0] or 0.0  # noqa: S608

    def span(self, tier: int) -> tuple[int, int] | None:
        """Return the starts (ms) of the oldest and the newest window of a tier; None if it has none."""
        spans = [span for span in (self.row_span(tier), self.blocks.span(tier)) if span is not None]
        return (min(span[0] for span in spans), max(span[1] for span in spans)) if spans else None

    def row_span(self, tier: int) -> tuple[int, int] | None:
        """The same of the windows that are in no block."""
        ends = [
            self._db.execute(f"SELECT {end}(start) FROM {self._table} WHERE tier=?", (tier,)).fetchone()[0]  # noqa: S608
            for end in ("MIN", "MAX")
        ]
        return None if ends[0] is None else (ends[0], ends[1])

    def _newest(self) -> dict[int, int]:
        """Return the newest start (ms) of each tier that has windows."""
        tiers = "SELECT tier FROM {} UNION SELECT tier FROM block WHERE kind=?"
        known = self._db.execute(tiers.format(self._table), (self._table,)).fetchall()
        spans = {tier: self.span(tier) for (tier,) in known}
        return {tier: span[1] for tier, span in spans.items() if span is not None}

    def _checked(self, blob: object, start: int, series: int) -> bytes:
        data = checked(blob, start, series)
        if data is None:
            raise StoreDamaged(f"checksum mismatch in table {self._table}: series {series}, start {start}")
        return data

    def _merged(self, stored: Sequence[Stored], more: WindowBlock) -> WindowBlock:
        held = self._packed([one.data for one in stored])
        more.rows["series"] = held.rows["series"]
        return self._merge(held, more)

    def _packed(self, stored: Sequence[bytes]) -> WindowBlock:
        return WindowBlock.unpacked(stored, self._dtype)

    def _insert_new(self, tier: int, windows: WindowBlock) -> bool:
        """Insert rows if none of them is stored yet; otherwise do nothing and return False."""
        self._db.execute("SAVEPOINT put")
        inserted = self._insert("INSERT OR IGNORE", tier, windows, [0] * len(windows))
        if inserted != len(windows):
            self._db.execute("ROLLBACK TO put")
        self._db.execute("RELEASE put")
        return inserted == len(windows)

    def _put_known(self, tier: int, windows: WindowBlock, first_revision: int) -> WindowBlock:
        keys = list(zip(windows.rows["start"].tolist(), windows.rows["series"].tolist(), strict=True))
        stored = self.find(tier, keys)
        found = {place: stored[key] for place, key in enumerate(keys) if key in stored}
        return self._store(tier, windows, found, first_revision)

    def _insert(self, insert: str, tier: int, windows: WindowBlock, revisions: Sequence[int]) -> int:
        facts = zip(keys(windows.rows), revisions, windows.packed(), strict=True)
        values = [
            (tier, start, series, revision, with_checksum(row)) for (series, start), revision, row in facts
        ]
        return insert_many(self._db, f"{insert} INTO {self._table}{_COLUMNS}", 5, values)


def _without_repeats(rows: Rows) -> list[list[int]]:
    """Split the places of rows into runs of bounded length in which no window occurs twice."""
    runs: list[list[int]] = [[]]
    seen: set[Key] = set()
    for place, key in enumerate(zip(rows["start"].tolist(), rows["series"].tolist(), strict=True)):
        if key in seen or len(seen) >= ROWS_A_STATEMENT:
            runs.append([])
            seen.clear()
        runs[-1].append(place)
        seen.add(key)
    return runs

"""A table of closed windows: whole columns in and out, merged with rows that are stored already.

A stored row is the fixed-width bytes of the window, then its tail if it has one, then a CRC-32 of both: SQLite checks
the structure of its pages, not their content.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from edge_gateway.store.row_checksum import checked, with_checksum
from edge_gateway.store.schema import ROWS_A_STATEMENT, StoreDamaged, insert_many, looked_up, rows_at_once

Rows = np.ndarray[Any, Any]
Key = tuple[int, int]
"""(start, series)"""

_COLUMNS: Final = "(tier, start, series, revision, row)"


@dataclass(frozen=True, slots=True)
class Packed:
    """Rows of one tier, and their tails as bytes, by place in `rows`, where they have one."""

    rows: Rows
    tails: Mapping[int, bytes] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, places: Sequence[int]) -> "Packed":
        """Return copies of the rows at these places, with their tails."""
        tails = (
            {new: self.tails[old] for new, old in enumerate(places) if old in self.tails}
            if self.tails
            else {}
        )
        return Packed(self.rows[np.array(places, np.int64)], tails)


Merge = Callable[[Packed, Packed], Packed]
"""Merges two blocks of the same windows row by row."""


CORRECTED: Final = 1
"""Windows of this revision and above contain late readings, even if they consist of nothing else."""


class Stored(NamedTuple):
    """A stored window: its series, its revision, and its row without the checksum."""

    series: int
    revision: int
    data: bytes


class Found(NamedTuple):
    """Rows of one tier, their revisions, and the key (tier, start, series) of the last of them."""

    tier: int
    windows: Packed
    revisions: Sequence[int]
    last: tuple[int, int, int]


class WindowTable:
    """The windows of one kind, in the table of that name; `series` in their rows are the store's numbers."""

    def __init__(self, db: sqlite3.Connection, table: str, dtype: np.dtype[Any], merge: Merge) -> None:
        self._db = db
        self._table = table
        self._dtype = dtype
        self._merge = merge
        self.corrected: list[tuple[int, int, int]] = []
        """(tier, start, series) of stored windows that were merged with more; whoever reads it empties it."""

    def put(self, tier: int, windows: Packed, *, first_revision: int = 0) -> Packed:
        """Store windows; return them as they are stored now, merged with earlier rows.

        A merged window gets the next revision, a new one `first_revision`. Above 0 it is of late readings, most of
        which have a stored window, so that inserting them first would be in vain.
        """
        if not first_revision and self._insert_new(tier, windows):
            return windows
        runs = _without_repeats(windows.rows)
        return joined([self._put_known(tier, windows.take(places), first_revision) for places in runs])

    def find(self, tier: int, keys: Iterable[Key]) -> dict[Key, Stored]:
        """Return the stored windows of these keys."""
        select = looked_up(self._table, "start, series, revision, hex(row)", ("start", "series"))
        found = rows_at_once(self._db, f"{select} WHERE tier={tier:d}", list(keys))
        return {
            (start, series): Stored(series, revision, self._checked(bytes.fromhex(data), start, series))
            for start, series, revision, data in found
        }

    def read(self, tier: int, keys: Iterable[Key]) -> Packed:
        """Return the windows of these keys that are stored."""
        return self._packed([stored.data for stored in self.find(tier, keys).values()])

    def _store(self, tier: int, windows: Packed, found: Mapping[int, Stored], first_revision: int) -> Packed:
        """Store windows, merging those at the places in `found`, of which no two may be the same stored window."""
        rows, tails = np.array(windows.rows), dict(windows.tails)
        revisions = [first_revision] * len(rows)
        if found:
            places = sorted(found)
            merged = self._merged([found[place] for place in places], windows.take(places))
            rows[places] = merged.rows
            keys = zip(merged.rows["start"].tolist(), merged.rows["series"].tolist(), strict=True)
            self.corrected += [(tier, *key) for key in keys]
            for new, place in enumerate(places):
                revisions[place] = found[place].revision + 1
                tails.pop(place, None)
                if new in merged.tails:
                    tails[place] = merged.tails[new]
        self._insert("INSERT OR REPLACE", tier, Packed(rows, tails), revisions)
        return Packed(rows, tails)

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

    def delete_before(self, tier: int, start: int) -> int:
        """Remove windows of a tier that start before `start` (ms); return how many."""
        statement = f"DELETE FROM {self._table} WHERE tier=? AND start<?"  # noqa: S608
        return self._db.execute(statement, (tier, start)).rowcount

    def sizes(self, tier: int) -> str:
        """Return a SELECT of the `start` (ms) and `size` (bytes) of each window of a tier."""
        return f"SELECT start, LENGTH(row) AS size FROM {self._table} WHERE tier={tier:d}"  # noqa: S608

    def span(self, tier: int) -> tuple[int, int] | None:
        """Return the starts (ms) of the oldest and the newest window of a tier; None if it has none."""
        ends = [
            self._db.execute(f"SELECT {end}(start) FROM {self._table} WHERE tier=?", (tier,)).fetchone()[0]  # noqa: S608
            for end in ("MIN", "MAX")
        ]
        return None if ends[0] is None else (ends[0], ends[1])

    def _checked(self, blob: object, start: int, series: int) -> bytes:
        data = checked(blob, start, series)
        if data is None:
            raise StoreDamaged(f"checksum mismatch in table {self._table}: series {series}, start {start}")
        return data

    def _merged(self, stored: Sequence[Stored], more: Packed) -> Packed:
        held = self._packed([one.data for one in stored])
        more.rows["series"] = held.rows["series"]
        return self._merge(held, more)

    def _packed(self, stored: Sequence[bytes]) -> Packed:
        size = self._dtype.itemsize
        rows = np.frombuffer(b"".join(data[:size] for data in stored), self._dtype)
        return Packed(rows, {place: data[size:] for place, data in enumerate(stored) if len(data) > size})

    def _insert_new(self, tier: int, windows: Packed) -> bool:
        """Insert rows if none of them is stored yet; otherwise do nothing and return False."""
        self._db.execute("SAVEPOINT put")
        inserted = self._insert("INSERT OR IGNORE", tier, windows, [0] * len(windows))
        if inserted != len(windows):
            self._db.execute("ROLLBACK TO put")
        self._db.execute("RELEASE put")
        return inserted == len(windows)

    def _put_known(self, tier: int, windows: Packed, first_revision: int) -> Packed:
        keys = list(zip(windows.rows["start"].tolist(), windows.rows["series"].tolist(), strict=True))
        stored = self.find(tier, keys)
        found = {place: stored[key] for place, key in enumerate(keys) if key in stored}
        return self._store(tier, windows, found, first_revision)

    def _insert(self, insert: str, tier: int, windows: Packed, revisions: Sequence[int]) -> int:
        size = self._dtype.itemsize
        rows, data, tail = windows.rows, windows.rows.tobytes(), windows.tails.get
        facts = zip(rows["start"].tolist(), rows["series"].tolist(), revisions, strict=True)
        values = [
            (tier, *fact, with_checksum(data[i * size : (i + 1) * size] + tail(i, b"")))
            for i, fact in enumerate(facts)
        ]
        return insert_many(self._db, f"{insert} INTO {self._table}{_COLUMNS}", 5, values)


def joined(pieces: Sequence[Packed]) -> Packed:
    """Concatenate pieces."""
    tails: dict[int, bytes] = {}
    start = 0
    for piece in pieces:
        tails |= {start + place: tail for place, tail in piece.tails.items()}
        start += len(piece)
    return Packed(np.concatenate([piece.rows for piece in pieces]), tails)


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

"""Merge late readings into stored windows: read the row, merge, store, send the correction.

A reading is removed from the late table and merged in one transaction, so it counts once. A point is never
written over a window whose earlier readings are unknown: where no row is stored, a new one is made only at or after
the coverage floor, the time from which on the store is known to be complete, and rows before `frozen`, of which it is
not known what they contain, do not change. A reading without a window to go to is counted and sent to a measurement of
its own, `sensor_late`.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from edge_gateway.store.counters import StoreCounters
from edge_gateway.store.names import NameTables
from edge_gateway.store.outgoing_lines import TOO_LATE
from edge_gateway.store.schema import insert_many
from edge_gateway.store.series_use import SeriesUse
from edge_gateway.store.settings import StoreSettings
from edge_gateway.store.window_kinds import WindowKind
from edge_gateway.store.window_table import CORRECTED, Packed, Stored
from edge_gateway.windows.reduce import Readings
from edge_gateway.windows.rows import keys

AT_ONCE: Final = 2_000
"""Late readings merged in one transaction."""

Ints = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


class Coverage(NamedTuple):
    """Times in ms: from `floor` on every closed window is stored; windows that start before `frozen` do not change."""

    floor: int
    frozen: int


class LateLines(Protocol):
    """Receives corrected windows, and readings that came too late."""

    def windows(self, tier: int, windows: Packed, at: int) -> None: ...
    def late(self, series: Ints, readings: Readings, at: int, why: str) -> None: ...


@dataclass(frozen=True, slots=True)
class LatePiece:
    """The oldest late readings as columns.

    A family is all series of one device and metric, whatever their tags.

    Attributes:
        series: the store's series numbers.
        readings: the same readings, with the place of the family in `families` as their series.
        tiers: bit mask of the tiers each reading must be merged in.
        families: the store's series numbers of each family.
        p95: of each family, whether its windows have a p95.
        upto: id of the last reading.
        at: wall time in ms of the last reading's record.
    """

    series: Ints
    readings: Readings
    tiers: Ints
    families: list[list[int]]
    p95: Bools
    upto: int
    at: int

    def __len__(self) -> int:
        return len(self.series)


def base_bit(tiers: Ints) -> Ints:
    """Return the lowest bit of each mask: the finest tier a reading must be merged in."""
    finest: Ints = tiers & -tiers
    return finest


class LateJob:
    """Merges late readings of one kind into stored windows. Used inside the store's transactions."""

    def __init__(
        self,
        db: sqlite3.Connection,
        names: NameTables,
        counters: StoreCounters,
        settings: StoreSettings,
        kind: WindowKind,
        *,
        use: SeriesUse,
    ) -> None:
        self._db = db
        self._names = names
        self._counters = counters
        self._settings = settings
        self._kind = kind
        self._use = use
        self.windows = kind.windows
        self.pending = 0
        self.recount()

    def recount(self) -> None:
        """Count the readings in the table again, after rows were inserted by others."""
        (self.pending,) = self._db.execute(f"SELECT COUNT(*) FROM {self._kind.late}").fetchone()  # noqa: S608

    def snapshot(self) -> int:
        """Return what memory holds, for `restore` after a rollback."""
        return self.pending

    def restore(self, snapshot: int) -> None:
        """Go back to what was committed."""
        self.pending = snapshot

    def add(self, at: int, columns: Sequence[np.ndarray[Any, Any]]) -> None:
        """Add readings for a later run: columns series (the store's), ts, value, quality and tiers; `at` in ms."""
        rows = [(*row, at) for row in zip(*(column.tolist() for column in columns), strict=True)]
        into = f"INSERT INTO {self._kind.late}(series, ts, value, quality, tiers, at)"
        self.pending += insert_many(self._db, into, 6, rows)

    def run(self, coverage: Coverage, lines: LateLines) -> int:
        """Merge the oldest readings; return how many were taken from the table."""
        piece = self._oldest()
        if piece is None:
            return 0
        too_late = np.zeros(len(piece), np.bool_)
        for tier in range(len(self._settings.tiers)):
            refused = self._merge_tier(tier, piece, coverage, lines)
            too_late |= refused & (base_bit(piece.tiers) == 1 << tier)
        self._account(piece, too_late, lines)
        self._db.execute(f"DELETE FROM {self._kind.late} WHERE id<=?", (piece.upto,))  # noqa: S608
        self.pending -= len(piece)
        return len(piece)

    def _oldest(self) -> LatePiece | None:
        columns = "SELECT id, series, ts, value, quality, tiers, at"
        rows = self._db.execute(
            f"{columns} FROM {self._kind.late} ORDER BY id LIMIT ?", (AT_ONCE,)
        ).fetchall()
        if not rows:
            return None
        ids, series, ts, value, quality, tiers, at = zip(*rows, strict=True)
        numbers = np.array(series, np.int64)
        families, places, p95 = self._families(numbers)
        readings = Readings(
            places, np.array(ts, np.int64), np.array(value, np.float64), np.array(quality, np.uint16)
        )
        return LatePiece(numbers, readings, np.array(tiers, np.int64), families, p95, ids[-1], at[-1])

    def _families(self, series: Ints) -> tuple[list[list[int]], Ints, Bools]:
        """Return the families of these series, the family of each reading, and whether each family has a p95."""
        numbers, places = np.unique(series, return_inverse=True)
        found = self._names.families(numbers.tolist())
        first = [found[number][0] for number in numbers.tolist()]
        heads, family_of = np.unique(np.array(first, np.int64), return_inverse=True)
        identities = self._names.identities(heads.tolist())
        p95 = [identities[head].metric in self._settings.p95_metrics for head in heads.tolist()]
        by_head = {members[0]: members for members in found.values()}
        families = [by_head[head] for head in heads.tolist()]
        return families, family_of[places].astype(np.int64), np.array(p95, np.bool_)

    def _merge_tier(self, tier: int, piece: LatePiece, coverage: Coverage, lines: LateLines) -> Bools:
        """Merge readings into windows of one tier; return which had no window to go to."""
        refused = np.zeros(len(piece), np.bool_)
        chosen = np.flatnonzero(piece.tiers >> tier & 1)
        if not len(chosen):
            return refused
        every = self._settings.tiers[tier].every
        readings = piece.readings.rows(chosen)
        windows = self._kind.reduce(every, readings, piece.p95)
        families = windows.rows["series"].copy()
        found = self._find(tier, windows, piece.families)
        unstored = np.array([place not in found for place in range(len(windows))], np.bool_)
        starts = windows.rows["start"]
        lost = (unstored & (starts < coverage.floor)) | (starts < coverage.frozen)
        self._name(windows, piece.series[chosen], readings, every)
        kept = np.flatnonzero(~lost).tolist()
        if kept:
            stored = {new: found[place] for new, place in enumerate(kept) if place in found}
            now = self._kind.windows.store(tier, windows.take(kept), stored, first_revision=CORRECTED)
            self._use.note(now.rows["series"], now.rows["start"])
            lines.windows(tier, now, piece.at)
        refused[chosen] = _within(readings, every, families[lost], windows.rows["start"][lost])
        return refused

    def _find(self, tier: int, windows: Packed, families: list[list[int]]) -> dict[int, Stored]:
        """Return by place the stored window of the same family and start, whatever tags it was opened with."""
        places = keys(windows.rows)
        wanted = [(start, series) for family, start in places for series in families[family]]
        stored = self._kind.windows.find(tier, wanted)
        found = {}
        for place, (family, start) in enumerate(places):
            for series in families[family]:
                if (start, series) in stored:
                    found[place] = stored[start, series]
        return found

    def _name(self, windows: Packed, series: Ints, readings: Readings, every: int) -> None:
        """Give each window the series of its first reading, which counts for those that are not stored yet."""
        order = np.lexsort((-readings.ts, readings.series))
        starts = (readings.ts - readings.ts % every)[order].tolist()
        first = dict(
            zip(
                zip(readings.series[order].tolist(), starts, strict=True), series[order].tolist(), strict=True
            )
        )
        windows.rows["series"] = [first[key] for key in keys(windows.rows)]

    def _account(self, piece: LatePiece, too_late: Bools, lines: LateLines) -> None:
        refused = np.flatnonzero(too_late)
        self._counters.add("late_merged", len(piece) - len(refused))
        self._counters.add("late_too_late", len(refused))
        if len(refused):
            lines.late(piece.series[refused], piece.readings.rows(refused), piece.at, TOO_LATE)


def _within(readings: Readings, every: int, series: Ints, starts: Ints) -> Bools:
    """Return which readings fall into one of these windows."""
    lost = set(zip(series.tolist(), starts.tolist(), strict=True))
    begins = (readings.ts - readings.ts % every).tolist()
    windows = zip(readings.series.tolist(), begins, strict=True)
    return np.array([window in lost for window in windows], np.bool_)

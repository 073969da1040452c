"""Readings that came after their window was closed: read the stored row, merge, store, send the correction.

A reading is taken from the late table and merged in one transaction, so it counts once whatever happens
between. A point is never written over a window whose earlier state is not held: where no row is stored, a
new one is made only at or after the coverage floor, the time from which on the store is known to be
complete. Where it is not known which readings a stored row has, it is frozen. What has no window to go to goes
to a measurement of its own and is counted.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from edge_gateway.store.counters import StoreCounters
from edge_gateway.store.names import NameTables
from edge_gateway.store.schema import insert_many
from edge_gateway.store.series_use import SeriesUse
from edge_gateway.store.settings import StoreSettings
from edge_gateway.store.window_kinds import WindowKind
from edge_gateway.store.window_table import CORRECTED, Packed, Stored
from edge_gateway.windows.reduce import Readings

AT_ONCE: Final = 2_000
"""Late readings merged in one transaction."""

Ints = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


class Coverage(NamedTuple):
    """Times in ms: windows from `floor` on are stored if there are any; those before `frozen` do not change."""

    floor: int
    frozen: int


class LateLines(Protocol):
    """Where corrected windows and readings that came too late are sent."""

    def windows(self, tier: int, windows: Packed, at: int) -> None: ...
    def late(self, series: Ints, readings: Readings, at: int) -> None: ...


@dataclass(frozen=True, slots=True)
class LatePiece:
    """The oldest late readings as columns.

    Attributes:
        series: the store's numbers.
        readings: the same readings, `series` numbered from 0 by device and metric.
        tiers: bits of the tiers each must be merged in.
        families: by those numbers, all series of the store that have this device and metric.
        p95: by those numbers, whether the metric has a p95.
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
    """The bit of the finest tier each reading must be merged in."""
    finest: Ints = tiers & -tiers
    return finest


class LateJob:
    """Late readings of one kind, from their table into stored windows. Used inside the store's transactions."""

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
        """Count what waits, after rows were put in from elsewhere."""
        (self.pending,) = self._db.execute(f"SELECT COUNT(*) FROM {self._kind.late}").fetchone()  # noqa: S608

    def memory(self) -> int:
        """What memory holds now, to go back to after a rollback."""
        return self.pending

    def recall(self, memory: int) -> None:
        """Back to what was committed."""
        self.pending = memory

    def add(self, at: int, columns: Sequence[np.ndarray[Any, Any]]) -> None:
        """Keep readings for the next run: columns series (the store's), ts, value, quality, tiers."""
        rows = [(*row, at) for row in zip(*(column.tolist() for column in columns), strict=True)]
        into = f"INSERT INTO {self._kind.late}(series, ts, value, quality, tiers, at)"
        self.pending += insert_many(self._db, into, 6, rows)

    def run(self, coverage: Coverage, lines: LateLines) -> int:
        """Merge the oldest readings; returns how many were taken from the table."""
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
        """Families of series, which one each reading belongs to, and which have a p95."""
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
        """Merge the readings of one tier; returns which had no window to go to."""
        refused = np.zeros(len(piece), np.bool_)
        chosen = np.flatnonzero(piece.tiers >> tier & 1)
        if not len(chosen):
            return refused
        every = self._settings.tiers[tier].every
        readings = piece.readings.rows(chosen)
        windows = self._kind.reduce(every, readings, piece.p95)
        families = windows.rows["series"].copy()
        found = self._find(tier, windows, piece.families)
        homeless = np.array([place not in found for place in range(len(windows))], np.bool_)
        starts = windows.rows["start"]
        lost = (homeless & (starts < coverage.floor)) | (starts < coverage.frozen)
        self._name(windows, piece.series[chosen], readings, every)
        kept = np.flatnonzero(~lost).tolist()
        if kept:
            stored = {new: found[place] for new, place in enumerate(kept) if place in found}
            now = self._kind.windows.store(tier, windows.take(kept), stored, begun=CORRECTED)
            self._use.note(now.rows["series"], now.rows["start"])
            lines.windows(tier, now, piece.at)
        refused[chosen] = _within(readings, every, families[lost], windows.rows["start"][lost])
        return refused

    def _find(self, tier: int, windows: Packed, families: list[list[int]]) -> dict[int, Stored]:
        """The stored window each window belongs to, whatever tags it was opened with."""
        places = list(zip(windows.rows["start"].tolist(), windows.rows["series"].tolist(), strict=True))
        keys = [(start, series) for start, family in places for series in families[family]]
        stored = self._kind.windows.find(tier, keys)
        found = {}
        for place, (start, family) in enumerate(places):
            for series in families[family]:
                if (start, series) in stored:
                    found[place] = stored[start, series]
        return found

    def _name(self, windows: Packed, series: Ints, readings: Readings, every: int) -> None:
        """Give each window the series of its first reading, for those that are not stored yet."""
        order = np.lexsort((-readings.ts, readings.series))
        starts = (readings.ts - readings.ts % every)[order].tolist()
        first = dict(
            zip(
                zip(readings.series[order].tolist(), starts, strict=True), series[order].tolist(), strict=True
            )
        )
        placed = zip(windows.rows["series"].tolist(), windows.rows["start"].tolist(), strict=True)
        windows.rows["series"] = [first[key] for key in placed]

    def _account(self, piece: LatePiece, too_late: Bools, lines: LateLines) -> None:
        refused = np.flatnonzero(too_late)
        self._counters.add("late_merged", len(piece) - len(refused))
        self._counters.add("late_too_late", len(refused))
        if len(refused):
            lines.late(piece.series[refused], piece.readings.rows(refused), piece.at)


def _within(readings: Readings, every: int, series: Ints, starts: Ints) -> Bools:
    """Which readings lie in one of these windows."""
    lost = set(zip(series.tolist(), starts.tolist(), strict=True))
    begins = (readings.ts - readings.ts % every).tolist()
    keys = zip(readings.series.tolist(), begins, strict=True)
    return np.array([key in lost for key in keys], np.bool_)

"""Merge late readings into stored windows: read the row, merge, store, send the correction.

A reading is removed from the late table and merged in one transaction, so it counts once. It is merged in every tier
that it must be merged in, or in none: what one tier refuses, no tier takes. A refused reading is counted and sent to a
measurement of its own, `sensor_late`.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from edge_gateway.records.store_effects import Kind, Stamp
from edge_gateway.records.window_block import WindowBlock, keys
from edge_gateway.store.counters import StoreCounters
from edge_gateway.store.coverage import Coverage
from edge_gateway.store.names import NameTables
from edge_gateway.store.outgoing_lines import NOT_KNOWN, TOO_LATE
from edge_gateway.store.schema import insert_many
from edge_gateway.store.settings import StoreSettings
from edge_gateway.store.window_kinds import WindowKind
from edge_gateway.windows.reduce import Readings

AT_ONCE: Final = 2_000
"""Late readings merged in one transaction."""

Ints = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


class LateLines(Protocol):
    """Receives corrected windows, and readings that came too late."""

    def windows(self, tier: int, windows: WindowBlock, at: Stamp) -> None: ...
    def late(self, series: Ints, readings: Readings, nth: Ints, at: Stamp, why: str) -> None: ...


@dataclass(frozen=True, slots=True)
class LatePiece:
    """The oldest late readings as columns.

    A family is all series of one device and metric, whatever their tags.

    Attributes:
        series: the store's series numbers.
        readings: the same readings, with the number of the family as their series, counted from 0.
        tiers: bit mask of the tiers each reading must be merged in.
        nth: number of each reading within its ms.
        p95: of each family, whether its windows have a p95.
        upto: id of the last reading.
        at: when the last reading came.
    """

    series: Ints
    readings: Readings
    tiers: Ints
    nth: Ints
    p95: Bools
    upto: int
    at: Stamp

    def __len__(self) -> int:
        return len(self.series)


class LateJob:
    """Merges late readings of one kind into stored windows. Used inside the store's transactions."""

    def __init__(
        self,
        db: sqlite3.Connection,
        names: NameTables,
        counters: StoreCounters,
        settings: StoreSettings,
        kind: WindowKind,
    ) -> None:
        self._db = db
        self._names = names
        self._counters = counters
        self._settings = settings
        self._kind = kind
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

    def add(self, at: Stamp, columns: Sequence[np.ndarray[Any, Any]]) -> None:
        """Add readings for a later run, which came at `at`.

        `columns`: series (the store's), ts, value, quality, tiers and nth.
        """
        rows = [(*row, *at) for row in zip(*(column.tolist() for column in columns), strict=True)]
        into = f"INSERT INTO {self._kind.late}(series, ts, value, quality, tiers, nth, at, aged)"
        self.pending += insert_many(self._db, into, 8, rows)

    def run(self, coverage: Coverage, lines: LateLines, *, each_tier: bool = False) -> int:
        """Merge the oldest readings; return how many were taken from the table.

        `each_tier`: merge a reading in the tiers that admit it, whatever the others do. Of one that none admits nobody
        knows then whether a window that is lost had it.
        """
        piece = self._oldest()
        if piece is None:
            return 0
        of_all, refusals = self._refusals(piece, coverage)
        refused, why = (refusals == of_all, NOT_KNOWN) if each_tier else (refusals > 0, TOO_LATE)
        for tier in range(len(self._settings.tiers)):
            self._merge_tier(tier, piece, ~refused, coverage, lines)
        self._account(piece, refused, lines, why)
        self._db.execute(f"DELETE FROM {self._kind.late} WHERE id<=?", (piece.upto,))  # noqa: S608
        self.pending -= len(piece)
        return len(piece)

    def _oldest(self) -> LatePiece | None:
        columns = "SELECT id, series, ts, value, quality, tiers, nth, at, aged"
        rows = self._db.execute(
            f"{columns} FROM {self._kind.late} ORDER BY id LIMIT ?", (AT_ONCE,)
        ).fetchall()
        if not rows:
            return None
        ids, series, ts, value, quality, tiers, nth, at, aged = zip(*rows, strict=True)
        numbers = np.array(series, np.int64)
        places, p95 = self._families(numbers)
        readings = Readings(
            places, np.array(ts, np.int64), np.array(value, np.float64), np.array(quality, np.uint16)
        )
        masks, within = np.array(tiers, np.int64), np.array(nth, np.int64)
        return LatePiece(numbers, readings, masks, within, p95, ids[-1], Stamp(at[-1], aged[-1]))

    def _families(self, series: Ints) -> tuple[Ints, Bools]:
        """Return the family of each reading, counted from 0, and whether each family has a p95."""
        numbers, places = np.unique(series, return_inverse=True)
        found = self._names.families(numbers.tolist())
        first = [found[number][0] for number in numbers.tolist()]
        heads, family_of = np.unique(np.array(first, np.int64), return_inverse=True)
        identities = self._names.identities(heads.tolist())
        p95 = [identities[head].metric in self._settings.p95_metrics for head in heads.tolist()]
        return family_of[places].astype(np.int64), np.array(p95, np.bool_)

    def _refusals(self, piece: LatePiece, coverage: Coverage) -> tuple[Ints, Ints]:
        """Return of each reading how many windows it must enter, one a tier, and how many of them it may not."""
        every, refusals = np.zeros(len(piece), np.int64), np.zeros(len(piece), np.int64)
        for tier, settings in enumerate(self._settings.tiers):
            chosen = np.flatnonzero(piece.tiers >> tier & 1)
            ts = piece.readings.ts[chosen]
            start = ts - ts % settings.every
            every[chosen] += 1
            refusals[chosen] += self.windows.refuses(tier, piece.series[chosen], start, coverage)
        return every, refusals

    def _merge_tier(
        self, tier: int, piece: LatePiece, taken: Bools, coverage: Coverage, lines: LateLines
    ) -> None:
        chosen = np.flatnonzero((piece.tiers >> tier & 1).astype(np.bool_) & taken)
        if not len(chosen):
            return
        every = self._settings.tiers[tier].every
        readings = piece.readings.rows(chosen)
        windows = self._kind.reduce(every, readings, piece.p95)
        self._name(windows, piece.series[chosen], readings, every)
        lines.windows(tier, self.windows.merge(tier, windows, Kind.LATE, coverage).stored, piece.at)

    def _name(self, windows: WindowBlock, series: Ints, readings: Readings, every: int) -> None:
        """Give each window the series of its first reading, which counts if it is not stored yet."""
        order = np.lexsort((-readings.ts, readings.series))
        starts = (readings.ts - readings.ts % every)[order].tolist()
        first = dict(
            zip(
                zip(readings.series[order].tolist(), starts, strict=True), series[order].tolist(), strict=True
            )
        )
        windows.rows["series"] = [first[key] for key in keys(windows.rows)]

    def _account(self, piece: LatePiece, unmerged: Bools, lines: LateLines, why: str) -> None:
        refused = np.flatnonzero(unmerged)
        self._counters.add("late_merged", len(piece) - len(refused))
        self._counters.add("late_too_late", len(refused))
        if len(refused):
            series, nth = piece.series[refused], piece.nth[refused]
            lines.late(series, piece.readings.rows(refused), nth, piece.at, why)

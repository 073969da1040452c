"""Readings that came after their window was closed: read the stored row, merge, store, send the correction.

A reading is taken from the late table and merged in one transaction, so it counts once whatever happens
between. A point is never written over a window whose earlier state is not held: where no row is stored, a
new one is made only at or after the coverage floor, the time from which on the store is known to be
complete. What lies before it goes to a measurement of its own and is counted.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from edge_gateway.durable.names import Names
from edge_gateway.durable.schema import insert_many
from edge_gateway.durable.settings import StoreSettings
from edge_gateway.durable.tallies import Tallies
from edge_gateway.durable.window_kinds import WindowKind
from edge_gateway.durable.window_table import Packed
from edge_gateway.windows.reduce import Readings

AT_ONCE: Final = 2_000
"""Late readings merged in one transaction."""

Ints = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


class LateLines(Protocol):
    """Where corrected windows and readings that came too late are sent."""

    def windows(self, tier: int, windows: Packed, at: int) -> None: ...
    def late(self, series: int, ts: int, value: float, at: int) -> None: ...


@dataclass(frozen=True, slots=True)
class LatePiece:
    """The oldest late readings as columns: `series` by the store's numbers, `upto` the last id."""

    series: Ints
    readings: Readings
    tiers: Ints
    upto: int
    at: int

    def __len__(self) -> int:
        return len(self.series)


def starts(ts: Ints, every: int) -> Ints:
    """Starts of the windows that hold these times, in ms."""
    begins: Ints = ts - ts % every
    return begins


def base_bit(tiers: Ints) -> Ints:
    """The bit of the finest tier each reading must be merged in."""
    finest: Ints = tiers & -tiers
    return finest


class LateJob:
    """Late readings of one kind, from their table into stored windows, in the store's transactions."""

    def __init__(
        self,
        db: sqlite3.Connection,
        names: Names,
        tallies: Tallies,
        settings: StoreSettings,
        kind: WindowKind,
    ) -> None:
        self._db = db
        self._names = names
        self._tallies = tallies
        self._settings = settings
        self._kind = kind
        self.pending = 0
        self.load()

    def load(self) -> None:
        """Take what is committed, as after a rollback."""
        self.pending = self._db.execute(f"SELECT COUNT(*) FROM {self._kind.late}").fetchone()[0]  # noqa: S608

    def add(self, at: int, columns: Sequence[np.ndarray[Any, Any]]) -> None:
        """Keep readings for the next run: columns series (the store's), ts, value, quality, tiers."""
        rows = [(*row, at) for row in zip(*(column.tolist() for column in columns), strict=True)]
        into = f"INSERT INTO {self._kind.late}(series, ts, value, quality, tiers, at)"
        self.pending += insert_many(self._db, into, 6, rows)

    def run(self, floor: int, lines: LateLines) -> int:
        """Merge the oldest readings; returns how many were taken from the table."""
        piece = self._oldest()
        if piece is None:
            return 0
        too_late = np.zeros(len(piece), np.bool_)
        for tier in range(len(self._settings.tiers)):
            refused = self._merge_tier(tier, piece, floor, lines)
            too_late |= refused & (base_bit(piece.tiers) == 1 << tier)
        self._account(piece, too_late, lines)
        self._db.execute(f"DELETE FROM {self._kind.late} WHERE id<=?", (piece.upto,))  # noqa: S608
        self.pending -= len(piece)
        return len(piece)

    def _oldest(self) -> LatePiece | None:
        rows = self._db.execute(
            f"SELECT id, series, ts, value, quality, tiers, at FROM {self._kind.late} ORDER BY id LIMIT ?",  # noqa: S608
            (AT_ONCE,),
        ).fetchall()
        if not rows:
            return None
        ids, series, ts, value, quality, tiers, at = zip(*rows, strict=True)
        numbers = np.array(series, np.int64)
        readings = Readings(
            numbers, np.array(ts, np.int64), np.array(value, np.float64), np.array(quality, np.uint16)
        )
        return LatePiece(numbers, readings, np.array(tiers, np.int64), ids[-1], at[-1])

    def _merge_tier(self, tier: int, piece: LatePiece, floor: int, lines: LateLines) -> Bools:
        """Merge the readings of one tier; returns which had no window to go to."""
        refused = np.zeros(len(piece), np.bool_)
        chosen = np.flatnonzero(piece.tiers >> tier & 1)
        if not len(chosen):
            return refused
        every = self._settings.tiers[tier].every
        windows = self._reduced(every, piece.readings.rows(chosen))
        for place in range(len(windows)):
            window = windows.piece(place, place + 1)
            merged = self._merge(tier, window, floor)
            if merged is None:
                refused[chosen] |= self._within(window, every, piece.readings.rows(chosen))
            else:
                lines.windows(tier, merged, piece.at)
        return refused

    def _reduced(self, every: int, readings: Readings) -> Packed:
        """Rows of the readings alone; series are numbered from 0 meanwhile, as flags go by number."""
        numbers, places = np.unique(readings.series, return_inverse=True)
        with_p95 = self._settings.p95_metrics
        flags = np.array([self._names.identity(int(n)).metric in with_p95 for n in numbers], np.bool_)
        local = Readings(places.astype(np.int64), readings.ts, readings.value, readings.quality)
        windows = self._kind.reduce(every, local, flags)
        windows.rows["series"] = numbers[windows.rows["series"]]
        return windows

    def _merge(self, tier: int, window: Packed, floor: int) -> Packed | None:
        start, series = int(window.rows["start"][0]), int(window.rows["series"][0])
        found = self._kind.windows.find(tier, start, self._names.siblings(series))
        if found is not None:
            return self._kind.windows.correct(tier, found, window)
        if start < floor:
            return None
        self._kind.windows.write(tier, 0, window)
        return window

    def _within(self, window: Packed, every: int, readings: Readings) -> Bools:
        same: Bools = (readings.series == window.rows["series"][0]) & (
            starts(readings.ts, every) == window.rows["start"][0]
        )
        return same

    def _account(self, piece: LatePiece, too_late: Bools, lines: LateLines) -> None:
        refused = np.flatnonzero(too_late).tolist()
        self._tallies.add("late_merged", len(piece) - len(refused))
        self._tallies.add("late_too_late", len(refused))
        for place in refused:
            ts, value = int(piece.readings.ts[place]), float(piece.readings.value[place])
            lines.late(int(piece.series[place]), ts, value, piece.at)

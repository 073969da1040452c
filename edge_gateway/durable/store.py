"""The store: history, outboxes, late table and quarantine in one SQLite file, fed from the journal.

    records ─▶ apply ─┬─ windows, states ─▶ stored rows ─▶ lines ─▶ outbox of each sink
                      ├─ late readings ───▶ late table ─▶ late job ─▶ corrected rows ─▶ lines
                      └─ alerts, commands, quarantine, events, counters

What a record leaves is applied once, by record number, in one transaction. `Store` is used by one thread at
a time; `StoreThread` is that thread.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edge_gateway.durable import schema
from edge_gateway.durable.effects import (
    Array,
    ClosedStates,
    ClosedWindows,
    LateStates,
    LateValues,
    Quarantined,
    SeriesName,
    StoreEffects,
    TextName,
)
from edge_gateway.durable.late_job import LateJob
from edge_gateway.durable.names import UNKNOWN, Names
from edge_gateway.durable.outbox import Outbox, Parcel, Waiting
from edge_gateway.durable.outgoing_lines import OutgoingLines
from edge_gateway.durable.retention import Retention
from edge_gateway.durable.settings import StoreSettings
from edge_gateway.durable.shelf import Shelf
from edge_gateway.durable.tallies import Tallies
from edge_gateway.durable.window_kinds import number_windows, text_windows
from edge_gateway.durable.window_table import Packed

Record = tuple[int, Sequence[StoreEffects]]


class Resolver(Protocol):
    """Who knows names that a lost store no longer has: the registry, by gateway number."""

    def series_name(self, series: int, version: int) -> SeriesName | None: ...
    def text_name(self, code: int) -> TextName | None: ...


class Remembering(Protocol):
    """A part of the store that holds something of the tables in memory, which a rollback must take back."""

    def memory(self) -> Any: ...
    def recall(self, memory: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What the store says of itself; a copy, safe to read from any thread. Sizes in bytes, times in ms."""

    applied: int
    floor: int
    late_pending: int
    quarantine_bytes: int
    waiting: dict[str, Waiting]
    counters: dict[str, int]


@dataclass(frozen=True, slots=True)
class Opened:
    """How the store was found: made new, and the name under which a damaged one was set aside."""

    created: bool
    set_aside: str | None = None
    damage: str = ""


class Store:
    """An open store. Errors are sqlite3's own; after one nothing of the transaction is kept."""

    def __init__(
        self,
        path: Path,
        settings: StoreSettings,
        db: sqlite3.Connection,
        opened: Opened,
        resolver: Resolver | None,
    ) -> None:
        self.path = path
        self.opened = opened
        self._settings = settings
        self._db = db
        self._resolver = resolver
        self._tallies = Tallies(db)
        self._names = Names(db, settings.forwarded)
        self._outbox = Outbox(db, self._tallies, settings.sinks, tiers=len(settings.tiers))
        self._shelf = Shelf(db, self._tallies, quarantine_max_bytes=settings.quarantine_max_bytes)
        self._lines = OutgoingLines(self._outbox, self._names, self._tallies, settings.tiers)
        numbers, texts = number_windows(db), text_windows(db)
        self._numbers = LateJob(db, self._names, self._tallies, settings, numbers)
        self._texts = LateJob(db, self._names, self._tallies, settings, texts)
        self._windows, self._states = numbers.windows, texts.windows
        self._retention = Retention(db, settings, (self._windows, self._states))
        self._parts: tuple[Remembering, ...] = (
            *(self._tallies, self._names, self._outbox),
            *(self._shelf, self._numbers, self._texts),
        )
        self.applied: int = self._meta("applied", 0)
        self.floor: int = self._meta("floor", 0)

    @classmethod
    def open(
        cls,
        path: Path,
        settings: StoreSettings,
        *,
        floor: int,
        at: int,
        resolver: Resolver | None = None,
    ) -> "Store":
        """Open the store, setting a damaged one aside and making a new one.

        Args:
            path: the SQLite file.
            settings: what the store is told once.
            floor: coverage floor (ms) of a store that is made now: nothing before it is known to be complete.
            at: wall time in ms, which names a file set aside.
            resolver: who knows names that a new store does not have yet.
        """
        aside, damage = None, ""
        try:
            db, created = schema.open_store(path)
        except schema.StoreUnreadable as error:
            aside, damage = schema.set_aside(path, at), str(error)
            db, created = schema.open_store(path)
        store = cls(path, settings, db, Opened(created, aside, damage), resolver)
        store._begin_life(floor)
        return store

    def facts(self) -> StoreFacts:
        return StoreFacts(
            applied=self.applied,
            floor=self.floor,
            late_pending=self.late_pending,
            quarantine_bytes=self._shelf.quarantine_bytes,
            waiting=dict(self._outbox.waiting),
            counters=dict(self._tallies.values),
        )

    @property
    def late_pending(self) -> int:
        """Late readings that wait to be merged."""
        return self._numbers.pending + self._texts.pending

    def apply(self, records: Sequence[Record]) -> None:
        """Apply what records left, in order, in one transaction; what was applied before is skipped."""
        with self._transaction():
            for number, effects in records:
                if number > self.applied:
                    for part in effects:
                        self._apply(part)
                    self.applied = number
            self._outbox.enforce()
            self._keep("applied", self.applied)

    def run_late(self) -> int:
        """Merge a piece of the late readings in one transaction; returns how many."""
        with self._transaction():
            merged = self._numbers.run(self.floor, self._lines)
            merged += self._texts.run(self.floor, self._lines.of_texts)
            self._outbox.enforce()
        return merged

    def take(self, sink: str) -> Parcel | None:
        """The next lines for a sink."""
        return self._outbox.take(sink)

    def done(
        self, parcel: Parcel, refused: Sequence[Quarantined] = (), counters: dict[str, int] | None = None
    ) -> None:
        """Remove a parcel from its outbox; refused lines go to the quarantine, counters are added."""
        with self._transaction():
            self._outbox.done(parcel)
            self._shelf.quarantine(refused)
            for name, count in (counters or {}).items():
                self._tallies.add(name, count)

    def keep_quarantined(self, messages: Sequence[Quarantined]) -> None:
        """Put messages in quarantine that no record's effects name, as those a replay cannot fold."""
        with self._transaction():
            self._shelf.quarantine(messages)

    def release(self, sink: str) -> None:
        """Nothing of a sink is on its way any more."""
        self._outbox.release(sink)

    def enqueue(self, lines: bytes, at: int) -> None:
        """Queue complete lines of the gateway's own for the base bucket of every sink."""
        with self._transaction():
            self._lines.raw(lines, at)
            self._outbox.enforce()

    def trim(self, now: int) -> int:
        """One step towards the history's bounds at wall time `now`; returns how many windows went."""
        not_history = sum(waiting.bytes for waiting in self._outbox.waiting.values())
        cutoff = self._retention.cutoff(now, not_history + self._shelf.quarantine_bytes)
        with self._transaction():
            self._shelf.delete_before(now - self._settings.history_keep)
            if cutoff is None:
                return 0
            self._raise_floor(cutoff)
            removed = self._retention.delete_before(cutoff)
            self._tallies.add("history_trimmed", removed)
            return removed

    def raise_floor(self, floor: int) -> None:
        """Say that windows before `floor` (ms) may have had readings the store does not hold."""
        with self._transaction():
            self._raise_floor(floor)

    def sync(self) -> None:
        """Make everything applied so far survive a power cut; before journal segments are unlinked."""
        schema.synced(self._db)

    def close(self) -> None:
        self._db.close()

    def _apply(self, effects: StoreEffects) -> None:
        self._names.define(effects.series)
        self._names.define_texts(effects.texts)
        for closed in effects.windows:
            self._close_windows(closed, effects.at)
        for states in effects.states:
            self._close_states(states, effects.at)
        if effects.late is not None:
            self._keep_late(effects.late, effects.at)
        if effects.late_states is not None:
            self._keep_late_states(effects.late_states, effects.at)
        self._shelf.alerts(effects.alerts)
        self._lines.alerts(effects.alerts, effects.at)
        self._shelf.commands(effects.commands)
        self._shelf.quarantine(effects.quarantined)
        self._shelf.events(effects.events)

    def _close_windows(self, closed: ClosedWindows, at: int) -> None:
        ids = self._ids(closed.rows["series"], closed.versions)
        known = np.flatnonzero(ids != UNKNOWN)
        rows = closed.rows[known]
        rows["series"] = ids[known]
        tails = {place: closed.tails[i] for place, i in enumerate(known.tolist()) if i in closed.tails}
        windows = Packed(rows, tails)
        if closed.partial:
            self._tallies.add("partial_windows", len(rows))
            self._lines.partial(closed.tier, windows, at)
        else:
            self._lines.windows(closed.tier, self._windows.put(closed.tier, windows), at)

    def _close_states(self, closed: ClosedStates, at: int) -> None:
        ids = self._ids(closed.rows["series"], closed.versions)
        rows = closed.rows[ids != UNKNOWN]
        rows["series"] = ids[ids != UNKNOWN]
        for end in ("first", "last"):
            rows[end] = self._text_ids(rows[end])
        self._lines.of_texts.windows(closed.tier, self._states.put(closed.tier, Packed(rows)), at)

    def _keep_late(self, late: LateValues, at: int) -> None:
        ids = self._ids(late.series, late.versions)
        known = ids != UNKNOWN
        columns = (late.ts, late.value, late.quality, late.tiers)
        self._numbers.add(at, [ids[known], *(column[known] for column in columns)])

    def _keep_late_states(self, late: LateStates, at: int) -> None:
        ids = self._ids(late.series, late.versions)
        known = ids != UNKNOWN
        quality = np.zeros(int(known.sum()), np.int64)
        texts = self._text_ids(late.code[known])
        self._texts.add(at, [ids[known], late.ts[known], texts, quality, late.tiers[known]])

    def _ids(self, series: Array, versions: Array) -> Array:
        ids = self._names.ids(series, versions)
        missing = np.flatnonzero(ids == UNKNOWN)
        if not len(missing):
            return ids
        if self._resolver is not None:
            pairs = dict.fromkeys(zip(series[missing].tolist(), versions[missing].tolist(), strict=True))
            found = (self._resolver.series_name(*pair) for pair in pairs)
            self._names.define(name for name in found if name is not None)
            ids = self._names.ids(series, versions)
        self._tallies.add("unnamed_readings", int((ids == UNKNOWN).sum()))
        return ids

    def _text_ids(self, codes: Array) -> Array:
        ids = self._names.text_ids(codes)
        missing = dict.fromkeys(codes[ids == UNKNOWN].tolist())
        if not missing:
            return ids
        found = [self._resolver.text_name(code) if self._resolver else None for code in missing]
        named = [name or TextName(code, "unknown") for name, code in zip(found, missing, strict=True)]
        self._names.define_texts(named)
        return self._names.text_ids(codes)

    def _begin_life(self, floor: int) -> None:
        forwarded = ",".join(sorted(self._settings.forwarded))
        with self._transaction():
            if self.opened.created:
                self._raise_floor(floor)
            if self._meta("forwarded", forwarded) != forwarded:
                self._names.follow_forwarded()
            self._keep("forwarded", forwarded)
            self._outbox.drop_strangers()

    def _raise_floor(self, floor: int) -> None:
        self.floor = max(self.floor, floor)
        self._keep("floor", self.floor)

    def _meta(self, key: str, default: Any) -> Any:
        row = self._db.execute("SELECT value FROM meta WHERE key=?", (key,)).fetchone()
        return default if row is None else row[0]

    def _keep(self, key: str, value: Any) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES(?, ?)", (key, value))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        memories = [part.memory() for part in self._parts]
        applied, floor = self.applied, self.floor
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            for part, memory in zip(self._parts, memories, strict=True):
                part.recall(memory)
            self.applied, self.floor = applied, floor
            raise

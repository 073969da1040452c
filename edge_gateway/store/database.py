"""The store: history, outboxes, late table and quarantine in one SQLite file, fed from the journal.

    records ─▶ apply ─┬─ windows, states ─▶ stored rows ─▶ lines ─▶ outbox of each sink
                      ├─ late readings ───▶ late table ─▶ late job ─▶ corrected rows ─▶ lines
                      └─ alerts, commands, quarantine, events, counters

The effects of a record are applied once, by record number, in one transaction. A damaged store is set aside, and a new
one takes its place and salvages what can be read. One thread at a time uses a `Store`: that of `StoreThread`.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_gateway.records.store_effects import Event, Quarantined, Stamp, StoreEffects
from edge_gateway.store import schema
from edge_gateway.store.apply import UNNAMED, Applier, Resolver
from edge_gateway.store.compaction import Compaction
from edge_gateway.store.corrections import Corrections
from edge_gateway.store.counters import StoreCounters
from edge_gateway.store.coverage import NOTHING_HELD, StoredCoverage
from edge_gateway.store.kept_apart import KeptApart
from edge_gateway.store.late_job import LateJob
from edge_gateway.store.meta_table import MetaTable, applied_in
from edge_gateway.store.names import NameTables
from edge_gateway.store.outbox import Outbox, Parcel, Waiting
from edge_gateway.store.outgoing_lines import OutgoingLines, renderer
from edge_gateway.store.rebuild import NoLines, Rebuild, Records, only_apart, send_all
from edge_gateway.store.retention import Retention, age_cutoff
from edge_gateway.store.salvage.stages import HOLD_WINDOWS, Salvage
from edge_gateway.store.scrub import Scrub
from edge_gateway.store.series_use import SeriesUse
from edge_gateway.store.settings import StoreSettings
from edge_gateway.store.side_tables import SideTables
from edge_gateway.store.transaction import Restorable, transaction
from edge_gateway.store.window_kinds import number_windows, text_windows

Record = tuple[int, Sequence[StoreEffects]]


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """The state of the store, copied, so that any thread may read it. Sizes in bytes, times in ms."""

    applied: int
    floor: int
    late_pending: int
    salvaging: bool
    late_held: bool
    quarantine_bytes: int
    history_bytes: int
    waiting: dict[str, Waiting]
    counters: dict[str, int]


@dataclass(frozen=True, slots=True)
class Opened:
    """How the store was opened: whether it was made new, and what happened to a damaged one before it."""

    created: bool
    set_aside: str | None = None
    damage: str = ""


class Store:
    """An open store. Errors are sqlite3's own, and roll the transaction back."""

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
        self._meta = MetaTable(db)
        self._counters = StoreCounters(db)
        self._names = NameTables(db, settings.forwarded)
        self._outbox = Outbox(db, self._counters, settings.sinks, tiers=len(settings.tiers))
        self._side_tables = SideTables(db, self._counters, quarantine_max_bytes=settings.quarantine_max_bytes)
        self.quarantine_users = self._side_tables.quarantine_users
        apart = KeptApart(db, self._names)
        self._lines = OutgoingLines(self._outbox, self._names, self._counters, settings.tiers, apart)
        self._use = SeriesUse(db)
        kinds = (make(db, self._names, self._use) for make in (number_windows, text_windows))
        self._numbers, self._texts = (
            LateJob(db, self._names, self._counters, settings, kind) for kind in kinds
        )
        self._windows, self._states = self._numbers.windows.table, self._texts.windows.table
        self._applier = Applier(
            names=self._names,
            counters=self._counters,
            side_tables=self._side_tables,
            lines=self._lines,
            kinds=(self._numbers, self._texts),
            resolver=resolver,
        )
        self._outbox.render = renderer(self._lines, self._windows.blocks)
        self._salvage = Salvage(path.parent, db, settings, self._counters, self._outbox)
        tables = self._windows, self._states
        self._corrections = Corrections(db, self._counters, self._outbox, settings.tiers, self._lines, tables)
        self._retention = Retention(db, settings, tables)
        self.coverage = StoredCoverage(db, len(settings.tiers))
        self._parts: tuple[Restorable, ...] = (
            *(self._counters, self._names, self._outbox, self.coverage),
            *(self._side_tables, self._numbers, self._texts, self._salvage, self._corrections),
            *(self._numbers.windows.fresh, self._texts.windows.fresh),
            *(part for table in tables for part in (table.blocks, table.newest)),
        )
        self._compaction = Compaction(db, tables, tiers=len(settings.tiers))
        self._scrub = Scrub(self._names, tables, tiers=len(settings.tiers))
        self.applied = self._meta.applied() or 0
        self.unnamed = 0  # windows and readings of the journal that a store made anew could not name

    @classmethod
    def open(
        cls,
        path: Path,
        settings: StoreSettings,
        *,
        floor: int,
        at: int,
        unsure: int | None = None,
        resolver: Resolver | None = None,
        records: Records | None = None,
        damage: str = "",
    ) -> "Store":
        """Open the store; set a damaged one aside and make a new one.

        Args:
            path: the SQLite file.
            settings: fixed while the store is open.
            floor: coverage floor (ms) of a new store: windows that start before it may be incomplete.
            at: wall time in ms, part of the name of a file set aside.
            unsure: the least the time can be, if `floor` is the wall time of a clock that is not sure; else None.
            resolver: knows names that a new store does not have yet.
            records: reads the journal, for a store that replaces a lost one.
            damage: what is wrong with the file, if that was found in use.
        """
        aside = None
        if not damage:
            try:
                db, created = schema.open_store(path)
            except schema.StoreUnreadable as error:
                damage = str(error)
        if damage:
            aside = schema.set_aside(path, at)
            db, created = schema.open_store(path)
        store = cls(path, settings, db, Opened(created, aside, damage), resolver)
        store._begin(floor, at, unsure, records)
        return store

    def lost_text(self) -> str:
        """Return what was wrong with the file that this store replaces, and where it is now; "" if it replaces none."""
        if self.opened.set_aside is None:
            return ""
        aside = self.path.with_name(self.opened.set_aside)
        return f"{self.path}: {self.opened.damage}; set aside as {aside}; what can be read is brought back"

    def facts(self) -> StoreFacts:
        """Return the state of the store."""
        return StoreFacts(
            applied=self.applied,
            floor=self.floor,
            late_pending=self.late_pending,
            salvaging=self._salvage.progress is not None,
            late_held=self._salvage.holds_late,
            quarantine_bytes=self._side_tables.quarantine_bytes,
            history_bytes=self._retention.used,
            waiting=dict(self._outbox.waiting),
            counters=dict(self._counters.values),
        )

    @property
    def floor(self) -> int:
        """The time (ms) from which on the base tier is known to be complete."""
        return self.coverage.now.floor

    @property
    def late_pending(self) -> int:
        """Number of late readings that wait to be merged."""
        return self._numbers.pending + self._texts.pending

    def apply(self, records: Sequence[Record]) -> None:
        """Apply the effects of records in order, in one transaction; skip records applied before."""
        with self._transaction():
            for number, effects in records:
                if number > self.applied:
                    self._apply_record(number, effects)
            self._meta.keep_applied(self.applied)

    def run_late(self) -> int:
        """Merge some of the late readings in one transaction; return how many."""
        if self._salvage.holds_late:
            return 0
        with self._transaction():
            return self._merge_late()

    @property
    def scrub_pending(self) -> bool:
        """Whether some checksums have not been checked since the store was opened."""
        return self._scrub.pending

    def scrub(self) -> None:
        """Check the next of them. StoreDamaged if a checksum does not match."""
        self._scrub.step()

    def compact(self) -> int:
        """Cut some of the windows anew in one transaction; return how many, 0 if there are not enough yet."""
        with self._transaction():
            return self._compaction.step()

    def salvage(self) -> str:
        """Salvage some rows of the damaged store in one transaction; return a summary after the last, else ""."""
        with self._transaction():
            if self._salvage.progress is None:
                return ""
            finished = self._salvage.step(self._lines, self._windows, self._states)
            if not self._salvage.holds_late and self._salvage.lost(*HOLD_WINDOWS):
                self.coverage.advance(self._salvage.progress.floor, unsure=self._salvage.progress.unsure)
            if not finished:
                return ""
            self._use.reload()
            return self._salvage.finish()

    def take(self, sink: str, without: frozenset[str] = frozenset()) -> Parcel | None:
        """Return the next lines for a sink, those of some buckets left out; None if there are none."""
        return None if self._salvage.holds_sinks else self._outbox.take(sink, without)

    def done(
        self, parcel: Parcel, refused: Sequence[Quarantined] = (), counters: dict[str, int] | None = None
    ) -> None:
        """Remove a parcel from its outbox; refused lines go to the quarantine, counters are added."""
        with self._transaction():
            self._outbox.done(parcel)
            self._side_tables.quarantine(refused)
            for name, count in (counters or {}).items():
                self._counters.add(name, count)

    def keep_quarantined(self, messages: Sequence[Quarantined]) -> None:
        """Put messages in quarantine that no record's effects name, such as those a replay cannot fold."""
        with self._transaction():
            self._side_tables.quarantine(messages)

    def keep_events(self, events: Sequence[Event]) -> None:
        """Keep events that no record's effects name, such as those of a replay."""
        with self._transaction():
            self._side_tables.events(events)

    def quarantined(self, after: int, limit: int) -> list[tuple[int, Quarantined]]:
        """Return at most `limit` quarantined messages with ids above `after`, with their ids, in order."""
        return self._side_tables.quarantined(after, limit)

    def apply_replayed(self, record: Record, ids: Sequence[int]) -> None:
        """Apply a record made of quarantined messages, and remove these from the quarantine."""
        with self._transaction():
            self._side_tables.remove_quarantined(ids)
            self._apply_record(*record)
            self._meta.keep_applied(self.applied)

    def release(self, sink: str) -> None:
        """Note that a sink stopped and sends nothing any more."""
        self._outbox.release(sink)

    def enqueue(self, lines: bytes, at: int) -> None:
        """Queue complete lines about the gateway itself for the base bucket of every sink."""
        with self._transaction():
            self._lines.raw(lines, Stamp(at))

    def repeat_corrections(self, now: int, at: Stamp, unknown: Mapping[str, int]) -> int:
        """Send corrected points again that an older one may have overwritten; see `Corrections.repeat`."""
        with self._transaction():
            return self._corrections.repeat(now, at, unknown)

    def trim(self, now: int) -> tuple[int, ...]:
        """Remove what else is too old at wall time `now` (ms), and return where each tier is to be cut; empty: nowhere.

        The windows go with a record that says so in its `cuts`, because the fold has to know.
        """
        with self._transaction():
            self._side_tables.trim(age_cutoff(now, self._settings.history_keep))
        not_history = self._outbox.bytes_in_file() + self._side_tables.quarantine_bytes
        return self._retention.cuts(now, not_history, self.coverage.now.cuts[0])

    def freeze(self, before: int, *, unsure: int | None = None) -> None:
        """Freeze windows that start before this time (ms): their readings are not known. `unsure`: as in `open`."""
        with self._transaction():
            self.coverage.advance(before, before, unsure=unsure)

    def sync(self) -> None:
        """Make everything applied so far survive a power cut. Call it before unlinking journal segments."""
        schema.synced(self._db)

    def close(self) -> None:
        """Close the file; may be called again."""
        self._salvage.close()
        self._db.close()

    def _apply_record(self, number: int, effects: Sequence[StoreEffects]) -> None:
        for part in effects:
            self._apply(part)
        self.applied = number

    def _apply(self, effects: StoreEffects) -> None:
        self._take_times(effects)
        if effects.outbox_old:
            self._outbox.drop_old()
            self._corrections.forget_all()
        # Until the windows of a damaged store are salvaged, any may be missing here.
        self._applier.apply(effects, NOTHING_HELD if self._salvage.holds_late else self.coverage.now)
        if effects.confirmed is not None:
            self._salvage.confirm(*effects.confirmed)
        if effects.cuts:
            self._cut(effects.cuts, effects.unsure)

    def _take_times(self, effects: StoreEffects) -> None:
        if effects.frozen is not None:
            self.coverage.advance(effects.frozen, effects.frozen, unsure=effects.unsure)
        if effects.confirmed is not None:
            self.coverage.confirm(*effects.confirmed)
            self._side_tables.confirm_times(*effects.confirmed)

    def _cut(self, cuts: Sequence[int], unsure: int | None) -> None:
        """Remove the windows before the cuts, once waiting late readings are merged; not while salvage holds these."""
        if self._salvage.holds_late:
            return
        self._applier.store_fresh()
        while self._merge_late():
            pass
        self.coverage.cut(cuts, unsure=unsure)
        self._counters.add("history_trimmed", self._retention.delete_before(cuts))
        self._outbox.recount()
        if self._salvage.progress is None and not self._outbox.holds_blocks:
            self._use.prune(min(self.coverage.now.cuts), self._names, self._counters)

    def _merge_late(self) -> int:
        merged = self._numbers.run(self.coverage.now, self._lines)
        return merged + self._texts.run(self.coverage.now, self._lines.of_texts)

    def _begin(self, floor: int, at: int, unsure: int | None, records: Records | None) -> None:
        forwarded = ",".join(sorted(self._settings.forwarded))
        with self._transaction():
            if self.opened.created and records is not None:
                self._replace_lost(floor, at, unsure, records)
            elif self.opened.created:
                self.coverage.advance(floor, unsure=unsure)
            if self._meta.get("forwarded", forwarded) != forwarded:
                self._names.follow_forwarded()
            self._meta.keep("forwarded", forwarded)
            self._outbox.drop_unconfigured()

    def _replace_lost(self, floor: int, at: int, unsure: int | None, records: Records) -> None:
        """Fill a new store from the journal and from what can be read of the lost one."""
        aside = self.opened.set_aside
        meta = self._salvage.begin(aside, at, floor, unsure) if aside is not None else {}
        self._names.reload()
        self._use.reload()
        self._db.execute("INSERT INTO sqlite_sequence VALUES('outbox', ?)", (at,))
        applied = applied_in(meta)
        lines = only_apart(self._lines) if applied is None else NoLines()
        rebuild = Rebuild(
            self._db, self._applier, (self._numbers, self._texts), self.coverage, self._take_times
        )
        last = rebuild.run(records(), applied, lines)
        self.unnamed = self._counters.values.get(UNNAMED, 0)
        told = (UNNAMED, "late_too_late") if applied is None else (UNNAMED,)
        self._counters.take_over({name: self._counters.values.get(name, 0) for name in told})
        kinds = ((self._windows, self._lines), (self._states, self._lines.of_texts))
        self._salvage.take_late(*send_all(self._db, kinds, Stamp(at, unsure)))
        for job in (self._numbers, self._texts):
            job.recount()
        self.applied = last if applied is None else applied
        self._meta.keep_applied(self.applied)
        before = self.coverage.of({} if applied is None else meta, otherwise=floor)
        self.coverage.advance(*before[:2], unsure=unsure if applied is None else None)
        self.coverage.cut(before.cuts)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        applied = self.applied
        try:
            with transaction(self._db, self._parts):
                yield
                self._applier.store_fresh()
                self._corrections.note()
                self._corrections.keep_dropped(self._outbox.enforce())
        except BaseException:
            self.applied = applied
            raise

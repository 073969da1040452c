"""The thread that owns the store, and the event loop's side of it.

    call(function) ─────────▶ ┐             ┌─ 1. calls of sinks, checkpoint and CLI
    apply(number, effects) ─▶ ├─ one thread ┼─ 2. records, in order, many in one transaction
                              ┘  one store  ├─ 3. salvage of a damaged store, piece by piece
                                            └─ 4. late readings, the scrub, windows cut anew

A disk that refuses stops the records, in order, and nothing else: sinks still take and remove lines, which
frees space.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Any, Final, TypeVar

from edge_gateway.journal.worker import RETRY_DELAY, Work, Worker
from edge_gateway.records.store_effects import Event, StoreEffects
from edge_gateway.store.database import Record, Store, StoreFacts
from edge_gateway.store.outbox import Parcel, Waiting
from edge_gateway.store.schema import READ_ERRORS, is_damage, is_refusal

Result = TypeVar("Result")

LATE_PAUSE: Final = 0.5
RECORDS_AT_ONCE: Final = 100
"""Most records in one transaction."""
GROUP_LEAST, GROUP_MOST = 1.0, 5.0
GROUP_SHARE: Final = 12
"""While nobody waits for them, records are collected into one transaction for a GROUP_SHARE of the shortest window,
within these seconds: every transaction writes a few pages however small it is, and SD cards wear by the page."""
SCRUB_PAUSE: Final = 0.25
"""Seconds between two pieces of the scrub, so that it never keeps an SD card busy."""
COMPACTION_PAUSE: Final = 1.0
COMPACTION_LOOK: Final = 60.0
"""Seconds between two pieces of windows that are cut anew, and until it is looked again whether there are enough."""
ROOM: Final = 100
"""`room` returns when no more records than this are pending."""

Reopen = Callable[[str], Store]
"""Sets the damaged store aside and opens a new one; the argument says what the damage is."""


class StoreThread:
    """Owns `store` from the start; made and used on one event loop.

    Args:
        store: the open store, which no other thread uses from now on.
        reopen: sets the damaged store aside and returns a new one.
        on_event: called on the loop with a code and a text for the operator: store_stalled, store_resumed,
            store_lost, store_salvaged, record_refused.
        retry_delay: seconds between tries of a refused transaction.
        group_for: seconds for which records are collected while nobody waits for them (`group_time`).
        late_pause: seconds between runs of the late job, so that readings of one window come together.
    """

    def __init__(
        self,
        store: Store,
        reopen: Reopen,
        *,
        on_event: Callable[[str, str], None] = lambda _code, _text: None,
        retry_delay: float = RETRY_DELAY,
        group_for: float = GROUP_LEAST,
        late_pause: float = LATE_PAUSE,
    ) -> None:
        self._store = store
        self._reopen = reopen
        self._on_event = on_event
        self._group_for = group_for
        self._late_pause = late_pause
        self._loop = asyncio.get_running_loop()
        self._calls: deque[tuple[Callable[[Store], Any], asyncio.Future[Any]]] = deque()
        self._news: dict[str, asyncio.Event] = {}
        self._late_at = 0.0
        self._scrub_at = 0.0
        self._compact_at = 0.0
        self._apply_at = 0.0
        self._damage = ""
        self._marks: list[tuple[int, asyncio.Future[None]]] = []
        self.facts: StoreFacts = store.facts()
        self._worker: Worker[Record] = Worker(
            "store",
            self._agenda,
            close=self._close,
            on_end=self._end,
            room=ROOM,
            retry_delay=retry_delay,
        )
        self.room = self._worker.room
        self.wait_ended = self._worker.wait_ended
        self.stop = self._worker.stop
        self._worker.start()

    @property
    def pending(self) -> int:
        """Records that are not applied yet."""
        return self._worker.pending

    @property
    def moved(self) -> float:
        """Monotonic time at which the thread last did something or checked in, as it does while the disk refuses."""
        return self._worker.moved

    @property
    def refusal(self) -> Exception | None:
        """Why the disk last refused a write; None after one succeeded."""
        return self._worker.refusal

    def apply(self, number: int, effects: Sequence[StoreEffects]) -> None:
        """Queue the effects of a committed record; they are applied in order, later."""
        self._worker.put((number, effects))

    async def call(self, function: Callable[[Store], Result]) -> Result:
        """Run a function on the store in its thread, before queued records; its error is raised here.

        Cancelling the wait does not take the call back. RuntimeError when the store is closed.
        """
        self._refuse_closed()
        future: asyncio.Future[Result] = self._loop.create_future()
        self._calls.append((function, future))
        self._worker.wake()
        return await future

    def waiting(self, sink: str) -> Waiting:
        """Return how much waits for a sink."""
        return self.facts.waiting[sink]

    async def take(self, sink: str, without: frozenset[str] = frozenset()) -> Parcel:
        """Wait for lines for a sink and return them, passing over the buckets in `without`."""
        news = self._news.setdefault(sink, asyncio.Event())
        while True:
            news.clear()
            parcel = await self.call(lambda store: store.take(sink, without))
            if parcel is not None:
                return parcel
            await news.wait()

    async def applied(self, number: int) -> None:
        """Wait until a record is applied. RuntimeError when the store is closed before."""
        if self.facts.applied < number:
            self._refuse_closed()
            mark: asyncio.Future[None] = self._loop.create_future()
            self._marks.append((number, mark))
            self._worker.wake()
            await mark

    async def sync(self) -> int:
        """Make the store durable; returns the record number up to which it is."""
        return await self.call(_synced)

    def _refuse_closed(self) -> None:
        if self._worker.closed:
            raise RuntimeError("the store is closed")

    # --- in the thread

    def _agenda(self) -> Iterator[tuple[float, Work]]:
        retry_at = self._worker.retry_at
        if self._damage:
            yield retry_at, self._replace
            return
        if self._calls:
            yield 0.0, self._answer
        if self._worker.queued:
            yield max(retry_at, self._group_until()), self._apply
        if self._worker.stopping:
            return
        if self.facts.salvaging:
            yield retry_at, self._salvage
            return
        if self.facts.late_pending:
            yield max(retry_at, self._late_at), self._merge_late
        if self._store.scrub_pending:
            yield max(retry_at, self._scrub_at), self._scrub
        yield max(retry_at, self._compact_at), self._compact

    def _group_until(self) -> float:
        """The monotonic time up to which queued records wait for more, so that one transaction takes them all."""
        hurry = self._worker.stopping or self._marks or self._worker.queued >= RECORDS_AT_ONCE
        return 0.0 if hurry else self._apply_at

    def _answer(self) -> None:
        function, future = self._calls.popleft()
        try:
            result = function(self._store)
        except Exception as error:  # noqa: BLE001 - the caller gets the error
            self._worker.tell(_set_exception, future, error)
            if is_damage(error):
                self._lose(error)
            return
        self._publish()
        self._worker.tell(_set_result, future, result)

    def _apply(self) -> None:
        self._apply_at = monotonic() + self._group_for
        records = self._worker.first(RECORDS_AT_ONCE)
        try:
            self._store.apply(records)
        except Exception as error:  # noqa: BLE001 - one bad record must not stop what is behind it
            if is_damage(error):
                self._lose(error)
            elif is_refusal(error):
                self._stall(error)
            elif len(records) == 1:
                self._skip(records[0], error)
            else:
                self._apply_singly(records)
            return
        self._applied(len(records))

    def _apply_singly(self, records: list[Record]) -> None:
        """Apply the records up to the one that raised, so that it comes alone the next time."""
        for record in records:
            try:
                self._store.apply([record])
            except Exception as error:  # noqa: BLE001 - as in _apply
                if not is_damage(error) and not is_refusal(error):
                    self._skip(record, error)
                return
            self._applied(1)

    def _skip(self, record: Record, error: Exception) -> None:
        """Mark a record as applied without its effects; the journal has them until the next checkpoint."""
        number, effects = record
        text = f"record {number}: {type(error).__name__}: {error}"
        at = effects[0].at if effects else 0
        try:
            self._store.apply([(number, [StoreEffects(at, events=(Event("record_refused", text, at),))])])
        except sqlite3.Error as refusal:
            self._stall(refusal)
            return
        self._worker.tell(self._on_event, "record_refused", text)
        self._applied(1)

    def _applied(self, count: int) -> None:
        self._resume()
        self._worker.finish(count)
        self._publish()

    def _stall(self, error: Exception) -> None:
        if self._worker.refused(error):
            self._worker.tell(self._on_event, "store_stalled", f"{self._store.path}: {error}")

    def _resume(self) -> None:
        if self._worker.resumed():
            self._worker.tell(self._on_event, "store_resumed", "")

    def _salvage(self) -> None:
        summary = self._in_spare_time(self._store.salvage)
        if summary:
            self._worker.tell(self._on_event, "store_salvaged", summary)

    def _merge_late(self) -> None:
        if self._in_spare_time(self._store.run_late) is not None:
            self._late_at = monotonic() + self._late_pause

    def _scrub(self) -> None:
        self._scrub_at = monotonic() + SCRUB_PAUSE
        self._in_spare_time(self._store.scrub)

    def _compact(self) -> None:
        self._compact_at = monotonic() + COMPACTION_LOOK
        if self._in_spare_time(self._store.compact):
            self._compact_at = monotonic() + COMPACTION_PAUSE

    def _in_spare_time(self, work: Callable[[], Result]) -> Result | None:
        """Do work of the store's own; None where the disk refused it or the file is damaged.

        Where it was refused before and no record waits to show it, its success is the end of the stall.
        """
        try:
            result = work()
        except READ_ERRORS as error:
            if is_damage(error):
                self._lose(error)
            else:
                self._stall(error)
            return None
        if not self._worker.queued:
            self._resume()
        self._publish()
        return result

    def _lose(self, error: BaseException) -> None:
        self._damage = str(error)
        self._store.close()

    def _replace(self) -> None:
        try:
            self._store = self._reopen(self._damage)
        except (*READ_ERRORS, OSError) as error:
            self._stall(error)
            return
        self._damage = ""
        self._worker.tell(self._on_event, "store_lost", self._store.lost_text())
        self._publish()

    def _publish(self) -> None:
        self.facts = self._store.facts()
        self._worker.tell(self._notify)

    def _close(self) -> None:
        self._store.close()

    # --- told to the loop

    def _notify(self) -> None:
        facts = self.facts
        for sink, news in self._news.items():
            if facts.waiting[sink].chunks:
                news.set()
        for number, mark in self._marks:
            if number <= facts.applied and not mark.done():
                mark.set_result(None)
        self._marks = [pair for pair in self._marks if not pair[1].done()]

    def _end(self, error: Exception | None) -> None:  # noqa: ARG002 - `wait_ended` raises it
        closed = RuntimeError("the store is closed")
        for future in (*(future for _, future in self._calls), *(mark for _, mark in self._marks)):
            _set_exception(future, closed)


def group_time(every: int) -> float:
    """Return `group_for` where the shortest windows last `every` ms: a point is late by little of what it tells of."""
    return min(max(every / 1000 / GROUP_SHARE, GROUP_LEAST), GROUP_MOST)


def _set_result(future: asyncio.Future[Any], result: object) -> None:
    if not future.done():
        future.set_result(result)


def _set_exception(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _synced(store: Store) -> int:
    store.sync()
    return store.facts().applied

"""The thread that owns the store, and the loop's side of it.

    apply(number, effects) ─▶ ┐                       ┌─ records, in order, many in one transaction
    call(function) ─────────▶ ├─ one thread, one store┼─ calls of sinks, checkpoint, CLI, first
                              ┘                       ├─ what can be read of a damaged store, piece by piece
                                                      └─ late readings, when nothing else is due

A disk that refuses stops the records, in order, and nothing else: sinks still take and remove, which frees
space.
"""

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from time import monotonic
from typing import Any, Final, TypeVar

from edge_gateway.records.store_effects import Event, StoreEffects
from edge_gateway.store.outbox import Parcel, Waiting
from edge_gateway.store.schema import READ_ERRORS, is_damage, is_refusal
from edge_gateway.store.store import Record, Store, StoreFacts

Result = TypeVar("Result")

RETRY_DELAY: Final = 1.0
LATE_PAUSE: Final = 0.5
LOOK_EVERY: Final = 1.0
"""Seconds after which an idle thread comes round, to show that it can."""
RECORDS_AT_ONCE: Final = 100
GROUP_FOR: Final = 1.0
GROUPED: Final = 25
"""While nobody waits for them, so many records or seconds of them become one transaction: each writes a few pages
whatever little it holds, and an SD card wears by the page."""
LOOK_PAUSE: Final = 0.25
"""Seconds between two looks at a piece of what is stored, once a life: no SD card is read at a stretch for it."""
ROOM: Final = 100
"""`room` returns when fewer records than this wait."""

Reopen = Callable[[str], Store]
"""Opens the store again after damage, told what it was."""


class StoreThread:
    """Made and used on one event loop; owns `store` from the start.

    Args:
        reopen: sets the damaged store aside and gives a new one.
        on_event: called on the loop with a code and a text an operator should know: store_stalled,
            store_resumed, store_lost, store_salvaged, record_refused.
        retry_delay: seconds between tries of a refused transaction.
        late_pause: seconds between runs of the late job, so that readings of one window come together.
    """

    def __init__(
        self,
        store: Store,
        reopen: Reopen,
        *,
        on_event: Callable[[str, str], None] | None = None,
        retry_delay: float = RETRY_DELAY,
        late_pause: float = LATE_PAUSE,
    ) -> None:
        self._store = store
        self._reopen = reopen
        self._on_event = on_event
        self._retry_delay = retry_delay
        self._late_pause = late_pause
        self._loop = asyncio.get_running_loop()
        self._wake = threading.Condition()
        self._records: deque[Record] = deque()
        self._calls: deque[tuple[Callable[[Store], Any], asyncio.Future[Any]]] = deque()
        self._room = asyncio.Event()
        self._room.set()
        self._news: dict[str, asyncio.Event] = {}
        self._stopping = False
        self._give_up_at = 0.0
        self._retry_at = 0.0
        self._late_at = 0.0
        self._look_at = 0.0
        self._apply_at = 0.0
        self._lost = ""
        self._marks: list[tuple[int, asyncio.Future[None]]] = []
        self._stalled = False
        self.refusal: Exception | None = None
        """Why the disk refused last."""
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self.facts: StoreFacts = store.facts()
        self.moved = monotonic()
        """When the thread last came round: a disk that refuses is no hang."""
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    @property
    def pending(self) -> int:
        """Records that are not applied yet."""
        return len(self._records)

    @property
    def stalled(self) -> bool:
        """Whether the disk refuses."""
        return self._stalled

    def apply(self, number: int, effects: Sequence[StoreEffects]) -> None:
        """Queue what a committed record leaves; applied in order, later."""
        with self._wake:
            self._records.append((number, effects))
            self._wake.notify()
        if len(self._records) > ROOM:
            self._room.clear()

    async def room(self) -> None:
        """Wait until few records wait."""
        await self._room.wait()

    async def call(self, function: Callable[[Store], Result]) -> Result:
        """Run a function on the store in its thread, before waiting records; its error is raised here.

        Cancelling the wait does not take the call back.
        """
        future: asyncio.Future[Result] = self._loop.create_future()
        with self._wake:
            if self._stopping or self._ended.done():
                raise RuntimeError("the store is closed")
            self._calls.append((function, future))
            self._wake.notify()
        return await future

    def waiting(self, sink: str) -> Waiting:
        """How much waits for a sink."""
        return self.facts.waiting[sink]

    async def take(self, sink: str, without: frozenset[str] = frozenset()) -> Parcel:
        """Wait for lines for a sink and return them, those of some buckets left out."""
        news = self._news.setdefault(sink, asyncio.Event())
        while True:
            news.clear()
            parcel = await self.call(lambda store: store.take(sink, without))
            if parcel is not None:
                return parcel
            await news.wait()

    async def applied(self, number: int) -> None:
        """Wait until a record is applied."""
        if self._ended.done():
            raise RuntimeError("the store is closed")
        if self.facts.applied < number:
            mark: asyncio.Future[None] = self._loop.create_future()
            with self._wake:
                self._marks.append((number, mark))
                self._wake.notify()
            await mark

    async def sync(self) -> int:
        """Make the store durable; returns the record number up to which it is."""
        return await self.call(_synced)

    async def wait_ended(self) -> None:
        """Wait for a thread that was not told to stop: RuntimeError when it has ended all the same."""
        await asyncio.shield(self._ended)
        if not self._stopping:
            raise RuntimeError("the store's thread ended by itself; the log says why")

    async def stop(self, deadline: float) -> bool:
        """Apply what is queued, for at most `deadline` seconds, and close; True when all of it is applied."""
        with self._wake:
            self._stopping = True
            self._give_up_at = monotonic() + deadline
            self._retry_at = 0.0
            self._wake.notify()
        await asyncio.wait([self._ended], timeout=deadline + self._retry_delay)
        return self._ended.done() and not self._records

    # --- in the thread

    def _run(self) -> None:
        try:
            while (work := self._next()) is not None:
                work()
        finally:
            self._store.close()
            self._tell(self._finish)

    def _next(self) -> Callable[[], None] | None:
        """Wait for something to do and return it; None at the end."""
        with self._wake:
            while True:
                now = self.moved = monotonic()
                work = self._due(now)
                if work is not None:
                    return work
                if self._stopping and (not self._records or now >= self._give_up_at):
                    return None
                patience = self._patience(now)
                self._wake.wait(LOOK_EVERY if patience is None else min(LOOK_EVERY, patience))

    def _due(self, now: float) -> Callable[[], None] | None:
        if self._calls and not self._lost:
            return partial(self._answer, *self._calls.popleft())
        if now < self._retry_at:
            return None
        if self._lost:
            return self._make_again
        if self._records and now >= self._group_until():
            return self._apply
        return None if self._stopping else self._in_spare_time(now)

    def _in_spare_time(self, now: float) -> Callable[[], None] | None:
        if self.facts.salvaging:
            return self._salvage
        if self.facts.late_pending and now >= self._late_at:
            return self._merge_late
        if self._store.unseen and now >= self._look_at:
            return self._scrub
        return None

    def _group_until(self) -> float:
        """When the records that wait are to be applied."""
        hurry = self._stopping or self._marks or len(self._records) >= GROUPED
        return 0.0 if hurry else self._apply_at

    def _patience(self, now: float) -> float | None:
        waits = []
        if self._records:
            waits.append(max(self._retry_at, self._group_until()) - now)
        if self._lost:
            waits.append(self._retry_at - now)
        if self.facts.salvaging:
            waits.append(self._retry_at - now)
        if self.facts.late_pending:
            waits.append(max(self._late_at, self._retry_at) - now)
        if self._store.unseen:
            waits.append(max(self._look_at, self._retry_at) - now)
        if self._stopping:
            waits.append(self._give_up_at - now)
        return max(0.0, min(waits)) if waits else None

    def _answer(self, function: Callable[[Store], Any], future: asyncio.Future[Any]) -> None:
        try:
            result = function(self._store)
        except Exception as error:  # noqa: BLE001 - whoever asked gets the error
            self._tell(_set_exception, future, error)
            if is_damage(error):
                self._lose(error)
            return
        self._publish()
        self._tell(_set_result, future, result)

    def _apply(self) -> None:
        self._apply_at = monotonic() + GROUP_FOR
        records = list(islice(self._records, RECORDS_AT_ONCE))
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
        """Mark a record as applied without what it left; the journal has it until the next checkpoint."""
        number, effects = record
        text = f"record {number}: {type(error).__name__}: {error}"
        at = effects[0].at if effects else 0
        try:
            self._store.apply([(number, [StoreEffects(at, events=(Event("record_refused", text, at),))])])
        except sqlite3.Error as refusal:
            self._stall(refusal)
            return
        self._tell(self._event, "record_refused", text)
        self._applied(1)

    def _applied(self, count: int) -> None:
        for _ in range(count):
            self._records.popleft()
        if self._stalled:
            self._stalled, self.refusal = False, None
            self._tell(self._event, "store_resumed", "")
        self._publish()

    def _stall(self, error: Exception) -> None:
        self._retry_at = monotonic() + self._retry_delay
        self.refusal = error
        if not self._stalled:
            self._stalled = True
            self._tell(self._event, "store_stalled", str(error))

    def _salvage(self) -> None:
        told = self._in_passing(self._store.salvage)
        if told:
            self._tell(self._event, "store_salvaged", told)

    def _merge_late(self) -> None:
        if self._in_passing(self._store.run_late) is not None:
            self._late_at = monotonic() + self._late_pause

    def _scrub(self) -> None:
        self._look_at = monotonic() + LOOK_PAUSE
        self._in_passing(self._store.scrub)

    def _in_passing(self, work: Callable[[], Result]) -> Result | None:
        """Do work of the store's own; None where the disk or the file did not let it."""
        try:
            result = work()
        except READ_ERRORS as error:
            if is_damage(error):
                self._lose(error)
            else:
                self._stall(error)
            return None
        self._publish()
        return result

    def _lose(self, error: BaseException) -> None:
        self._lost = str(error)
        self._store.close()

    def _make_again(self) -> None:
        try:
            self._store = self._reopen(self._lost)
        except (*READ_ERRORS, OSError) as error:
            self._stall(error)
            return
        damage, self._lost = self._lost, ""
        self._tell(self._event, "store_lost", damage)
        self._publish()

    def _publish(self) -> None:
        self.facts = self._store.facts()
        self._tell(self._look)

    def _tell(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            return  # the loop is closed: nobody is left to be told

    # --- on the loop

    def _look(self) -> None:
        facts = self.facts
        for sink, news in self._news.items():
            if facts.waiting[sink].chunks:
                news.set()
        if len(self._records) <= ROOM:
            self._room.set()
        for number, mark in self._marks:
            if number <= facts.applied and not mark.done():
                mark.set_result(None)
        self._marks = [pair for pair in self._marks if not pair[1].done()]

    def _event(self, code: str, text: str) -> None:
        if self._on_event is not None:
            self._on_event(code, text)

    def _finish(self) -> None:
        closed = RuntimeError("the store is closed")
        for future in (*(future for _, future in self._calls), *(mark for _, mark in self._marks)):
            _set_exception(future, closed)
        self._ended.set_result(None)


def _set_result(future: asyncio.Future[Any], result: object) -> None:
    if not future.done():
        future.set_result(result)


def _set_exception(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _synced(store: Store) -> int:
    store.sync()
    return store.facts().applied

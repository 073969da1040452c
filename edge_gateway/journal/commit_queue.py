"""The writer thread: what the loop submits becomes durable in order, and the loop is told in order.

    loop ── submit(number, record) ──▶ queue ──▶ writer thread: encode, append …, one write, one sync
    loop ◀── futures, in order ────────────────── call_soon_threadsafe, once a group

Everything queued when the writer comes round is one commit group. A group that fails is tried again
unchanged, and nothing behind it moves until it is durable.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from edge_gateway.journal.journal import Journal, JournalFull
from edge_gateway.records import codec

RETRY_DELAY: Final = 1.0
LOOK_EVERY: Final = 1.0
"""Seconds after which an idle writer comes round, to show that it can."""
ROOM: Final = 50
"""`room` returns when no more records than this wait."""


class CommitQueueStopped(Exception):
    """The queue takes no more records: it was stopped, or a record could not be encoded."""


@dataclass(slots=True)
class _Entry:
    number: int
    record: Any
    future: asyncio.Future[int]


class CommitQueue:
    """Commits records of a `Journal` in a thread of its own; made and used on one event loop.

    Args:
        journal: where records go; only this queue appends to it.
        power: sync each group to the disk, not only to the kernel.
        on_stalled: called on the loop with the error each time a group fails.
        on_resumed: called on the loop when a stalled group has become durable.
        retry_delay: seconds between tries of a failed group.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        power: bool = True,
        on_stalled: Callable[[Exception], None] | None = None,
        on_resumed: Callable[[], None] | None = None,
        retry_delay: float = RETRY_DELAY,
    ) -> None:
        self._journal = journal
        self._power = power
        self._on_stalled = on_stalled
        self._on_resumed = on_resumed
        self._retry_delay = retry_delay
        self._loop = asyncio.get_running_loop()
        self._entries: deque[_Entry] = deque()
        self._wake = threading.Condition()
        self._retry_now = False
        self._stopping = False
        self._give_up_at: float | None = None
        self._broken: Exception | None = None
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._unfinished: dict[asyncio.Future[int], None] = {}
        self._room = asyncio.Event()
        self._room.set()
        self.stalled: Exception | None = None
        self.moved = monotonic()
        """When the writer last came round, or a try to commit ended, well or not: a disk that refuses is no hang."""
        self._thread = threading.Thread(target=self._run, name="commit", daemon=True)
        self._thread.start()

    @property
    def pending(self) -> int:
        """Records submitted and not yet durable."""
        return len(self._unfinished)

    def submit(self, number: int, record: Any) -> asyncio.Future[int]:
        """Queue a record, an object tree or a callable that makes one in the writer thread.

        The future's result is the number, set when the record is durable; futures finish in submission order,
        so callbacks added to them run in that order too. An encoding error ends the queue: the record's
        future and all later ones carry it.
        """
        if self._stopping or self._broken is not None:
            raise CommitQueueStopped(str(self._broken or "the commit queue was stopped"))
        future: asyncio.Future[int] = self._loop.create_future()
        self._unfinished[future] = None
        if len(self._unfinished) > ROOM:
            self._room.clear()
        with self._wake:
            self._entries.append(_Entry(number, record, future))
            self._wake.notify()
        return future

    async def room(self) -> None:
        """Wait until few records wait."""
        await self._room.wait()

    def retry_now(self) -> None:
        """Try a stalled group at once, because space was freed."""
        with self._wake:
            self._retry_now = True
            self._wake.notify()

    async def wait_ended(self) -> None:
        """Return when the thread has ended after `stop`; raise the error that ended it otherwise."""
        await asyncio.shield(self._ended)

    async def stop(self, deadline: float) -> bool:
        """Commit what is queued, for at most `deadline` seconds; True when everything is durable.

        Futures of what is not durable by then are cancelled. Cancellation-safe: the thread ends by itself.
        """
        with self._wake:
            self._stopping = True
            self._give_up_at = monotonic() + deadline
            self._retry_now = True
            self._wake.notify()
        await asyncio.wait([self._ended], timeout=deadline + self._retry_delay)
        if self._ended.done() and self._ended.exception() is not None:
            return False
        drained = not self._unfinished
        for future in tuple(self._unfinished):
            future.cancel()
        self._unfinished.clear()
        return drained

    def _run(self) -> None:
        try:
            while group := self._next_group():
                if not self._encode(group) or not self._commit(group):
                    break
        finally:
            self._journal.close()
            self._call(self._finish)

    def _finish(self) -> None:
        if self._broken is not None:
            self._ended.set_exception(self._broken)
        else:
            self._ended.set_result(None)

    def _next_group(self) -> list[_Entry]:
        with self._wake:
            self.moved = monotonic()
            while not (self._entries or self._stopping):
                self._wake.wait(LOOK_EVERY)
                self.moved = monotonic()
            group = list(self._entries)
            self._entries.clear()
            return group

    def _encode(self, group: list[_Entry]) -> bool:
        for entry in group:
            try:
                tree = entry.record() if callable(entry.record) else entry.record
                self._journal.append(entry.number, codec.encode(tree))
            except Exception as error:  # noqa: BLE001 - whatever a record raises ends the queue, for the loop to see
                self._broken = error
                self._call(self._fail, error)
                return False
        return True

    def _commit(self, group: list[_Entry]) -> bool:
        stalled = False
        while True:
            try:
                self._journal.sync(power=self._power)
            except (OSError, JournalFull) as error:
                stalled = True
                self.moved = monotonic()
                self._call(self._stall, error)
                if self._give_up():
                    return False
                continue
            self.moved = monotonic()
            if stalled:
                self._call(self._resume)
            self._call(self._done, group)
            return True

    def _give_up(self) -> bool:
        """Wait before the next try; True when the stop deadline has passed."""
        with self._wake:
            self._wake.wait_for(lambda: self._retry_now, self._patience())
            self._retry_now = False
            return self._give_up_at is not None and monotonic() >= self._give_up_at

    def _patience(self) -> float:
        if self._give_up_at is None:
            return self._retry_delay
        return max(0.0, min(self._retry_delay, self._give_up_at - monotonic()))

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            return  # the loop is closed: nobody is left to be told

    def _stall(self, error: Exception) -> None:
        self.stalled = error
        if self._on_stalled is not None:
            self._on_stalled(error)

    def _resume(self) -> None:
        self.stalled = None
        if self._on_resumed is not None:
            self._on_resumed()

    def _done(self, group: list[_Entry]) -> None:
        for entry in group:
            self._unfinished.pop(entry.future, None)
            if not entry.future.done():
                entry.future.set_result(entry.number)
        if len(self._unfinished) <= ROOM:
            self._room.set()

    def _fail(self, error: Exception) -> None:
        for future in tuple(self._unfinished):
            if not future.done():
                future.set_exception(error)
        self._unfinished.clear()

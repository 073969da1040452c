"""The commit thread: makes submitted records durable in order, and tells the event loop in the same order.

    loop ── submit(number, record) ──▶ queue ──▶ commit thread: encode, append …, one write, one sync
    loop ◀── futures, in order ────────────────── one call a group

Everything queued when the thread comes round is one commit group. A group that fails is tried again
unchanged, and nothing behind it moves until it is durable.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from edge_gateway.journal.segments import Journal, JournalFull
from edge_gateway.journal.worker import RETRY_DELAY, Work, Worker
from edge_gateway.records import codec

ROOM: Final = 50
"""`room` returns when no more records than this are pending."""


class CommitQueueStopped(Exception):
    """The queue takes no more records: it was stopped, or a record could not be encoded."""


@dataclass(slots=True)
class _Entry:
    number: int
    record: Any
    future: asyncio.Future[int]


class CommitQueue:
    """Commits records to a `Journal` in a thread of its own; made and used on one event loop.

    Args:
        journal: where records go; only this queue appends to it.
        power: sync each group to the disk, not only to the kernel.
        on_stalled: called on the loop with the error each time a group fails.
        on_resumed: called on the loop when a stalled group has become durable, before its futures finish.
        retry_delay: seconds between tries of a failed group.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        power: bool = True,
        on_stalled: Callable[[Exception], None] = lambda _: None,
        on_resumed: Callable[[], None] = lambda: None,
        retry_delay: float = RETRY_DELAY,
    ) -> None:
        self._journal = journal
        self._power = power
        self._on_stalled = on_stalled
        self._on_resumed = on_resumed
        self._loop = asyncio.get_running_loop()
        self._group: list[_Entry] = []
        self._unfinished: dict[asyncio.Future[int], None] = {}
        self._worker: Worker[_Entry] = Worker(
            "commit",
            self._agenda,
            close=journal.close,
            on_end=self._end,
            room=ROOM,
            retry_delay=retry_delay,
        )
        self.room = self._worker.room
        self.retry_now = self._worker.retry_now
        self.wait_ended = self._worker.wait_ended
        self._worker.start()

    @property
    def pending(self) -> int:
        """Records submitted and not yet durable."""
        return self._worker.pending

    @property
    def moved(self) -> float:
        """Monotonic time at which the thread last finished a try to commit, well or not, or checked in."""
        return self._worker.moved

    @property
    def refusal(self) -> Exception | None:
        """Why the group at the head of the queue could not be committed; None while commits succeed."""
        return self._worker.refusal

    def submit(self, number: int, record: Any) -> asyncio.Future[int]:
        """Queue a record: an object tree, or a callable that makes one in the commit thread.

        The future's result is the number, set when the record is durable; futures finish in submission order,
        so callbacks added to them run in that order too. An encoding error ends the queue: the record's
        future and all later ones carry it. Raises CommitQueueStopped after that and after `stop`.
        """
        if self._worker.closed:
            raise CommitQueueStopped(str(self._worker.error or "the commit queue was stopped"))
        future: asyncio.Future[int] = self._loop.create_future()
        self._unfinished[future] = None
        self._worker.put(_Entry(number, record, future))
        return future

    async def stop(self, deadline: float) -> bool:
        """Commit what is queued, for at most `deadline` seconds; True when everything is durable.

        Futures of what is not durable by then are cancelled. Cancellation-safe: the thread ends by itself.
        """
        drained = await self._worker.stop(deadline)
        for future in tuple(self._unfinished):
            future.cancel()
        self._unfinished.clear()
        return drained

    # --- in the thread

    def _agenda(self) -> Iterator[tuple[float, Work]]:
        if self._worker.queued:
            yield self._worker.retry_at, self._commit

    def _commit(self) -> None:
        if not self._group:
            group = self._worker.first()
            self._encode(group)
            self._group = group
        try:
            self._journal.sync(power=self._power)
        except (OSError, JournalFull) as error:
            self._worker.refused(error)
            self._worker.tell(self._on_stalled, error)
            return
        if self._worker.resumed():
            self._worker.tell(self._on_resumed)
        done, self._group = self._group, []
        self._worker.finish(len(done))
        self._worker.tell(self._done, done)

    def _encode(self, group: list[_Entry]) -> None:
        for entry in group:
            tree = entry.record() if callable(entry.record) else entry.record
            self._journal.append(entry.number, codec.encode(tree))

    # --- told to the loop

    def _done(self, group: list[_Entry]) -> None:
        for entry in group:
            self._unfinished.pop(entry.future, None)
            if not entry.future.done():
                entry.future.set_result(entry.number)

    def _end(self, error: Exception | None) -> None:
        if error is None:
            return
        for future in self._unfinished:
            if not future.done():
                future.set_exception(error)
        self._unfinished.clear()

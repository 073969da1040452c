"""A thread for work that blocks, and the event loop's side of it.

    loop ── put(item) ──▶ queue ──▶ thread: first(), work, finish()
    loop ◀──── tell(function) ───── in the order told

The thread asks its owner for an agenda, does the most urgent work that is due, and asks again. It ends when it is
stopped and its queue is empty, when it is stopped and the deadline has passed, or with the first error that work
raises. The commit queue and the store's thread are two uses of it.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from time import monotonic
from typing import Any, Final, Generic, TypeVar

Item = TypeVar("Item")
Work = Callable[[], None]
Agenda = Callable[[], Iterable[tuple[float, Work]]]

RETRY_DELAY: Final = 1.0
CHECK_IN: Final = 1.0
"""Longest wait of an idle thread in seconds: it checks in, which shows that it still can."""
_PAST: Final = 0.0
"""A monotonic time that is over."""


class Worker(Generic[Item]):
    """One thread and its bounded queue. Made and used on one event loop, apart from the methods of the thread.

    Args:
        name: the thread's name, for logs.
        agenda: called in the thread under the lock; yields work with the monotonic time from which it is due, the most
            urgent first. It must yield work while items are queued.
        close: called in the thread when it ends, whatever ended it.
        on_end: called on the loop after that, with the error that ended the thread, None after `stop`.
        room: `room` waits while more items than this are pending.
        retry_delay: seconds between two tries of refused work.
    """

    def __init__(
        self,
        name: str,
        agenda: Agenda,
        *,
        close: Callable[[], None],
        on_end: Callable[[Exception | None], None],
        room: int,
        retry_delay: float = RETRY_DELAY,
    ) -> None:
        self._agenda = agenda
        self._close = close
        self._on_end = on_end
        self._most = room
        self.retry_delay = retry_delay
        self._loop = asyncio.get_running_loop()
        self._wake = threading.Condition()
        self._queue: deque[Item] = deque()
        self._room = asyncio.Event()
        self._room.set()
        self._ended = asyncio.Event()
        self._give_up_at = _PAST
        self.pending = 0
        """Items put and not finished, as the loop knows it."""
        self.stopping = False
        self.error: Exception | None = None
        """What ended the thread."""
        self.refusal: Exception | None = None
        """Why work was refused last; None once it was done."""
        self.retry_at = _PAST
        """Monotonic time before which refused work is not tried again."""
        self.moved = monotonic()
        """When the thread last finished work or checked in: a disk that refuses does not stop this, a hang does."""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread, once the owner is ready to give its agenda."""
        self._thread.start()

    # --- on the loop

    @property
    def closed(self) -> bool:
        """Whether the worker was stopped or has ended."""
        return self.stopping or self._ended.is_set()

    @property
    def drained(self) -> bool:
        """Whether the thread has ended and did everything that was put."""
        return self._ended.is_set() and self.error is None and not self.pending

    def put(self, item: Item) -> None:
        """Queue an item. The queue takes it even when full: who puts waits for `room` before the next."""
        self.pending += 1
        if self.pending > self._most:
            self._room.clear()
        with self._wake:
            self._queue.append(item)
            self._wake.notify()

    async def room(self) -> None:
        """Wait until few items are pending, or the thread has ended."""
        await self._room.wait()

    def wake(self) -> None:
        """Make the thread read its agenda again."""
        with self._wake:
            self._wake.notify()

    def retry_now(self) -> None:
        """Try refused work at once."""
        with self._wake:
            self.retry_at = _PAST
            self._wake.notify()

    async def wait_ended(self) -> None:
        """Wait for the end of the thread; RuntimeError where an error ended it."""
        await self._ended.wait()
        if self.error is not None:
            what = f"{type(self.error).__name__}: {self.error}"
            raise RuntimeError(f"the {self._thread.name} thread failed: {what}") from self.error

    async def stop(self, deadline: float) -> bool:
        """Do what is queued, trying refused work for at most `deadline` seconds, and end; returns `drained`.

        May be called again. Cancellation-safe: the thread ends by itself.
        """
        with self._wake:
            self.stopping = True
            self._give_up_at = monotonic() + deadline
            self.retry_at = _PAST
            self._wake.notify()
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline + self.retry_delay):
                await self._ended.wait()
        return self.drained

    # --- in the thread

    @property
    def queued(self) -> int:
        """Items that are not finished."""
        return len(self._queue)

    def first(self, most: int | None = None) -> list[Item]:
        """The oldest queued items, at most `most`; they stay queued until `finish`."""
        with self._wake:
            return list(islice(self._queue, most))

    def finish(self, count: int) -> None:
        """Take the oldest `count` items off the queue, done."""
        with self._wake:
            for _ in range(count):
                self._queue.popleft()
        self.tell(self._finished, count)

    def refused(self, error: Exception) -> bool:
        """Note that work could not be done and is to be tried again later; returns whether the one before could."""
        with self._wake:
            self.retry_at = monotonic() + self.retry_delay
        first, self.refusal = self.refusal is None, error
        return first

    def resumed(self) -> bool:
        """Note that work was done; returns whether work was refused before."""
        first, self.refusal = self.refusal is not None, None
        return first

    def tell(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function on the loop; calls come in the order told."""
        with suppress(RuntimeError):  # the loop is closed, and nobody is left to be told
            self._loop.call_soon_threadsafe(function, *arguments)

    def _run(self) -> None:
        error = None
        try:
            try:
                while (work := self._next()) is not None:
                    work()
            finally:
                self._close()
        except Exception as raised:  # noqa: BLE001 - whatever ends the thread is raised on the loop
            error = raised
        self.tell(self._end, error)

    def _next(self) -> Work | None:
        """Wait for work that is due and return it; None at the end."""
        with self._wake:
            while True:
                now = self.moved = monotonic()
                patience = CHECK_IN
                for at, work in self._agenda():
                    if at <= now:
                        return work
                    patience = min(patience, at - now)
                if self.stopping and (not self._queue or now >= self._give_up_at):
                    return None
                if self.stopping:
                    patience = min(patience, self._give_up_at - now)
                self._wake.wait(patience)

    # --- told to the loop

    def _finished(self, count: int) -> None:
        self.pending -= count
        if self.pending <= self._most:
            self._room.set()

    def _end(self, error: Exception | None) -> None:
        self.error = error
        self._ended.set()
        self._room.set()
        self._on_end(error)

"""One thread with a bounded queue: order, room, errors, stopping, and the mark a watchdog reads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import pytest

from edge_gateway.journal import worker as module
from edge_gateway.journal.worker import Work, Worker

LONG = 60.0
ROOM = 3


class Adder:
    """The smallest owner of a worker: takes queued numbers one by one, and tells the loop each."""

    def __init__(self, *, retry_delay: float = 0.001) -> None:
        self.taken: list[int] = []
        self.told: list[Any] = []
        self.refusals: list[Exception] = []
        self.gate = threading.Event()
        self.gate.set()
        self.inside = threading.Event()
        self.broken_close: Exception | None = None
        self.closed_in = ""
        self.spare: Callable[[], None] | None = None
        self.worker: Worker[int] = Worker(
            "adder",
            self.agenda,
            close=self.close,
            on_end=self.told.append,
            room=ROOM,
            retry_delay=retry_delay,
        )
        self.worker.start()

    def agenda(self) -> Iterator[tuple[float, Work]]:
        if self.worker.queued:
            yield self.worker.retry_at, self.take
        if self.spare is not None:
            yield 0.0, self.spare

    def take(self) -> None:
        self.inside.set()
        self.gate.wait()
        if self.refusals:
            self.worker.tell(self.told.append, self.worker.refused(self.refusals.pop(0)))
            return
        if self.worker.resumed():
            self.worker.tell(self.told.append, "resumed")
        (number,) = self.worker.first(1)
        if number < 0:
            raise ValueError(f"{number} is negative")
        self.taken.append(number)
        self.worker.tell(self.told.append, number)
        self.worker.finish(1)

    def close(self) -> None:
        self.closed_in = threading.current_thread().name
        if self.broken_close is not None:
            raise self.broken_close

    async def held(self, *numbers: int) -> None:
        """Queue numbers, and hold the thread while it takes the first."""
        self.gate.clear()
        self.inside.clear()
        for number in numbers:
            self.worker.put(number)
        await asyncio.to_thread(self.inside.wait, LONG)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(LONG):
        while not true():  # noqa: ASYNC110 - the thread under test sets no event
            await asyncio.sleep(0.001)


async def test_items_are_done_in_order_and_the_loop_hears_of_them_in_order() -> None:
    adder = Adder()
    for number in range(50):
        adder.worker.put(number)
    assert await adder.worker.stop(LONG)
    assert adder.told == [*range(50), None], "the end comes last"
    assert adder.worker.pending == 0
    assert adder.closed_in == "adder"


async def test_a_full_queue_takes_items_and_has_room_again_when_few_are_left() -> None:
    adder = Adder()
    await adder.held(*range(ROOM))
    async with asyncio.timeout(LONG):
        await adder.worker.room()
    adder.worker.put(ROOM)
    adder.worker.put(ROOM + 1)
    waiting = asyncio.create_task(adder.worker.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    assert (adder.worker.pending, adder.worker.queued) == (ROOM + 2, ROOM + 2)
    adder.gate.set()
    async with asyncio.timeout(LONG):
        await waiting
    assert adder.worker.pending <= ROOM
    assert await adder.worker.stop(LONG)
    assert adder.taken == list(range(ROOM + 2))


class Stepped(Adder):
    """Takes an item each time it is permitted to."""

    permits = threading.Semaphore(0)

    def take(self) -> None:
        self.permits.acquire()
        super().take()


async def test_there_is_room_as_soon_as_no_more_than_that_are_pending() -> None:
    adder = Stepped()
    for number in range(ROOM + 1):
        adder.worker.put(number)
    waiting = asyncio.create_task(adder.worker.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    adder.permits.release()
    async with asyncio.timeout(LONG):
        await waiting
    assert adder.worker.pending == ROOM
    adder.permits.release(ROOM)
    assert await adder.worker.stop(LONG)


async def test_items_stay_queued_until_they_are_finished() -> None:
    adder = Adder()
    await adder.held(1, 2, 3)
    assert adder.worker.first() == [1, 2, 3]
    assert adder.worker.first(2) == [1, 2]
    adder.gate.set()
    assert await adder.worker.stop(LONG)
    assert adder.worker.first() == []


async def test_the_most_urgent_work_that_is_due_is_done_first() -> None:
    adder = Adder()
    done = threading.Event()
    adder.spare = done.set
    await adder.held(1)
    done.clear()
    adder.worker.put(2)
    assert not done.is_set()
    adder.gate.set()
    await asyncio.to_thread(done.wait, LONG)
    assert adder.taken == [1, 2]
    adder.spare = None
    assert await adder.worker.stop(LONG)


async def test_work_is_due_at_its_time_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(module, "monotonic", lambda: now)
    adder = Adder()
    done = [threading.Event(), threading.Event()]
    agenda = ((100.0 + 1e-9, done[0].set), (100.0, done[1].set))
    adder.worker._agenda = lambda: iter(agenda)
    adder.worker.wake()
    assert await asyncio.to_thread(done[1].wait, LONG)
    assert not done[0].is_set()
    adder.worker._agenda = lambda: iter(())
    assert await adder.worker.stop(LONG)


async def test_refused_work_is_tried_again_and_the_first_refusal_is_told_apart() -> None:
    adder = Adder()
    adder.refusals = [OSError("full"), OSError("full"), OSError("still full")]
    adder.worker.put(1)
    await until(lambda: "resumed" in adder.told)
    assert await adder.worker.stop(LONG)
    assert adder.told == [True, False, False, "resumed", 1, None]
    assert adder.worker.refusal is None


async def test_refused_work_waits_for_its_delay_and_retry_now_ends_the_wait() -> None:
    adder = Adder(retry_delay=3600.0)
    adder.refusals = [OSError("full")]
    adder.worker.put(1)
    await until(lambda: adder.told)
    adder.worker.put(2)
    adder.worker.wake()
    assert adder.worker.retry_at > monotonic() + 1800
    assert (str(adder.worker.refusal), adder.taken) == ("full", [])
    adder.worker.retry_now()
    await until(lambda: adder.taken == [1, 2])
    assert await adder.worker.stop(LONG)


async def test_an_error_ends_the_thread_and_reaches_who_waits() -> None:
    adder = Adder()
    waiting = asyncio.create_task(adder.worker.wait_ended())
    await adder.held(1, -1, *range(2, 9))
    full = asyncio.create_task(adder.worker.room())
    adder.gate.set()
    with pytest.raises(RuntimeError, match="the adder thread failed: ValueError: -1 is negative") as raised:
        await waiting
    assert isinstance(raised.value.__cause__, ValueError)
    async with asyncio.timeout(LONG):
        await full
    assert adder.told[:-1] == [1]
    assert adder.told[-1] is adder.worker.error
    assert adder.closed_in == "adder"
    assert adder.worker.closed
    assert not adder.worker.stopping
    assert not await adder.worker.stop(LONG)
    assert adder.taken == [1], "nothing behind the error is done"


async def test_an_error_without_anything_left_is_no_clean_end_either() -> None:
    adder = Adder()
    adder.broken_close = OSError("cannot be closed")
    assert not await adder.worker.stop(LONG)
    assert adder.told == [adder.broken_close]
    with pytest.raises(RuntimeError, match="cannot be closed"):
        await adder.worker.wait_ended()


async def test_stop_does_what_is_queued_while_full() -> None:
    adder = Adder()
    await adder.held(*range(3 * ROOM))
    stopping = asyncio.create_task(adder.worker.stop(LONG))
    full = asyncio.create_task(adder.worker.room())
    await asyncio.sleep(0)
    assert adder.worker.closed
    adder.gate.set()
    assert await stopping
    await full
    assert adder.taken == list(range(3 * ROOM))
    await adder.worker.wait_ended()


async def test_stop_tries_refused_work_at_once() -> None:
    adder = Adder(retry_delay=3600.0)
    adder.refusals = [OSError("full")]
    adder.worker.put(1)
    await until(lambda: adder.told)
    async with asyncio.timeout(LONG):
        assert await adder.worker.stop(LONG)
    assert adder.taken == [1]


async def test_stop_goes_on_trying_until_its_deadline() -> None:
    adder = Adder()
    adder.worker.put(1)
    adder.refusals = [OSError("full")] * 20
    assert await adder.worker.stop(LONG)
    assert adder.taken == [1]


async def test_stop_gives_up_refused_work_at_its_deadline() -> None:
    adder = Adder()
    adder.refusals = [OSError("full")] * 1_000_000
    adder.worker.put(1)
    assert not await adder.worker.stop(0.05)
    await adder.worker.wait_ended()
    assert (adder.taken, adder.worker.pending) == ([], 1)
    assert not adder.worker.drained
    assert not await adder.worker.stop(LONG)


async def test_stop_returns_though_the_thread_hangs_and_a_second_stop_sees_it_end() -> None:
    adder = Adder()
    await adder.held(1, 2)
    async with asyncio.timeout(LONG):
        assert not await adder.worker.stop(0.01)
    assert not adder.closed_in
    adder.gate.set()
    assert await adder.worker.stop(LONG)
    assert await adder.worker.stop(0.0)
    assert adder.taken == [1, 2]


async def test_a_cancelled_stop_still_ends_the_thread() -> None:
    adder = Adder()
    await adder.held(1, 2)
    stopping = asyncio.create_task(adder.worker.stop(LONG))
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    adder.gate.set()
    await adder.worker.wait_ended()
    assert adder.worker.drained


async def test_a_watcher_sees_an_idle_thread_check_in_a_refused_one_move_and_a_hung_one_stand_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CHECK_IN", 0.001)
    adder = Adder()
    idle = adder.worker.moved
    await until(lambda: adder.worker.moved > idle)
    await adder.held(1)
    hung = adder.worker.moved
    await asyncio.sleep(0.01)
    assert adder.worker.moved == hung
    assert hung <= monotonic()
    adder.refusals = [OSError("full")] * 1_000_000
    adder.gate.set()
    await until(lambda: adder.worker.moved > hung and adder.worker.refusal)
    adder.refusals = []
    assert await adder.worker.stop(LONG)


def test_what_is_told_to_a_loop_that_is_closed_is_told_to_nobody() -> None:
    async def begin() -> Adder:
        return Adder()

    adder = asyncio.run(begin())
    adder.worker.tell(adder.told.append, 1)
    adder.worker.put(1)
    adder.worker.stopping = True
    adder.worker.wake()
    adder.worker._thread.join(LONG)
    assert adder.closed_in == "adder"
    assert adder.told == []

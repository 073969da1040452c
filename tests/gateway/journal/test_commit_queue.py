import asyncio
import errno
import threading
from pathlib import Path
from typing import Any

import pytest

from edge_gateway.journal import worker
from edge_gateway.journal.commit_queue import ROOM, CommitQueue, CommitQueueStopped
from edge_gateway.journal.segments import Journal
from edge_gateway.records import codec
from tests.fakes import FaultyFiles


def stored(directory: Path) -> list[tuple[int, Any]]:
    return [(number, codec.decode(body)) for number, body in Journal.open(directory).read()]


class Log:
    """What the loop was told, in order."""

    def __init__(self) -> None:
        self.lines: list[Any] = []
        self.changed = asyncio.Event()

    def __call__(self, line: Any) -> None:
        self.lines.append(line)
        self.changed.set()

    async def until(self, line: Any) -> None:
        while line not in self.lines:
            self.changed.clear()
            await self.changed.wait()


def told(log: Log) -> dict[str, Any]:
    return {"on_stalled": lambda error: log(("stalled", error.errno)), "on_resumed": lambda: log("resumed")}


async def test_records_are_durable_before_the_loop_hears_of_them_in_order(tmp_path: Path) -> None:
    queue = CommitQueue(Journal.open(tmp_path))
    log = Log()
    for number in range(1, 50):
        future = queue.submit(number, {"n": number} if number % 2 else (lambda n=number: {"n": n}))
        future.add_done_callback(lambda done: log(done.result()))
    assert await future == 49
    assert log.lines == list(range(1, 50))
    assert stored(tmp_path) == [(n, {"n": n}) for n in range(1, 50)]
    assert queue.pending == 0
    assert await queue.stop(1.0)


async def test_what_is_queued_while_the_writer_works_is_one_group(tmp_path: Path) -> None:
    files = FaultyFiles()
    queue = CommitQueue(Journal.open(tmp_path, files=files))
    entered, go = threading.Event(), threading.Event()

    def slow() -> str:
        entered.set()
        go.wait()
        return "slow"

    first = queue.submit(1, slow)
    await asyncio.to_thread(entered.wait)
    rest = [queue.submit(number, number) for number in range(2, 100)]
    go.set()
    await asyncio.gather(first, *rest)
    assert files.steps.count("datasync") == 2
    assert await queue.stop(1.0)


@pytest.mark.parametrize("step", ["write", "datasync", "create"])
async def test_a_failing_disk_stalls_and_resumes_in_order(tmp_path: Path, step: str) -> None:
    files, log = FaultyFiles(), Log()
    files.partial = 11
    journal = Journal.open(tmp_path, files=files)
    files.fail[step] = [errno.ENOSPC, errno.ENOSPC, errno.EIO]
    queue = CommitQueue(journal, retry_delay=0.001, **told(log))
    futures = [queue.submit(number, number) for number in range(1, 6)]
    for future in futures:
        future.add_done_callback(lambda done: log(done.result()))
    await log.until(5)
    refusals = [("stalled", code) for code in (errno.ENOSPC, errno.ENOSPC, errno.EIO)]
    assert log.lines == [*refusals, "resumed", 1, 2, 3, 4, 5]
    assert queue.refusal is None
    assert stored(tmp_path) == [(n, n) for n in range(1, 6)]
    assert await queue.stop(1.0)


async def test_a_stalled_group_is_tried_at_once_when_space_was_freed(tmp_path: Path) -> None:
    files, log = FaultyFiles(), Log()
    journal = Journal.open(tmp_path, files=files)
    files.fail["write"] = [errno.ENOSPC]
    queue = CommitQueue(journal, retry_delay=3600, **told(log))
    future = queue.submit(1, "x")
    await log.until(("stalled", errno.ENOSPC))
    assert isinstance(queue.refusal, OSError)
    queue.retry_now()
    assert await future == 1
    assert await queue.stop(1.0)


async def test_who_submits_can_wait_for_room_and_sees_that_the_writer_still_moves(tmp_path: Path) -> None:
    files, log = FaultyFiles(), Log()
    files.fail["write"] = [errno.ENOSPC] * 3
    queue = CommitQueue(Journal.open(tmp_path, files=files), retry_delay=0.01, **told(log))
    begun = queue.moved
    futures = [queue.submit(number, number) for number in range(1, 2 * ROOM)]
    waiting = asyncio.create_task(queue.room())
    await log.until(("stalled", errno.ENOSPC))
    assert queue.moved > begun, "a disk that refuses is no hang"
    assert queue.pending == 2 * ROOM - 1
    assert not waiting.done()
    await waiting
    assert queue.pending <= ROOM
    await asyncio.gather(*futures)
    assert await queue.stop(1.0)


async def test_stop_gives_up_at_its_deadline_and_says_so(tmp_path: Path) -> None:
    files, log = FaultyFiles(), Log()
    journal = Journal.open(tmp_path, files=files)
    files.fail["write"] = [errno.ENOSPC] * 10_000
    queue = CommitQueue(journal, retry_delay=0.01, **told(log))
    future = queue.submit(1, "x")
    await log.until(("stalled", errno.ENOSPC))
    assert not await queue.stop(0.05)
    assert future.cancelled()
    assert stored(tmp_path) == []


async def test_stop_commits_what_is_queued_and_refuses_more(tmp_path: Path) -> None:
    queue = CommitQueue(Journal.open(tmp_path), power=False)
    futures = [queue.submit(number, number) for number in range(1, 30)]
    assert await queue.stop(5.0)
    assert [future.result() for future in futures] == list(range(1, 30))
    with pytest.raises(CommitQueueStopped, match=r"^the commit queue was stopped$"):
        queue.submit(30, 30)


async def test_a_record_that_cannot_be_encoded_ends_the_queue_before_anything_behind_it(
    tmp_path: Path,
) -> None:
    queue = CommitQueue(Journal.open(tmp_path))
    await queue.submit(1, "sound")
    bad, later = queue.submit(2, object()), queue.submit(3, "behind")
    for future in (bad, later):
        with pytest.raises(TypeError, match="cannot hold a object"):
            await future
    with pytest.raises(RuntimeError, match="the commit thread failed: TypeError"):
        await queue.wait_ended()
    with pytest.raises(CommitQueueStopped, match="cannot hold"):
        queue.submit(4, "x")
    assert stored(tmp_path) == [(1, "sound")]
    assert not await queue.stop(1.0)


async def test_a_future_cancelled_by_its_waiter_does_not_stop_the_others(tmp_path: Path) -> None:
    queue = CommitQueue(Journal.open(tmp_path))
    gone, kept = queue.submit(1, "a"), queue.submit(2, "b")
    gone.cancel()
    assert await kept == 2
    assert stored(tmp_path) == [(1, "a"), (2, "b")]
    assert await queue.stop(1.0)


async def test_a_stalled_group_waits_for_its_delay_whatever_else_is_submitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def clock() -> float:
        nonlocal looks
        looks += 1
        return 100.0

    monkeypatch.setattr(worker, "monotonic", clock)
    monkeypatch.setattr(worker, "CHECK_IN", 0.001)
    files, log = FaultyFiles(), Log()
    journal = Journal.open(tmp_path, files=files)
    files.fail["write"] = [errno.ENOSPC]
    queue = CommitQueue(journal, retry_delay=1.0, **told(log))
    first = queue.submit(1, "x")
    await log.until(("stalled", errno.ENOSPC))
    second = queue.submit(2, "y")
    seen = looks
    async with asyncio.timeout(60):
        while looks < seen + 20:  # noqa: ASYNC110 - the thread under test sets no event
            await asyncio.sleep(0.001)
    assert not first.done()
    queue.retry_now()
    assert [await first, await second] == [1, 2]
    assert await queue.stop(60.0)


async def test_a_record_whose_waiter_is_gone_does_not_keep_an_error_from_the_others(tmp_path: Path) -> None:
    queue = CommitQueue(Journal.open(tmp_path))
    bad, gone, kept = (queue.submit(number, object()) for number in (1, 2, 3))
    gone.cancel()
    for future in (bad, kept):
        with pytest.raises(TypeError, match="cannot hold"):
            await future
    assert gone.cancelled()

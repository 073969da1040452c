"""A part that fails is a problem and begun again; it ends nothing else."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import repeat

import pytest

from edge_gateway.service.supervision import keep_up
from edge_gateway.service.unexpected import tell_in_the_log
from edge_gateway.status.problems import Problems
from edge_gateway.status.repeats import AGAIN_AFTER, MOST_KEPT, Repeats
from fleet_wire.failures import in_words
from tests.fakes import ManualClock

PATIENCE = 60.0
EXHAUSTED = OSError(24, "Too many open files")


@asynccontextmanager
async def kept(run: Callable[[], Awaitable[None]], problems: Problems, settled: float) -> AsyncIterator[None]:
    task = asyncio.create_task(keep_up("x", run, problems, pauses=lambda: repeat(0.0), settled=settled))
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    "error",
    [
        OSError(24, "Too many open files"),
        RuntimeError("odd"),
        ExceptionGroup("of two", [OSError(24, "Too many open files")]),
    ],
    ids=["os", "defect", "group"],
)
async def test_what_fails_a_thousand_times_is_one_problem_and_one_line(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    problems, enough, runs = Problems(lambda: 0), asyncio.Event(), 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs > 1000:
            enough.set()
        raise error

    async with kept(run, problems, settled=PATIENCE), asyncio.timeout(PATIENCE):
        await enough.wait()
    assert [(one.code, one.text) for one in problems] == [("part_x", f"{in_words(error)}; it is begun again")]
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info is None


async def test_the_problem_is_over_when_the_part_has_worked_for_a_while() -> None:
    over = asyncio.Event()
    problems = Problems(lambda: 0)
    failed = False

    async def run() -> None:
        nonlocal failed
        if not failed:
            failed = True
            raise OSError(24, "Too many open files")
        assert "part_x" in problems
        problems.changed = over.set
        await asyncio.Event().wait()

    async with kept(run, problems, settled=0.05), asyncio.timeout(PATIENCE):
        await over.wait()
    assert "part_x" not in problems


async def test_one_that_is_cancelled_from_within_does_not_end_unseen() -> None:
    problems, again, runs = Problems(lambda: 0), asyncio.Event(), 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs > 1:
            again.set()
        raise asyncio.CancelledError

    async with kept(run, problems, settled=PATIENCE), asyncio.timeout(PATIENCE):
        await again.wait()
    assert "part_x" in problems


async def test_it_can_be_cancelled_while_it_works() -> None:
    begun = asyncio.Event()

    async def run() -> None:
        begun.set()
        await asyncio.Event().wait()

    problems = Problems(lambda: 0)
    async with kept(run, problems, settled=PATIENCE):
        await begun.wait()
    assert list(problems) == []


def record(text: str, level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord("gateway", level, __file__, 1, "%s", (text,), None)


def test_an_error_told_again_and_again_is_one_line_and_then_a_count() -> None:
    clock = ManualClock(0.0)
    repeats = Repeats(clock=clock)
    assert [repeats(record("no disk")) for _ in range(1000)] == [True] + [False] * 999
    assert repeats(record("no network"))
    assert repeats(record("no disk", logging.WARNING))
    assert repeats.left_out == 999
    clock.now = AGAIN_AFTER
    again = record("no disk")
    assert repeats(again)
    assert again.getMessage() == "no disk (999 times more since it was last told)"
    clock.now *= 2
    last = record("no disk")
    assert repeats(last)
    assert last.getMessage() == "no disk"


def test_what_is_no_trouble_is_always_told() -> None:
    repeats = Repeats(clock=lambda: 0.0)
    assert all(repeats(record("subscribed", logging.INFO)) for _ in range(10))


def test_few_lines_are_remembered() -> None:
    repeats = Repeats(clock=lambda: 0.0)
    for number in range(MOST_KEPT + 1):
        repeats(record(f"{number}"))
    assert repeats(record("0"))
    assert not repeats(record(f"{MOST_KEPT}"))


async def test_what_nobody_caught_is_one_line_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    hook, unraisable = threading.excepthook, sys.unraisablehook
    caplog.set_level(logging.INFO)
    try:
        tell_in_the_log()
        asyncio.get_running_loop().call_exception_handler(
            {
                "message": "socket.accept() out of system resource",
                "exception": OSError(24, "Too many open files"),
            }
        )

        def end() -> None:
            raise ValueError("odd")

        thread = threading.Thread(target=end, name="store")
        thread.start()
        thread.join()
    finally:
        threading.excepthook, sys.unraisablehook = hook, unraisable
        asyncio.get_running_loop().set_exception_handler(None)
    assert [one.getMessage() for one in caplog.records] == [
        "socket.accept() out of system resource: [Errno 24] Too many open files",
        "the thread 'store' ended: ValueError: odd",
    ]
    assert not any(one.exc_info for one in caplog.records)

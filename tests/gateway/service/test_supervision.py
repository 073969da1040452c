"""A part that fails is a problem and is restarted; it ends nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import repeat

import pytest

from edge_gateway.service.supervision import keep_running
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.problems import Problems
from fleet_console.failures import in_words

PATIENCE = 60.0
EXHAUSTED = OSError(24, "Too many open files")


@asynccontextmanager
async def kept(
    run: Callable[[], Awaitable[None]],
    problems: Problems,
    settled: float,
    part: Problem = Problem.PART_RULES,
) -> AsyncIterator[None]:
    task = asyncio.create_task(keep_running(part, run, problems, pauses=lambda: repeat(0.0), settled=settled))
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
async def test_a_thousand_failures_are_one_problem_and_one_log_line(
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
    assert [(one.code, one.text) for one in problems] == [
        ("part_rules", f"{in_words(error)}; it was restarted")
    ]
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info is None


async def test_the_problem_clears_when_the_part_has_run_for_a_while() -> None:
    over = asyncio.Event()
    problems = Problems(lambda: 0)
    failed = False

    async def run() -> None:
        nonlocal failed
        if not failed:
            failed = True
            raise OSError(24, "Too many open files")
        assert Problem.PART_RULES in problems
        problems.changed = over.set
        await asyncio.Event().wait()

    async with kept(run, problems, settled=0.05), asyncio.timeout(PATIENCE):
        await over.wait()
    assert Problem.PART_RULES not in problems


PARTS = [problem for problem in Problem if problem.code.startswith("part_")]


@pytest.mark.problem(
    "raises", "part_control", "part_rules", "part_credentials", "part_sink_influx", "part_status", "part_checkpoint",
    "part_trim", "part_own_point", "part_disk", "part_problems",
)  # fmt: skip
@pytest.mark.problem(
    "clears", "part_control", "part_rules", "part_credentials", "part_sink_influx", "part_status", "part_checkpoint",
    "part_trim", "part_own_point", "part_disk", "part_problems",
)  # fmt: skip
async def test_every_part_has_a_problem_of_its_own() -> None:
    problems = Problems(lambda: 0)
    for part in PARTS:
        tries: list[bool] = []
        over = asyncio.Event()

        async def run(part: Problem = part, tries: list[bool] = tries, over: asyncio.Event = over) -> None:
            tries.append(part in problems)
            if len(tries) == 1:
                raise OSError(24, "Too many open files")
            problems.changed = over.set
            await asyncio.Event().wait()

        async with kept(run, problems, settled=0.05, part=part), asyncio.timeout(PATIENCE):
            await over.wait()
        assert tries == [False, True]
        assert part not in problems


async def test_a_part_cancelled_by_a_library_is_a_problem() -> None:
    problems, again, runs = Problems(lambda: 0), asyncio.Event(), 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs > 1:
            again.set()
        raise asyncio.CancelledError

    async with kept(run, problems, settled=PATIENCE), asyncio.timeout(PATIENCE):
        await again.wait()
    assert Problem.PART_RULES in problems


async def test_it_can_be_cancelled_while_it_works() -> None:
    begun = asyncio.Event()

    async def run() -> None:
        begun.set()
        await asyncio.Event().wait()

    problems = Problems(lambda: 0)
    async with kept(run, problems, settled=PATIENCE):
        await begun.wait()
    assert list(problems) == []

"""A periodic task runs when it is due, and stays due until it succeeds."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from edge_gateway.service.periodic import Every


@dataclass
class Task:
    """A task every ten seconds, on a clock that is set by hand."""

    now: float = 0.0
    runs: list[float] = field(default_factory=list)
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.every = Every(10.0, self.do, clock=lambda: self.now)

    async def do(self) -> None:
        self.runs.append(self.now)
        if self.error is not None:
            raise self.error

    async def poll(self, *times: float) -> list[float]:
        for self.now in times:
            await self.every.run_if_due()
        return self.runs


async def test_it_runs_first_after_one_interval_and_then_once_per_interval() -> None:
    assert await Task().poll(0, 9.9, 10, 15, 19.9, 20) == [10, 20]


async def test_a_late_run_counts_the_next_interval_from_itself() -> None:
    assert await Task().poll(14, 20, 24) == [14, 24]


async def test_a_request_makes_it_due_now() -> None:
    task = Task(now=3.0)
    task.every.request_soon()
    assert await task.poll(3, 4) == [3]


async def test_one_that_failed_stays_due() -> None:
    task = Task(error=OSError("no room"))
    for _ in range(2):
        with pytest.raises(OSError, match="no room"):
            await task.poll(10)
    task.error = None
    assert await task.poll(11, 12) == [10, 10, 11]

"""A problem that tells of something past is shown for its whole time, whether or not the gateway restarts."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_gateway.journal.files import Files
from edge_gateway.mqtt.session_loss import SessionLoss
from edge_gateway.service.kept_problems import KeptProblems
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import AGAIN_WITHIN, Problems
from tests.fakes import ManualClock

NOON = 1_796_212_800_000
HOUR = 3_600_000

Clock = ManualClock[int]


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


def started(place: Path, clock: Clock) -> Problems:
    """The problems of a start, whose timer has nothing to do with the one of the start before; each change is saved."""
    begun = clock.now
    problems = Problems(clock, timer=lambda: clock.now - begun)
    kept = KeptProblems(place / "problems.json", problems, clock)
    problems.changed = lambda: asyncio.run(kept.save())
    kept.restore()
    return problems


def test_a_lasting_problem_outlives_kills_until_its_time_is_over(tmp_path: Path, clock: Clock) -> None:
    problems = started(tmp_path, clock)
    problems.raise_(Problem.SESSION_LOST, "from then to now")
    (first,) = problems
    for _ in range(4):
        clock.now += 6 * HOUR
        problems = started(tmp_path, clock)
        assert list(problems) == ([first] if clock.now < NOON + 24 * HOUR else [])


def test_its_time_runs_on_while_the_gateway_runs_and_while_it_does_not(tmp_path: Path, clock: Clock) -> None:
    started(tmp_path, clock).raise_(Problem.SESSION_LOST, "from then to now")
    clock.now += 20 * HOUR
    problems = started(tmp_path, clock)
    clock.now += 4 * HOUR
    problems.expire()
    assert Problem.SESSION_LOST in problems
    clock.now += 1
    problems.expire()
    assert list(problems) == list(started(tmp_path, clock)) == []


def test_the_wall_clock_of_a_start_ends_nothing_and_prolongs_nothing(tmp_path: Path) -> None:
    wall, passed = Clock(NOON), Clock(5_000)

    def start() -> Problems:
        begun = passed.now
        problems = Problems(wall, timer=lambda: passed.now - begun)
        kept = KeptProblems(tmp_path / "problems.json", problems, passed)
        problems.changed = lambda: asyncio.run(kept.save())
        kept.restore()
        return problems

    start().raise_(Problem.SESSION_LOST, "from then to now")
    wall.now += 1_000 * HOUR
    assert Problem.SESSION_LOST in start()
    wall.now -= 2_000 * HOUR
    passed.now += 24 * HOUR
    assert Problem.SESSION_LOST not in start()


def test_a_clock_that_went_back_makes_no_problem_last_longer_than_it_says(
    tmp_path: Path, clock: Clock
) -> None:
    started(tmp_path, clock).raise_(Problem.SESSION_LOST, "from then to now")
    clock.now -= 1_000 * HOUR
    problems = started(tmp_path, clock)
    clock.now += 24 * HOUR + 1
    problems.expire()
    assert list(problems) == []


def test_what_happens_again_is_shown_for_its_time_anew_after_a_restart_too(
    tmp_path: Path, clock: Clock
) -> None:
    problems = started(tmp_path, clock)
    problems.raise_(Problem.FOREIGN_SITE, "b")
    for _ in range(90):
        clock.now += 40_000
        problems.raise_(Problem.FOREIGN_SITE, "b")
    clock.now += HOUR - 60_000
    assert Problem.FOREIGN_SITE in started(tmp_path, clock), "to the minute"
    clock.now += 60_001
    assert Problem.FOREIGN_SITE not in started(tmp_path, clock)


def test_other_problems_end_with_the_process(tmp_path: Path, clock: Clock) -> None:
    problems = started(tmp_path, clock)
    problems.raise_(Problem.BROKER, "away")
    problems.raise_(Problem.STORE_CORRUPT, "damaged")
    assert list(started(tmp_path, clock)) == []


def since(problems: Problems) -> dict[str, int]:
    return {one.code: one.since for one in problems}


def test_what_is_open_before_and_after_a_restart_began_when_it_did(tmp_path: Path, clock: Clock) -> None:
    problems = started(tmp_path, clock)
    problems.raise_(Problem.BROKER, "away")
    problems.raise_(Problem.DISK, "full")
    for _ in range(3):
        clock.now += HOUR
        problems = started(tmp_path, clock)
        problems.update(Problem.DISK, "", settled=False)  # nothing was written yet
        assert since(problems) == {}, "nothing is open before it is found again"
        clock.now += AGAIN_WITHIN
        problems.raise_(Problem.BROKER, "refused")
        problems.raise_(Problem.DISK, "still full")
        assert since(problems) == {"broker": NOON, "disk": NOON}


def test_what_was_well_since_the_start_begins_anew(tmp_path: Path, clock: Clock) -> None:
    problems = started(tmp_path, clock)
    problems.raise_(Problem.BROKER, "away")
    problems.raise_(Problem.SINK_INFLUX, "away")
    clock.now += HOUR
    problems = started(tmp_path, clock)
    problems.clear(Problem.BROKER)
    problems.raise_(Problem.BROKER, "away")
    problems.raise_(Problem.SINK_INFLUX, "away")
    problems.update(Problem.SINK_INFLUX, "")
    clock.now += 5
    problems.raise_(Problem.SINK_INFLUX, "away")
    assert since(problems) == {"broker": NOON + HOUR, "sink_influx": NOON + HOUR + 5}


def test_what_was_found_well_before_it_was_raised_again_begins_anew(tmp_path: Path, clock: Clock) -> None:
    started(tmp_path, clock).raise_(Problem.BOUND_QUARANTINE, "nearly full")
    clock.now += HOUR
    problems = started(tmp_path, clock)
    problems.update(Problem.BOUND_QUARANTINE, "")
    clock.now += 5
    for one in (problems, started(tmp_path, clock)):
        one.raise_(Problem.BOUND_QUARANTINE, "nearly full")
        assert since(one) == {"bound_quarantine": NOON + HOUR + 5}


def test_what_begins_later_than_soon_after_a_start_begins_then(tmp_path: Path, clock: Clock) -> None:
    started(tmp_path, clock).raise_(Problem.BROKER, "away")
    problems = started(tmp_path, clock)
    clock.now += AGAIN_WITHIN + 1
    problems.raise_(Problem.BROKER, "away")
    assert since(problems) == {"broker": clock.now}
    problems = started(tmp_path, clock)
    clock.now += AGAIN_WITHIN + 1
    problems.expire()
    problems = started(tmp_path, clock)
    problems.raise_(Problem.BROKER, "away")
    assert since(problems) == {"broker": clock.now}, "the start between them was well"


def test_a_start_that_is_killed_before_it_finds_a_problem_again_forgets_nothing(
    tmp_path: Path, clock: Clock
) -> None:
    started(tmp_path, clock).raise_(Problem.BROKER, "away")
    clock.now += HOUR
    started(tmp_path, clock).raise_(Problem.RULES, "wrong")
    problems = started(tmp_path, clock)
    problems.raise_(Problem.BROKER, "away")
    assert since(problems) == {"broker": NOON}


def test_a_wall_clock_that_went_back_begins_no_problem_in_the_future(tmp_path: Path, clock: Clock) -> None:
    started(tmp_path, clock).raise_(Problem.BROKER, "away")
    clock.now -= HOUR
    problems = started(tmp_path, clock)
    problems.raise_(Problem.BROKER, "away")
    assert since(problems) == {"broker": NOON - HOUR}


def test_a_clock_that_is_behind_begins_no_problem_before_it_did(tmp_path: Path, clock: Clock) -> None:
    started(tmp_path, clock).raise_(Problem.BROKER, "away")
    clock.now -= 1_000 * HOUR
    problems = started(tmp_path, clock)
    problems.least = lambda: NOON + 1
    problems.raise_(Problem.BROKER, "away")
    assert since(problems) == {"broker": NOON}


@pytest.mark.parametrize(
    "problem", [Problem.STUCK, Problem.PART_DISK, Problem.MAINTENANCE_TRIM, Problem.STORE_CORRUPT]
)
def test_a_problem_of_the_process_or_of_what_a_start_found_begins_with_it(
    tmp_path: Path, clock: Clock, problem: Problem
) -> None:
    started(tmp_path, clock).raise_(problem, "it")
    clock.now += HOUR
    problems = started(tmp_path, clock)
    problems.raise_(problem, "it")
    assert since(problems) == {problem.code: NOON + HOUR}


def test_a_second_loss_after_a_restart_is_told_from_the_first_on(tmp_path: Path, clock: Clock) -> None:
    SessionLoss(clock, Counters(), started(tmp_path, clock), NOON - HOUR).connected(session_present=False)
    clock.now += 2 * HOUR
    problems = started(tmp_path, clock)
    SessionLoss(clock, Counters(), problems, NOON + HOUR).connected(session_present=False)
    assert "from 2026-12-02 11:00:00Z to 2026-12-02 14:00:00Z" in problems.text_of(Problem.SESSION_LOST)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 100_000,
        b"\xff",
        b'{"at":1,"kept":[{"problem":{"code":"session_lost","text":"x","since":1,"gravity":"grave"},"left":5}]}',
        b'{"at":1,"kept":[],"begun":{"no_such":1}}',
        b'{"at":1,"kept":[],"begun":{"broker":"noon"}}',
        b'{"at":1,"kept":[{"problem":{"code":"no_such","text":"x","since":1,"gravity":"warning"},"left":1e15}]}',
    ],
)
def test_a_damaged_file_is_no_obstacle(tmp_path: Path, clock: Clock, content: bytes) -> None:
    (tmp_path / "problems.json").write_bytes(content)
    problems = started(tmp_path, clock)
    assert list(problems) == []
    problems.raise_(Problem.SESSION_LOST, "from then to now")
    assert Problem.SESSION_LOST in started(tmp_path, clock)


@pytest.mark.parametrize("code", ["broker", "no_such"])
def test_a_problem_that_does_not_outlast_a_restart_is_not_opened(
    tmp_path: Path, clock: Clock, code: str
) -> None:
    problem = {"code": code, "text": "x", "since": 1, "gravity": "warning"}
    (tmp_path / "problems.json").write_text(
        json.dumps({"at": NOON, "kept": [{"problem": problem, "left": 9}]})
    )
    assert list(started(tmp_path, clock)) == []


@dataclass
class HeldFiles(Files):
    """Files whose first sync waits until the test lets it go on; `threads` are those that synced."""

    go_on: threading.Event = field(default_factory=threading.Event)
    threads: list[int] = field(default_factory=list)
    full: bool = False

    def sync(self, handle: int) -> None:
        self.threads.append(threading.get_ident())
        self.go_on.wait(60)
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().sync(handle)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - a thread is looked at
            await asyncio.sleep(0.01)


def kept_in(place: Path, clock: Clock, files: Files) -> tuple[Problems, KeptProblems]:
    problems = Problems(clock, timer=clock)
    kept = KeptProblems(place / "problems.json", problems, clock, files)
    problems.changed = kept.changed
    return problems, kept


async def test_a_disk_that_stalls_does_not_hold_up_the_loop(tmp_path: Path, clock: Clock) -> None:
    files = HeldFiles()
    problems, kept = kept_in(tmp_path, clock, files)
    running = asyncio.create_task(kept.run())
    problems.raise_(Problem.SESSION_LOST, "first")
    await until(lambda: len(files.threads) == 1)
    problems.raise_(Problem.SESSION_LOST, "second")
    problems.raise_(Problem.SESSION_LOST, "third")
    running.cancel()
    last = asyncio.create_task(kept.save())
    files.go_on.set()
    await last
    assert threading.get_ident() not in files.threads
    assert b"third" in (tmp_path / "problems.json").read_bytes()
    assert os.listdir(tmp_path) == ["problems.json"]  # noqa: PTH208 - as a list


async def test_changes_during_a_write_are_written_after_it(tmp_path: Path, clock: Clock) -> None:
    files = HeldFiles()
    problems, kept = kept_in(tmp_path, clock, files)
    running = asyncio.create_task(kept.run())
    problems.raise_(Problem.SESSION_LOST, "first")
    await until(lambda: len(files.threads) == 1)
    for text in ("second", "third"):
        problems.raise_(Problem.SESSION_LOST, text)
    files.go_on.set()
    file = tmp_path / "problems.json"
    await until(lambda: file.exists() and b"third" in file.read_bytes())
    assert len(files.threads) == 2, "one write for both"
    running.cancel()


async def test_a_full_disk_is_only_logged(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    files = HeldFiles(full=True)
    files.go_on.set()
    problems, kept = kept_in(tmp_path, clock, files)
    problems.raise_(Problem.SESSION_LOST, "first")
    await kept.save()
    assert "cannot keep problems for the next start: No space left on device" in caplog.text

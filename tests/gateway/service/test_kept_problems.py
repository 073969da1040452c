"""A problem that tells of something past is shown for its whole time, whether or not the gateway restarts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_gateway.mqtt.session_loss import SessionLoss
from edge_gateway.service.kept_problems import KeptProblems
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import Problems
from tests.fakes import ManualClock

NOON = 1_796_212_800_000
HOUR = 3_600_000

Clock = ManualClock[int]


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


def started(place: Path, clock: Clock) -> Problems:
    """The problems of a start, whose timer has nothing to do with the one of the start before."""
    begun = clock.now
    problems = Problems(clock, timer=lambda: clock.now - begun)
    kept = KeptProblems(place / "problems.json", problems, clock)
    problems.changed = kept.save
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

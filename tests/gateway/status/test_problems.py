"""An open problem has a beginning, a text of the moment and an end, each logged and reported once."""

from __future__ import annotations

import logging

import pytest

from edge_gateway.status.catalogue import Problem
from edge_gateway.status.problem import Gravity
from edge_gateway.status.problems import MOST_NAMED, Problems, named


def test_a_problem_keeps_its_beginning_and_is_reported_when_it_begins_or_ends() -> None:
    now, changes = [5], [0]
    problems = Problems(lambda: now[0])
    problems.changed = lambda: changes.__setitem__(0, changes[0] + 1)
    problems.raise_(Problem.DISK, "no space left")
    now[0] = 9
    problems.raise_(Problem.DISK, "still no space left")
    (one,) = problems
    assert (one.code, one.text, one.since) == ("disk", "nothing is acknowledged: still no space left", 5)
    assert changes == [1], "a new text is no new problem"
    problems.clear(Problem.DISK)
    problems.clear(Problem.DISK)
    assert Problem.DISK not in problems
    assert changes == [2]


def test_the_gravest_problem_comes_first_and_the_newest_of_a_gravity() -> None:
    now = [0]
    problems = Problems(lambda: now[0])
    raised = (Problem.BROKER_DROPPED, Problem.LATE_SHARE, Problem.DISK, Problem.RULES_IDLE, Problem.RULES)
    for now[0], problem in enumerate(raised):
        problems.raise_(problem)
    assert [one.code for one in problems] == ["rules", "disk", "rules_idle", "late_share", "broker_dropped"]


def test_another_gravity_is_reported() -> None:
    changes: list[Gravity] = []
    problems = Problems(lambda: 0)
    problems.changed = lambda: changes.extend(one.gravity for one in problems)
    problems.raise_(Problem.TAKEN_OVER, "a", Gravity.WARNING)
    problems.raise_(Problem.TAKEN_OVER, "a")
    assert changes == [Gravity.WARNING, Gravity.FAILURE]


def test_the_same_text_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    problems = Problems(lambda: 0)
    for detail in ("a", "a", "b"):
        problems.update(Problem.BROKER, detail)
    problems.update(Problem.BROKER, "")
    assert [one.getMessage() for one in caplog.records] == ["broker: a", "broker: b", "broker: over"]


def test_a_detail_may_hold_braces_and_obeys_nothing() -> None:
    problems = Problems(lambda: 0)
    problems.raise_(Problem.BROKER, "{0} {} \x1b[2J")
    assert next(iter(problems)).text == "{0} {} \\x1b[2J"


@pytest.mark.parametrize(("count", "text"), [(1, "d0"), (2, "d0, d1"), (7, "d0, d1, d2, d3, d4 and 2 more")])
def test_a_few_names_stand_for_many(count: int, text: str) -> None:
    assert MOST_NAMED == 5
    assert named([f"d{number}" for number in range(count)]) == text


def test_a_problem_is_logged_at_the_level_of_its_gravity(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    problems = Problems(lambda: 0)
    problems.raise_(Problem.TAKEN_OVER, "a", Gravity.FAILURE)
    problems.raise_(Problem.RULES_IDLE, "b")
    problems.raise_(Problem.BROKER_DROPPED, "1 message", Gravity.NOTICE)
    problems.clear(Problem.RULES_IDLE)
    assert [one.levelno for one in caplog.records] == [
        logging.ERROR,
        logging.WARNING,
        logging.INFO,
        logging.INFO,
    ]

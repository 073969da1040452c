"""Every problem has a test that raises it and one that clears it, and a code that users know."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_gateway.status.catalogue import Problem
from edge_gateway.status.problem import Clears, Entry, Gravity
from edge_gateway.status.problems import Problems

TESTS = Path(__file__).parent


def marks() -> Iterator[tuple[str, str]]:
    """What tests are marked with: `problem(how, code, …)`. The fixture of that name sees that it is true."""
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "problem"
            ):
                how, *codes = [one.value for one in node.args if isinstance(one, ast.Constant)]
                yield from ((str(how), str(code)) for code in codes)


def test_every_problem_has_a_test_that_raises_it_and_one_that_clears_it() -> None:
    wanted = {("raises", problem.code) for problem in Problem}
    wanted |= {("clears", problem.code) for problem in Problem if not problem.entry.latches}
    assert not wanted - set(marks()), "no test is marked with this"
    assert not set(marks()) - wanted, "there is no such problem"


def test_a_problem_is_known_by_its_code() -> None:
    assert all(Problem.of(problem.code) is problem for problem in Problem)
    assert len({problem.entry for problem in Problem}) == len(Problem)
    with pytest.raises(ValueError, match="no problem has the code 'x'"):
        Problem.of("x")


@pytest.mark.parametrize("how", ["", Clears("")])
def test_a_problem_without_an_end_cannot_be_declared(how: str | Clears) -> None:
    over = how or Clears("")
    assert isinstance(over, Clears)
    with pytest.raises(ValueError, match="what ends it"):
        Entry((Gravity.NOTICE,), "text", "raised", over, "action")


def test_a_problem_has_no_other_gravity_than_declared() -> None:
    problems = Problems(lambda: 0)
    with pytest.raises(ValueError, match="broker_dropped is never a failure"):
        problems.raise_(Problem.BROKER_DROPPED, "1 message", Gravity.FAILURE)
    assert not list(problems)


def test_somebody_elses_trouble_is_a_notice() -> None:
    others = {problem.code for problem in Problem if Gravity.NOTICE in problem.entry.gravities}
    assert others == {"broker_dropped", "control_subscriptions"}


def test_a_text_takes_one_detail_or_none() -> None:
    for problem in Problem:
        assert problem.entry.text.count("{}") <= 1
        assert "{" not in problem.entry.text.replace("{}", "")

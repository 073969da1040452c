"""Problems of files: in order, once each, without secrets, and not endless."""

import pytest

from fleet_config.problems import Problem, ProblemsFound, first_of, quoted, suggest


def test_a_problem_reads_as_editors_expect() -> None:
    problem = Problem("a.yaml", 2, 5, "odd")
    assert str(problem) == "a.yaml:2:5: odd"
    assert problem.as_dict() == {"file": "a.yaml", "line": 2, "column": 5, "message": "odd"}


def test_a_message_loses_passwords_and_its_end() -> None:
    assert Problem("a", 1, 1, "mqtt://me:pw@host").message == "mqtt://…@host"
    assert Problem("a", 1, 1, "x" * 1_000).message == "x" * 1_000
    assert Problem("a", 1, 1, "x" * 1_001).message == "x" * 999 + "…"


def test_problems_are_sorted_and_each_is_named_once() -> None:
    late, early = Problem("a", 10, 1, "late"), Problem("a", 9, 1, "early")
    found = ProblemsFound([late, early, late])
    assert found.problems == (early, late)
    assert str(found) == "a:9:1: early\na:10:1: late"


def test_the_first_are_shown_and_how_many_more_there_are() -> None:
    problems = [Problem("a", line, 1, "odd") for line in range(1, 6)]
    assert first_of(problems, 2) == "a:1:1: odd\na:2:1: odd\nand 3 more"
    assert first_of(problems, 5).count("\n") == 4


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("temprature", "; did you mean 'temperature'?"),
        ("TEMPERATURE", "; did you mean 'temperature'?"),
        ("x", ""),
        (7, ""),
    ],
)
def test_the_nearest_word_is_suggested(word: object, said: str) -> None:
    assert suggest(word, ["humidity", "temperature"]) == said
    assert suggest(word, []) == ""


def test_a_value_is_quoted_on_one_line_and_cut() -> None:
    assert quoted("a\nb") == r"'a\nb'"
    assert quoted("x" * 50) == "'" + "x" * 39 + "…'"
    assert quoted("x" * 5, most=5) == "'xxxxx'"

"""Comparisons of expectations."""

import math

import pytest

from fleet_sim.scenario.expectations import Expectation


@pytest.mark.parametrize(
    ("comparison", "holds_for"),
    [("<", [1]), ("<=", [1, 2]), (">", [3]), (">=", [2, 3]), ("==", [2]), ("!=", [1, 3])],
)
def test_an_expectation_holds_on_its_side_of_the_limit(comparison: str, holds_for: list[int]) -> None:
    expected = Expectation(comparison, 2.0, f"{comparison} 2")
    assert [value for value in (1, 2, 3) if expected.holds(value)] == holds_for
    assert not expected.holds(math.nan)

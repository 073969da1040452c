"""Percentiles of a few delays."""

import pytest

from edge_gateway.backtest.quantiles import quantile


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.5, None), ([7], 0.9, 7), ([3, 1, 2], 0.5, 2), (list(range(1, 11)), 0.9, 9), ([1, 2], 0.0, 1)],
)
def test_the_smallest_value_that_enough_do_not_exceed(
    values: list[int], share: float, expected: int | None
) -> None:
    assert quantile(values, share) == expected

"""Sums equal `math.fsum`, whatever the values and however they were put together."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.windows.exact_sum import Limbs, add, huge_of, normal, split, to_float

sensor_like = st.floats(-1e9, 1e9) | st.integers(-5000, 5000).map(lambda cents: cents / 100)
any_finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)
hard = st.sampled_from(
    [1e300, -1e300, 5e-324, 2.0**31, -(2.0**31), 2.0**-106, 2.0**-107, 1e-40, 2.0**52 + 0.5]
)

Sum = tuple[Limbs, int]


def total(values: list[float]) -> Sum:
    """One sum of values: limbs of one row, and the rest."""
    limbs, outside = split(np.array(values, np.float64))
    high, mid, low = (limb.sum(keepdims=True) for limb in limbs)
    summed, huge = normal(Limbs(high, mid, low))
    rest = sum(huge_of(value) for value, out in zip(values, outside, strict=True) if out)
    return summed, huge.get(0, 0) + rest


def rounded(summed: Sum) -> float:
    limbs, huge = summed
    return float(to_float(limbs, {0: huge} if huge else None)[0])


@settings(deadline=None)
@given(st.lists(sensor_like | any_finite | hard, max_size=80))
def test_a_sum_is_what_fsum_gives(values: list[float]) -> None:
    assert rounded(total(values)) == math.fsum(values)


@settings(deadline=None)
@given(st.lists(sensor_like | hard, max_size=40), st.lists(sensor_like | hard, max_size=40))
def test_sums_add_to_the_sum_of_all_bit_for_bit(some: list[float], others: list[float]) -> None:
    (one, huge), (other, huge_other) = total(some), total(others)
    both, spilled = add(one, other)
    whole, huge_of_all = total(some + others)
    assert [limb.tolist() for limb in both] == [limb.tolist() for limb in whole]
    assert huge + huge_other + spilled.get(0, 0) == huge_of_all


limb = st.integers(-(2**61), 2**61 - 1)
small_limb = st.integers(-(2**44), 2**44 - 1)


@settings(deadline=None)
@given(st.lists(st.tuples(limb | st.integers(-100, 100), small_limb, small_limb), min_size=1, max_size=30))
def test_rounding_is_to_the_nearest_double(rows: list[tuple[int, int, int]]) -> None:
    columns = Limbs(*(np.array(column, np.int64) for column in zip(*rows, strict=True)))
    exact = [Fraction((high << 90) + (mid << 45) + low, 1 << 106) for high, mid, low in rows]
    assert to_float(columns).tolist() == [float(fraction) for fraction in exact]


@pytest.mark.parametrize("low", [-1, 0, 1])
def test_a_tie_is_broken_by_the_lowest_bit(low: int) -> None:
    half_an_ulp_above = [2.0**30, 2.0**-23]
    values = [*half_an_ulp_above, low * 2.0**-106]
    assert rounded(total(values)) == math.fsum(values)


def test_high_limbs_that_overflow_go_to_the_side_and_come_back() -> None:
    value = 2.0**31 - 2.0**-20
    summed = total([value] * 32_768)
    for _ in range(12):
        (limbs, huge) = summed
        doubled, spilled = add(limbs, limbs)
        summed = doubled, 2 * huge + spilled.get(0, 0)
    assert summed[1] != 0
    assert rounded(summed) == float(Fraction(value) * 32_768 * 4096)


def test_sums_beyond_all_doubles_are_infinite() -> None:
    assert rounded(total([1.7e308, 1.7e308])) == math.inf
    assert rounded(total([-1.7e308, -1.7e308])) == -math.inf
    assert rounded(total([1.7e308, 1.7e308, -1.7e308])) == 1.7e308


@settings(deadline=None)
@given(any_finite)
def test_a_value_alone_is_itself(value: float) -> None:
    assert rounded(total([value])) == value

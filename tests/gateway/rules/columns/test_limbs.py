"""Limbs: what is split adds up to itself, and sums are rounded as `math.fsum` rounds them."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.rules.columns.limbs import USUAL, integer_of, split, sum_of_usual, to_float

finite = st.floats(allow_nan=False, allow_infinity=False)
UNITS = {"top": 20, "high": -18, "mid": -56, "low": -94}


@given(st.lists(st.one_of(finite, st.floats(-1e6, 1e6), st.floats(-0.1, 0.1)), min_size=1, max_size=20))
def test_parts_add_up_to_the_value_and_fit_into_38_bits(values: list[float]) -> None:
    parts = split(np.array(values))
    beside = np.zeros(len(values), np.bool_) if parts.beside is None else parts.beside
    for row, value in enumerate(values):
        total = sum(int(limb[row]) * Fraction(2) ** UNITS[name] for name, limb in parts.limbs.items())
        assert total == (0 if beside[row] else Fraction(value))
        assert all(abs(int(limb[row])) <= 2**37 for limb in parts.limbs.values())


@given(st.lists(st.one_of(finite, st.floats(-1e6, 1e6)), min_size=1, max_size=60))
def test_a_sum_is_rounded_once(values: list[float]) -> None:
    parts = split(np.array(values))
    totals = {name: limb.sum(keepdims=True) for name, limb in parts.limbs.items()}
    rows = [] if parts.beside is None else np.flatnonzero(parts.beside).tolist()
    beside = {0: sum(integer_of(values[row]) for row in rows)} if rows else {}
    try:
        expected = math.fsum(values)
    except OverflowError:
        return
    assert to_float(totals, beside)[0] == expected


def test_usual_values_have_two_limbs() -> None:
    assert tuple(split(np.array([21.37, -40.0, 0.0])).limbs) == USUAL
    assert set(split(np.array([0.1 / 3])).limbs) == {*USUAL, "low"}
    assert set(split(np.array([1.7e12])).limbs) == {*USUAL, "top"}


@pytest.mark.parametrize("count", [1, 1000, 1 << 20])
def test_the_sum_of_usual_limbs(count: int) -> None:
    parts = split(np.full(1, 123_456.789))
    totals = {name: limb * count for name, limb in parts.limbs.items()}
    expected = float(Fraction(123_456.789) * count)
    assert sum_of_usual(totals, np.array([count]))[0] == expected


def test_beyond_all_doubles_is_not_a_number() -> None:
    zero = {name: np.zeros(1, np.int64) for name in USUAL}
    assert math.isnan(to_float(zero, {0: 2 * integer_of(1.7e308)})[0])

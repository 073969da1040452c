"""Exact sums of the samples in a range, as differences of running totals in integers.

A float splits into up to four limbs of 38 bits, in units of 2²⁰, 2⁻¹⁸, 2⁻⁵⁶ and 2⁻⁹⁴; what does not fit, from 2⁵⁷ on or
with bits below 2⁻⁹⁴, is a Python integer beside them. Running totals of a limb may wrap: their difference is right as
long as a range holds fewer than 2²⁵ samples. Most series need only the two limbs in the middle; the outer ones are
kept by those that have had such a value. Rounded once, a sum is what `math.fsum` gives.

Windows have limbs of their own (`windows.exact_sum`), which are added up but never subtracted.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Final, NamedTuple

import numpy as np

from edge_gateway.columns.frame import BoolColumn, FloatColumn, IntColumn

USUAL: Final = ("high", "mid")
_UNIT: Final = {"top": 20, "high": -18, "mid": -56, "low": -94}
"""The exponents of two of the limbs' units."""
_BITS: Final = 2.0**38
_LARGE, _HUGE = 2.0**19, 2.0**57
_SMALLEST: Final = 1074
_EXACT_BITS: Final = 53
_FEW_BITS: Final = 15
"""Fewer values than 2¹⁵ of 38 bits add up to an integer that a double holds."""
_HIGH_UNIT, _MID_UNIT = 2.0**-18, 2.0**-56


class Parts(NamedTuple):
    """Values as limbs by name. `beside`: which values do not fit, None if all do; their limbs are 0."""

    limbs: dict[str, IntColumn]
    beside: BoolColumn | None


def split(values: FloatColumn) -> Parts:
    """Parts finite values into limbs, the outer ones only where a value needs them."""
    size = np.abs(values)
    if size.max(initial=0.0) < _LARGE:
        return _split(values, {}, None)
    beside = size >= _HUGE
    values = np.where(beside, 0.0, values)
    top = np.rint(values * 2.0**-20)
    limbs = {"top": top.astype(np.int64)}
    return _split(values - top * 2.0**20, limbs, beside if beside.any() else None)


def _split(values: FloatColumn, limbs: dict[str, IntColumn], beside: BoolColumn | None) -> Parts:
    rest = values * 2.0**18
    high = np.rint(rest)
    rest = (rest - high) * _BITS
    mid = np.rint(rest)
    limbs["high"], limbs["mid"] = high.astype(np.int64), mid.astype(np.int64)
    rest -= mid
    if not rest.any():
        return Parts(limbs, beside)
    rest *= _BITS
    low = np.rint(rest)
    limbs["low"] = low.astype(np.int64)
    fine = low != rest
    if not fine.any():
        return Parts(limbs, beside)
    for limb in limbs.values():
        limb[fine] = 0
    return Parts(limbs, fine if beside is None else beside | fine)


def integer_of(value: float) -> int:
    """A finite value in units of the smallest double."""
    numerator, denominator = value.as_integer_ratio()
    return numerator * ((1 << _SMALLEST) // denominator)


def to_float(limbs: Mapping[str, IntColumn], beside: Mapping[int, int]) -> FloatColumn:
    """Round sums to the nearest double; NaN beyond all doubles. `beside` has by row what is to be added."""
    rounded, sure = _rounded(limbs)
    rows = np.flatnonzero(~sure).tolist() if beside or not sure.all() else []
    for row in {*rows, *beside}:
        rounded[row] = _exactly(
            sum(int(limb[row]) << (_SMALLEST + _UNIT[name]) for name, limb in limbs.items())
            + beside.get(row, 0)
        )
    return rounded


def sum_of_usual(limbs: Mapping[str, IntColumn], count: IntColumn) -> FloatColumn:
    """As `to_float`, of the usual limbs of so many values each: few enough, they are two doubles, rounded once."""
    if int(count.max(initial=0)) >> _FEW_BITS:
        return to_float(limbs, {})
    return limbs["high"] * _HIGH_UNIT + limbs["mid"] * _MID_UNIT


def _rounded(limbs: Mapping[str, IntColumn]) -> tuple[FloatColumn, BoolColumn]:
    """Add limbs in floating point, and say where the result is proven to be the nearest double.

    Two-sum (Knuth) keeps every rounding error. Where even twice the uncertainty of the errors' own sum does not change
    the result, it is right.
    """
    exact = np.ones(len(next(iter(limbs.values()))), np.bool_)
    addends = []
    for name, limb in limbs.items():
        exact &= np.abs(limb) >> _EXACT_BITS == 0
        addends.append(limb.astype(np.float64) * 2.0 ** _UNIT[name])
    total = addends[0]
    errors, doubt = np.zeros(len(total)), np.zeros(len(total))
    for addend in addends[1:]:
        total, error = _two_sum(total, addend)
        errors += error
        doubt += np.abs(error)
    doubt *= 2.0**-50
    rounded = total + (errors + doubt)
    return rounded, exact & (rounded == total + (errors - doubt))


def _two_sum(one: FloatColumn, other: FloatColumn) -> tuple[FloatColumn, FloatColumn]:
    total = one + other
    part = total - one
    return total, (one - (total - part)) + (other - part)


def _exactly(numerator: int) -> float:
    try:
        return float(Fraction(numerator, 1 << _SMALLEST))
    except OverflowError:
        return float("nan")

"""Sums of floats that are exact, so they do not depend on order, in columns of integers.

A float v splits into `high·2⁻¹⁶ + mid·2⁻⁶¹ + low·2⁻¹⁰⁶` exactly where |v| < 2³¹ and v is a multiple of 2⁻¹⁰⁶.
Values outside that range become Python integers in units of 2⁻¹⁰⁷⁴, the smallest double. Both add without
rounding; rounding happens once, when a sum is read (`to_float`), and then gives what `math.fsum` gives.

Sums are kept in one form only: mid and low in [-2⁴⁴, 2⁴⁴), high in [-2⁶¹, 2⁶¹). What high cannot hold goes to
the Python integer in steps of 2⁶²·2⁻¹⁶, so the form of a sum does not depend on how it was put together
either.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MOST_AT_ONCE: Final = 1 << 15
"""So many values of 2³¹ reach 2⁶² in high; more are added piece by piece."""

_BITS: Final = 45
_HALF: Final = 1 << (_BITS - 1)
_HIGH_BITS: Final = 62
_STEP: Final = 2.0**_BITS
_LIMB_RANGE: Final = 2.0**31
_LIMB_UNIT: Final = 106
_HUGE_UNIT: Final = 1074
_LIMB_IN_HUGE: Final = _HUGE_UNIT - _LIMB_UNIT


class Limbs(NamedTuple):
    """Columns of one sum a row."""

    high: Ints
    mid: Ints
    low: Ints


class Split(NamedTuple):
    """Values as limbs; where `outside` is true the limbs are 0 and the value must be added as `huge_of`."""

    limbs: Limbs
    outside: NDArray[np.bool_]


def split(values: Floats) -> Split:
    """Split finite values, any shape, into limbs."""
    large = np.abs(values) >= _LIMB_RANGE
    rest = np.where(large, 0.0, values) * 65536.0
    high = np.rint(rest)
    rest -= high
    rest *= _STEP
    mid = np.rint(rest)
    rest -= mid
    rest *= _STEP
    low = np.rint(rest)
    fine = low != rest
    if fine.any():
        high, mid, low = (np.where(fine, 0.0, limb) for limb in (high, mid, low))
    return Split(Limbs(high.astype(np.int64), mid.astype(np.int64), low.astype(np.int64)), large | fine)


def huge_of(value: float) -> int:
    """Return a finite value in units of 2⁻¹⁰⁷⁴."""
    numerator, denominator = value.as_integer_ratio()
    return numerator * ((1 << _HUGE_UNIT) // denominator)


def normal(limbs: Limbs) -> tuple[Limbs, dict[int, int]]:
    """Bring sums into their one form; returns also what high could not hold, by row, in units of 2⁻¹⁰⁷⁴."""
    carry = (limbs.low + _HALF) >> _BITS
    low = limbs.low - (carry << _BITS)
    mid = limbs.mid + carry
    carry = (mid + _HALF) >> _BITS
    mid = mid - (carry << _BITS)
    high = limbs.high + carry
    over = (high + (1 << (_HIGH_BITS - 1))) >> _HIGH_BITS
    if not over.any():
        return Limbs(high, mid, low), {}
    shift = _HIGH_BITS + 2 * _BITS + _LIMB_IN_HUGE
    spilled = {row: int(over[row]) << shift for row in np.flatnonzero(over).tolist()}
    return Limbs(high - (over << _HIGH_BITS), mid, low), spilled


def add(one: Limbs, other: Limbs) -> tuple[Limbs, dict[int, int]]:
    """Add sums row by row; returns as `normal` does."""
    return normal(Limbs(one.high + other.high, one.mid + other.mid, one.low + other.low))


def to_float(limbs: Limbs, huge: Mapping[int, int] | None = None) -> Floats:
    """Round each sum to the nearest double, as `math.fsum` would; infinite where it is beyond all doubles.

    Args:
        limbs: sums in their normal form.
        huge: for some rows, what has to be added, in units of 2⁻¹⁰⁷⁴.
    """
    rounded, sure = _rounded(limbs)
    for row in np.flatnonzero(~sure).tolist():
        rounded[row] = _exactly(_as_integer(limbs, row), _LIMB_UNIT)
    for row, more in (huge or {}).items():
        rounded[row] = _exactly((_as_integer(limbs, row) << _LIMB_IN_HUGE) + more, _HUGE_UNIT)
    return rounded


def _rounded(limbs: Limbs) -> tuple[Floats, NDArray[np.bool_]]:
    """Round in floating point, and say where the result is proven to be the nearest double.

    The four addends are exact. Two-sum (Knuth) keeps every rounding error; where even twice the uncertainty
    of the errors' own sum does not change the result, it is right. The rest are near a tie.
    """
    whole = limbs.high.astype(np.float64)
    below = (limbs.high - whole.astype(np.int64)).astype(np.float64)
    first, second = whole * 2.0**-16, below * 2.0**-16
    third, fourth = limbs.mid.astype(np.float64) * 2.0**-61, limbs.low.astype(np.float64) * 2.0**-106
    third, error3 = _two_sum(third, fourth)
    second, error2 = _two_sum(second, third)
    first, error1 = _two_sum(first, second)
    rest = (error3 + error2) + error1
    doubt = (np.abs(error3) + np.abs(error2) + np.abs(error1)) * 2.0**-50
    rounded = first + (rest + doubt)
    return rounded, rounded == first + (rest - doubt)


def _two_sum(one: Floats, other: Floats) -> tuple[Floats, Floats]:
    total = one + other
    part = total - one
    return total, (one - (total - part)) + (other - part)


def _as_integer(limbs: Limbs, row: int) -> int:
    return (int(limbs.high[row]) << (2 * _BITS)) + (int(limbs.mid[row]) << _BITS) + int(limbs.low[row])


def _exactly(numerator: int, unit: int) -> float:
    try:
        return float(Fraction(numerator, 1 << unit))
    except OverflowError:
        return float("inf") if numerator > 0 else float("-inf")

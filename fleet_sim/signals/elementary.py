"""Elementary functions that give the same bits at every place of an array and on every machine.

numpy's own `sin`, `exp` and `log` choose another instruction path by processor and by position, so the last
bit of a device's value could depend on its neighbours. These are additions, multiplications and look-ups.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fleet_sim.noise import F8

_CELLS = 4096
_SINES = np.array([math.sin(2 * math.pi * cell / _CELLS) for cell in range(_CELLS + 1)])
_SLOPES = np.diff(_SINES)
_MOST = 64.0
_LOG_2 = math.log(2.0)


def sine(turns: F8) -> F8:
    """sin(2π * turns), within 3e-7."""
    scaled = (turns - np.floor(turns)) * _CELLS
    cell = np.minimum(scaled.astype(np.int64), _CELLS - 1)
    value: F8 = _SINES[cell] + (scaled - cell) * _SLOPES[cell]
    return value


def decay(time: F8) -> F8:
    """exp(-time) for time ≥ 0, within 1e-6: a Padé approximant of exp(-time / 32), squared five times."""
    small = np.minimum(time, _MOST) * (1 / 32)
    square = small * small
    value: F8 = (12 - 6 * small + square) / (12 + 6 * small + square)
    for _ in range(5):
        value = value * value
    return value


def logarithm(number: F8) -> F8:
    """ln(number) for number > 0, within 1e-9: 2 artanh((m - 1) / (m + 1)) of the mantissa, as a series."""
    mantissa, exponent = np.frexp(number)
    small = mantissa < math.sqrt(0.5)
    mantissa = np.where(small, mantissa * 2, mantissa)
    ratio = (mantissa - 1) / (mantissa + 1)
    square = ratio * ratio
    series = 1 + square * (1 / 3 + square * (1 / 5 + square * (1 / 7 + square * (1 / 9 + square / 11))))
    value: F8 = 2 * ratio * series + (exponent - small) * _LOG_2
    return value

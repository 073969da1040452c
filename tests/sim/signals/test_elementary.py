"""Elementary functions: close to the exact ones, and the same bits wherever a value stands."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_sim.noise import normal_of
from fleet_sim.signals.elementary import decay, logarithm, sine


@given(st.floats(-1e7, 1e7))
def test_sine(turns: float) -> None:
    assert sine(np.array([turns]))[0] == pytest.approx(math.sin(2 * math.pi * math.fmod(turns, 1)), abs=1e-6)


@given(st.floats(0, 1e6))
def test_decay(time: float) -> None:
    assert decay(np.array([time]))[0] == pytest.approx(math.exp(-time), abs=1e-6)


@given(st.floats(1e-9, 1e9))
def test_logarithm(number: float) -> None:
    assert logarithm(np.array([number]))[0] == pytest.approx(math.log(number), abs=1e-7)


@pytest.mark.parametrize("function", [sine, decay, logarithm, normal_of])
def test_a_value_does_not_depend_on_its_place(function: object) -> None:
    values = np.random.default_rng(1).random(1003)
    assert callable(function)
    whole = function(values)
    for start in (0, 1, 3, 500, 1000):
        assert (function(values[start:]) == whole[start:]).all()
        assert function(values[start : start + 1])[0] == whole[start]
    assert (function(values[::7]) == whole[::7]).all()

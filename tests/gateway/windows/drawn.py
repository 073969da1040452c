"""Readings drawn by hypothesis, of three devices and three windows, and readings as columns."""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from edge_gateway.windows.reduce import Readings
from tests.gateway.windows.plain import DOOR, T0, Reading

EVERY = 10_000
ALL_P95 = np.ones(12, np.bool_)
numbers = st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, 1e300, -1e300, 5e-324, 3e9]) | st.integers(-3, 3)
times = st.integers(0, 3 * EVERY - 1) | st.integers(0, 5)
readings = st.builds(
    lambda device, at, metric, value, quality: Reading(device, T0 + at, metric, float(value) + 0.0, quality),
    st.integers(0, 2),
    times,
    st.integers(0, 1),
    numbers,
    st.integers(0, 1000),
)
doors = st.builds(
    lambda device, at, code: Reading(device, T0 + at, DOOR, float(code)),
    st.integers(0, 2),
    times,
    st.integers(0, 2),
)


def columns(held: Sequence[Reading]) -> Readings:
    return Readings(
        np.array([reading.series for reading in held], np.int64),
        np.array([reading.ts for reading in held], np.int64),
        np.array([reading.value for reading in held], np.float64),
        np.array([reading.quality for reading in held], np.uint16),
    )

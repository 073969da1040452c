"""The readings of a frame, of all rows or of some."""

import numpy as np

from edge_gateway.windows.frame_readings import ALL, numbers_of, states_of
from tests.gateway.windows.plain import DOOR, T0, Reading, frame_of

FRAME = frame_of(
    [
        Reading(0, T0, 0, -0.0, 700),
        Reading(0, T0 + 1, DOOR, 2.0),
        Reading(1, T0 + 2, 1, 5.0),
        Reading(1, T0 + 3, DOOR, 1.0),
    ]
)
SECOND_HALF = np.array([False, False, True, True])


def test_numbers_are_those_of_the_rows_chosen() -> None:
    every, some = numbers_of(FRAME, ALL), numbers_of(FRAME, SECOND_HALF)
    assert (every.row.tolist(), every.readings.series.tolist()) == ([0, 2], [0, 4])
    assert (every.readings.ts.tolist(), every.readings.quality.tolist()) == ([T0, T0 + 2], [700, 1000])
    assert (some.row.tolist(), some.readings.value.tolist()) == ([2], [5.0])


def test_a_negative_zero_becomes_zero() -> None:
    assert not np.signbit(numbers_of(FRAME, ALL).readings.value).any()


def test_texts_have_their_codes_as_values_and_full_quality() -> None:
    every, some = states_of(FRAME, ALL), states_of(FRAME, SECOND_HALF)
    assert (every.row.tolist(), every.readings.series.tolist()) == ([1, 3], [2, 5])
    assert (every.readings.value.tolist(), every.readings.quality.tolist()) == ([2.0, 1.0], [1000, 1000])
    assert (some.row.tolist(), some.readings.ts.tolist()) == ([3], [T0 + 3])

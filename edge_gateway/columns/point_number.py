"""Number the readings of a millisecond, because the database keeps one point for equal tags and times.

Its times are ns. So a reading that becomes a point has the time of its ms, and behind it a number below 10^6 that
follows from boot, sequence and sample: the same for the same reading, in whichever record, start or store it is met.
"""

from typing import Final

import numpy as np

from edge_gateway.columns.frame import Frame, IntColumn

PER_MS: Final = 999_983
"""Numbers within a millisecond: the greatest prime below 10^6, so that no step between boots repeats early."""
BETWEEN_SAMPLES: Final = 997
"""Times the most samples of a message (1,001) it is below PER_MS."""
BETWEEN_BOOTS: Final = 618_023
"""PER_MS times the golden ratio: boots that are counted up are as far apart as they can be."""


def point_numbers(frame: Frame) -> IntColumn:
    """Return the number of each row of a frame within its millisecond, from 0 to PER_MS - 1.

    Within a boot the rows of any 997 messages in a row differ, and those of 999,983 that have one sample each. Rows of
    300 boots that are counted up differ, with 1,000 messages each; two rows of boots chosen at random are equal with a
    chance of one in a million.
    """
    sample = BETWEEN_SAMPLES * _sample(frame)
    numbers: IntColumn = (frame.seq % PER_MS + sample + frame.boot % PER_MS * BETWEEN_BOOTS % PER_MS) % PER_MS
    return numbers


def _sample(frame: Frame) -> IntColumn:
    """Return the place of each row in its message, whose rows are next to each other."""
    rows = np.arange(frame.rows)
    begins = rows == 0
    for column in (frame.device, frame.boot, frame.seq):
        begins[1:] |= column[1:] != column[:-1]
    place: IntColumn = rows - np.maximum.accumulate(np.where(begins, rows, 0))
    return place

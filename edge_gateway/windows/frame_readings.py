"""Select a frame's numbers or texts as columns of readings."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_gateway.columns.frame import PERFECT, Frame
from edge_gateway.windows.reduce import Readings

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

ALL = slice(None)


class Taken(NamedTuple):
    """Readings, and the frame row each belongs to."""

    row: Ints
    readings: Readings


def numbers_of(frame: Frame, rows: Bools | slice) -> Taken:
    """Return the numbers in the given frame rows.

    -0.0 becomes 0.0: otherwise min, max, first and last would depend on the order of arrival.
    """
    picked = rows if isinstance(rows, slice) else rows[frame.row]
    row = frame.row[picked]
    value = frame.value[picked] + 0.0
    return Taken(row, Readings(frame.series[picked], frame.ts[row], value, frame.quality[picked]))


def states_of(frame: Frame, rows: Bools | slice) -> Taken:
    """Return the texts in the given frame rows; the value of a reading is the text's code."""
    picked = rows if isinstance(rows, slice) else rows[frame.state_row]
    row = frame.state_row[picked]
    code = frame.state_code[picked].astype(np.float64)
    perfect = np.full(len(row), PERFECT, np.uint16)
    return Taken(row, Readings(frame.state_series[picked], frame.ts[row], code, perfect))


def readings_of(frame: Frame, rows: Bools | slice) -> list[Readings]:
    """Return the numbers and the texts in the given frame rows, without empty ones."""
    found = [numbers_of(frame, rows)]
    if len(frame.state_row):
        found.append(states_of(frame, rows))
    return [taken.readings for taken in found if len(taken.row)]

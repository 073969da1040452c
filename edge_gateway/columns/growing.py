"""Columns that grow with the fleet."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_SPARSE = 8
"""A column with fewer than every eighth item written is copied item by item."""

Item = TypeVar("Item", bound=np.generic)


def with_room(column: NDArray[Item], size: int, fill: float) -> NDArray[Item]:
    """Return `column` itself when it holds `size` items, else a copy at least twice as long.

    New room holds `fill`. Doubling keeps the cost of growing one item at a time constant. Of zeros that nobody has
    written over, the system keeps nothing: a mostly resting column of a million items takes hardly any memory.
    """
    have = len(column)
    if size <= have:
        return column
    room = max(size, 2 * have, 64)
    if fill:
        longer = np.full(room, fill, column.dtype)
        longer[:have] = column
        return longer
    longer = np.zeros(room, column.dtype)
    bits = column.view(f"i{column.itemsize}")  # -0.0 is not 0
    if np.count_nonzero(bits) * _SPARSE > have:
        longer[:have] = column
    else:
        held = np.flatnonzero(bits)
        longer[held] = column[held]
    return longer

"""Columns that grow with the fleet."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item", bound=np.generic)


def with_room(column: NDArray[Item], size: int, fill: float) -> NDArray[Item]:
    """Return `column` itself when it holds `size` items, else a copy at least twice as long.

    New room holds `fill`. Doubling keeps the cost of growing one item at a time constant.
    """
    if size <= len(column):
        return column
    longer = np.full(max(size, 2 * len(column), 64), fill, column.dtype)
    longer[: len(column)] = column
    return longer

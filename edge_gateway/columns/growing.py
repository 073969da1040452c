"""Columns that grow with the number of devices or series."""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_SPARSE = 8
"""Only the non-zero items are copied where they are at most one in this many."""

Item = TypeVar("Item", bound=np.generic)


def room_for(size: int, have: int) -> int:
    """Return how many items a column of `have` grows to when it must hold `size`, which are more: at least 64.

    Growing by a share makes the cost of adding one item constant; by a quarter, a ninth of the room is unused on
    average.
    """
    return max(size, have + have // 4, 64)


def with_room(column: NDArray[Item], size: int, fill: float) -> NDArray[Item]:
    """Return `column` itself when it holds `size` items, else a longer copy, whose new room holds `fill`.

    Zeros are not written, so the system allocates no pages for them: a column of a million zeros takes hardly any
    memory.
    """
    have = len(column)
    if size <= have:
        return column
    room = room_for(size, have)
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


def grow_columns(owner: object, size: int, fills: Mapping[str, float]) -> None:
    """Give each of these attributes, a column, room for `size` items (`with_room`).

    Args:
        owner: whose attributes they are.
        size: items.
        fills: what new room holds, by the column's name.
    """
    for name, fill in fills.items():
        setattr(owner, name, with_room(getattr(owner, name), size, fill))

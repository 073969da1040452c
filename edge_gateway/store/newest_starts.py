"""A bound of the newest window of each series, by tier: what starts later is certainly not stored."""

import numpy as np
from numpy.typing import NDArray

from edge_gateway.columns.growing import with_room
from edge_gateway.records.window_block import NEVER

Ints = NDArray[np.int64]


class NewestStarts:
    """Times in ms.

    `stored` has the newest start of each tier that has windows: until a series gets a later one, that is its bound.
    """

    def __init__(self, stored: dict[int, int]) -> None:
        self._stored = stored
        self._bounds: dict[int, Ints] = {}
        self._undo: list[tuple[int, Ints, Ints]] = []

    def snapshot(self) -> None:
        """Begin to note changes, for `restore` after a rollback."""
        self._undo.clear()

    def restore(self, _: None) -> None:
        """Go back to what was committed."""
        for tier, series, before in reversed(self._undo):
            self._bounds[tier][series] = before
        self._undo.clear()

    def behind(self, tier: int, series: Ints, start: Ints) -> NDArray[np.bool_]:
        """Return which windows start behind all that are stored of their series."""
        found: NDArray[np.bool_] = start > self._bound(tier, series)[series]
        return found

    def note(self, tier: int, series: Ints, start: Ints) -> None:
        """Note windows that are stored."""
        bound = self._bound(tier, series)
        self._undo.append((tier, series.copy(), bound[series]))
        np.maximum.at(bound, series, start)

    def _bound(self, tier: int, series: Ints) -> Ints:
        fill = self._stored.get(tier, NEVER)
        bound = self._bounds.get(tier, np.empty(0, np.int64))
        self._bounds[tier] = with_room(bound, int(series.max(initial=-1)) + 1, fill)
        return self._bounds[tier]

"""Rendered measurements and tags, by series of the store.

The texts lie one behind the other in one buffer, with columns of where: 12 bytes a series beside its text. A dict of
bytes objects takes 120.
"""

from __future__ import annotations

import numpy as np

from edge_gateway.columns.growing import with_room
from edge_gateway.store.names import Ids as Ints


class PrefixCache:
    """Texts by series number."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all texts."""
        self._texts = bytearray()
        self._held = 0
        self._end = np.zeros(0, np.int64)
        """By series: where its text ends; 0 if there is none."""
        self._length = np.zeros(0, np.int32)

    def __len__(self) -> int:
        return self._held

    def missing(self, series: Ints) -> list[int]:
        """Return the series without a text, ascending, each once."""
        self._make_room(int(series.max(initial=-1)) + 1)
        unknown: list[int] = np.unique(series[self._end[series] == 0]).tolist()
        return unknown

    def put(self, series: int, text: bytes) -> None:
        """Hold a text, which is not empty, for a series that has none."""
        self._make_room(series + 1)
        self._texts += text
        self._held += 1
        self._length[series], self._end[series] = len(text), len(self._texts)

    def texts(self, series: Ints) -> list[bytes]:
        """Return the text of each series; KeyError if one has none."""
        end = self._ends(series)
        begin = end - self._length[series]
        held = self._texts
        return [bytes(held[one:other]) for one, other in zip(begin.tolist(), end.tolist(), strict=True)]

    def total_bytes(self, series: Ints) -> int:
        """Return how long the texts of all these rows are together; KeyError if a series has none."""
        self._ends(series)
        return int(self._length[series].sum())

    def _ends(self, series: Ints) -> Ints:
        self._make_room(int(series.max(initial=-1)) + 1)
        end: Ints = self._end[series]
        without = (end == 0) | (series < 0)
        if without.any():
            raise KeyError(int(series[without][0]))
        return end

    def _make_room(self, series: int) -> None:
        self._end = with_room(self._end, series, 0)
        self._length = with_room(self._length, series, 0)

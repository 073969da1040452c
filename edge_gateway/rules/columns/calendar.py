"""Which span of a schedule each of many moments is in, in a time zone.

Spans that touch or overlap are one. They are laid out for 32 days at a time, when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edge_gateway.rules.language.schedule import DAY_MINUTES, MINUTE_MS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge_gateway.columns.frame import IntColumn
    from edge_gateway.rules.language.schedule import WeekSpan
    from edge_gateway.rules.language.zones import Zone

_DAY_MS: Final = DAY_MINUTES * MINUTE_MS
_BLOCK_DAYS: Final = 32
_BLOCK_MS: Final = _BLOCK_DAYS * _DAY_MS
_MARGIN: Final = 9
"""Days laid out on both sides of a block: more than a week, which no span fills."""
_THURSDAY: Final = 3
"""The weekday of 1970-01-01."""
_MOST_BLOCKS: Final = 64


class Calendar:
    """The spans of a schedule that leaves a part of the week out."""

    def __init__(self, spans: Sequence[WeekSpan], zone: Zone) -> None:
        self._spans = tuple(spans)
        self._zone = zone
        self._blocks: dict[int, tuple[IntColumn, IntColumn]] = {}

    def spans_at(self, at: IntColumn) -> tuple[IntColumn, IntColumn]:
        """(begin, end) of the span that each moment is in, ms; both 0 if it is in none."""
        begin, end = np.zeros_like(at), np.zeros_like(at)
        block = at // _BLOCK_MS
        for number in np.unique(block).tolist():
            own = np.flatnonzero(block == number)
            begins, ends = self._block(number)
            place = np.searchsorted(begins, at[own], side="right") - 1
            inside = (place >= 0) & (at[own] < ends[np.maximum(place, 0)])
            begin[own] = np.where(inside, begins[place], 0)
            end[own] = np.where(inside, ends[place], 0)
        return begin, end

    def _block(self, number: int) -> tuple[IntColumn, IntColumn]:
        found = self._blocks.get(number)
        if found is None:
            if len(self._blocks) >= _MOST_BLOCKS:
                self._blocks.clear()
            found = self._blocks[number] = self._laid_out(number)
        return found

    def _laid_out(self, number: int) -> tuple[IntColumn, IntColumn]:
        merged: list[list[int]] = [[-1, -1]]  # before all moments: no schedule is empty, but a block may be
        first = number * _BLOCK_DAYS - _MARGIN
        for begin, end in sorted(self._between(first, first + _BLOCK_DAYS + 2 * _MARGIN)):
            if begin <= merged[-1][1]:
                merged[-1][1] = max(merged[-1][1], end)
            else:
                merged.append([begin, end])
        laid_out = np.array(merged, np.int64)
        return laid_out[:, 0].copy(), laid_out[:, 1].copy()

    def _between(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The spans that begin on these local days, counted from 1970, but for those that clocks skip."""
        for day in range(first, last):
            midnight = day * _DAY_MS
            for span in self._spans:
                if (day + _THURSDAY) % 7 in span.days:
                    begin = self._zone.moment(midnight + span.begin * MINUTE_MS, last=False)
                    end = self._zone.moment(midnight + span.end * MINUTE_MS, last=True)
                    if begin < end:
                        yield begin, end

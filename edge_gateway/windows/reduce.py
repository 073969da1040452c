"""Reduce readings of any number of windows to one row per window."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_gateway.records.sketch import Sketch
from edge_gateway.records.tail import Tail
from edge_gateway.records.window_block import STATE_ROW, WINDOW_ROW, WindowBlock
from edge_gateway.windows.exact_sum import MOST_AT_ONCE, Limbs, huge_of, normal, split
from edge_gateway.windows.merge import merge_blocks, merge_state_blocks, p95_of, united

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NO_P95: Final = np.zeros(0, np.bool_)


@dataclass(frozen=True, slots=True)
class Readings:
    """Columns with one entry per reading: series, time (ms), value (a text's code) and quality (thousandths)."""

    series: Ints
    ts: Ints
    value: NDArray[np.float64]
    quality: NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.series)

    @classmethod
    def joined(cls, parts: Sequence["Readings"]) -> "Readings":
        return cls(
            np.concatenate([part.series for part in parts]),
            np.concatenate([part.ts for part in parts]),
            np.concatenate([part.value for part in parts]),
            np.concatenate([part.quality for part in parts]),
        )

    def ordered(self) -> "Readings":
        """Return the readings sorted by (series, ts, value)."""
        return self.rows(np.lexsort((self.value, self.ts, self.series)))

    def rows(self, chosen: slice | Bools | Ints) -> "Readings":
        return Readings(self.series[chosen], self.ts[chosen], self.value[chosen], self.quality[chosen])


def rows_of_values(every: int, readings: Readings, p95: Bools = NO_P95) -> WindowBlock:
    """Return the WINDOW_ROWs, ordered by (series, start), of readings in any order.

    Args:
        every: length of a window, ms.
        readings: finite numbers, none of them -0.0.
        p95: by series number, whether its windows have a p95; series beyond its end have none.
    """
    return numbers(every, readings.ordered(), p95)


def rows_of_states(every: int, readings: Readings) -> WindowBlock:
    """Return the STATE_ROWs, ordered by (series, start), of readings in any order; their values are codes."""
    return states(every, readings.ordered())


def numbers(every: int, ordered: Readings, p95: Bools) -> WindowBlock:
    """Reduce readings ordered by (series, ts, value) to WINDOW_ROWs."""
    blocks = [_numbers(every, piece, p95) for piece in _pieces(ordered)]
    return united(blocks, merge_blocks)


def states(every: int, ordered: Readings) -> WindowBlock:
    """Reduce readings ordered by (series, ts, code) to STATE_ROWs."""
    blocks = [_states(every, piece) for piece in _pieces(ordered)]
    return united(blocks, merge_state_blocks)


def _pieces(ordered: Readings) -> list[Readings]:
    """Cut into pieces small enough that limbs cannot overflow and temporaries stay in the cache."""
    most = MOST_AT_ONCE
    return [ordered.rows(slice(at, at + most)) for at in range(0, max(1, len(ordered)), most)]


@dataclass(frozen=True, slots=True)
class _Segments:
    """Window starts (ms), and the positions of each window's first and last reading, inclusive."""

    start: Ints
    first: Ints
    last: Ints


def _segments(every: int, ordered: Readings) -> _Segments:
    ts = ordered.ts
    opens = np.ones(len(ts), np.bool_)
    np.not_equal(ordered.series[1:], ordered.series[:-1], out=opens[1:])
    if int(ts.min()) // every != int(ts.max()) // every:
        window = ts // every
        opens[1:] |= window[1:] != window[:-1]
    first = np.flatnonzero(opens)
    return _Segments(ts[first] - ts[first] % every, first, np.append(first[1:], len(ts)) - 1)


def _numbers(every: int, ordered: Readings, p95: Bools) -> WindowBlock:
    if not len(ordered):
        return WindowBlock(np.empty(0, WINDOW_ROW))
    at = _segments(every, ordered)
    rows = np.empty(len(at.first), WINDOW_ROW)
    rows["series"], rows["start"] = ordered.series[at.first], at.start
    rows["count"] = at.last - at.first + 1
    rows["min"] = np.minimum.reduceat(ordered.value, at.first)
    rows["max"] = np.maximum.reduceat(ordered.value, at.first)
    for end, position in (("first", at.first), ("last", at.last)):
        rows[end], rows[f"{end}_at"] = ordered.value[position], ordered.ts[position]
    rows["quality"] = np.add.reduceat(ordered.quality, at.first, dtype=np.int64)
    rows["p95"] = np.nan
    (rows["high"], rows["mid"], rows["low"]), huge = _sums(ordered, at)
    sketches = _sketches(ordered, at, p95)
    return WindowBlock(rows, _tails(rows, huge, sketches) if huge or sketches else {})


def _sums(ordered: Readings, at: _Segments) -> tuple[Limbs, dict[int, int]]:
    """Return the limbs of the sums, and by row the part that does not fit into them (units of 2⁻¹⁰⁷⁴)."""
    limbs, outside = split(ordered.value)
    high, mid, low = (np.add.reduceat(limb, at.first) for limb in limbs)
    total, huge = normal(Limbs(high, mid, low))
    for position in np.flatnonzero(outside).tolist():
        row = int(np.searchsorted(at.first, position, side="right")) - 1
        huge[row] = huge.get(row, 0) + huge_of(float(ordered.value[position]))
    return total, huge


def _sketches(ordered: Readings, at: _Segments, p95: Bools) -> dict[int, Sketch]:
    if not p95.any():
        return {}
    series = ordered.series[at.first]
    wanted = np.flatnonzero(p95[np.minimum(series, len(p95) - 1)] & (series < len(p95)))
    ends = zip(wanted.tolist(), at.first[wanted].tolist(), at.last[wanted].tolist(), strict=True)
    return {row: Sketch.of(ordered.value[first : last + 1]) for row, first, last in ends}


def _tails(rows: NDArray[np.void], huge: dict[int, int], sketches: dict[int, Sketch]) -> dict[int, Tail]:
    tails: dict[int, Tail] = {}
    for row in sorted(huge.keys() | sketches.keys()):
        tail = Tail(huge.get(row, 0), sketches.get(row))
        if tail:
            tails[row] = tail
            rows["p95"][row] = p95_of(tail, rows[row])
    return tails


def _states(every: int, ordered: Readings) -> WindowBlock:
    if not len(ordered):
        return WindowBlock(np.empty(0, STATE_ROW))
    at = _segments(every, ordered)
    rows = np.empty(len(at.first), STATE_ROW)
    rows["series"], rows["start"] = ordered.series[at.first], at.start
    for end, position in (("first", at.first), ("last", at.last)):
        rows[end], rows[f"{end}_at"] = ordered.value[position], ordered.ts[position]
    changed = np.zeros(len(ordered), np.int64)
    changed[1:] = ordered.value[1:] != ordered.value[:-1]
    changed[at.first] = 0
    rows["changes"] = np.add.reduceat(changed, at.first)
    return WindowBlock(rows)

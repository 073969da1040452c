"""Range histories for `x_over_time(metric, d)`: the samples of a metric within (t − d, t], device by device.

Up to PANES samples in a range the result is exact; above that the far edge of the range is off by at most one pane.
Memory is bounded whatever a device sends. A sum is exact whatever its magnitude, and the same however the input is cut
into frames.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from edge_gateway.columns.frame import FloatColumn, IntColumn
from edge_gateway.rules.columns import limbs
from edge_gateway.rules.columns.pane_corrections import insert
from edge_gateway.rules.columns.panes import EXTREMES, MAX_CAPACITY, PANES, Panes, View
from edge_gateway.rules.columns.runs import expand_runs, run_starts
from edge_gateway.rules.language.functions import parameter_of

AT_ONCE: Final = MAX_CAPACITY - PANES - 1
"""Rows of one device added together; more would overwrite panes that the first of them still needs."""


class LateSamples(NamedTuple):
    """Samples that are not the newest: each comes before row `row`."""

    row: IntColumn
    at: IntColumn
    value: FloatColumn


class Ring:
    """The histories of one metric over one range of `ms`, one slot per device; `family` says what is stored."""

    def __init__(self, ms: int, family: str) -> None:
        self.panes = Panes(ms, family)

    @classmethod
    def from_snapshot(cls, state: dict[str, Any]) -> Ring:
        ring = cls(state["ms"], state["family"])
        ring.panes = Panes.from_snapshot(state)
        return ring

    def at(self, slot: int, now: int, function: str) -> float:
        """One of the FUNCTIONS over the range that ends at `now` (ms), at which the slot has had no later sample.

        Changes nothing.
        """
        copy = Ring(self.panes.ms, self.panes.family)
        copy.panes = self.panes.copy_of(slot)
        none, at = np.full(1, np.nan), np.array([now], np.int64)
        (found,) = copy.feed(np.zeros(1, np.int64), at, none, [function])
        return float(found[function][0])

    def at_once(self, slot: IntColumn, now: IntColumn, function: str) -> FloatColumn:
        """As `at`, of many slots."""
        view = self.panes.view(slot)
        view.oldest = self.panes.first_after(slot, now - self.panes.ms, *self.panes.kept(slot))
        view.now = now
        return self._value(view, function)

    def feed(
        self,
        slot: IntColumn,
        at: IntColumn,
        value: FloatColumn,
        functions: Iterable[str],
        *,
        nows: Sequence[IntColumn] | None = None,
        late: LateSamples | None = None,
    ) -> list[dict[str, FloatColumn]]:
        """Add rows, sorted by slot and then by time; NaN is not a sample. All columns have shape [rows].

        Returns for each of `nows`, the ends of the range at each row, by default the rows' own times, the value of each
        of the FUNCTIONS at each row.
        """
        names = tuple(functions)
        start = run_starts(slot)
        if len(start) == len(slot) and nows is None:
            view = self._feed(slot, at, value, start, [at])
            view.now = at
            return [{name: self._value(view, name) for name in names}]
        nows = [at] if nows is None else nows
        found = [{name: np.full(len(slot), np.nan) for name in names} for _ in nows]
        piece = _pieces(len(slot), start, late)
        for number in range(int(piece.max(initial=-1)) + 1):
            if late is not None:
                first = np.flatnonzero(piece[late.row] == number)
                insert(self.panes, slot[late.row[first]], late.at[first], late.value[first])
            rows = np.flatnonzero(piece == number)
            ends = [now[rows] for now in nows]
            view = self._feed(slot[rows], at[rows], value[rows], run_starts(slot[rows]), ends)
            # before the next piece overwrites panes that this one needs
            for columns, part in zip(found, self._values(view, names, ends), strict=True):
                for name in names:
                    columns[name][rows] = part[name]
        return found

    def _feed(
        self,
        slot: IntColumn,
        at: IntColumn,
        value: FloatColumn,
        start: IntColumn,
        nows: Sequence[IntColumn],
    ) -> View:
        panes, first = self.panes, slot[start]
        edge = nows[0][start] if len(nows) == 1 else np.minimum.reduce([now[start] for now in nows])
        oldest = panes.first_after(first, edge - panes.ms, *panes.kept(first))
        together = 1 if len(start) == len(slot) else int(np.diff(start, append=len(slot)).max(initial=0))
        panes.make_room(int((panes.head[first] - oldest).max(initial=0)) + together)
        view = panes.push(slot, at, value, start)
        view.oldest = oldest
        if together > 1:
            view.oldest = np.repeat(oldest, np.diff(start, append=len(slot)))
        return view

    def _values(
        self, view: View, names: tuple[str, ...], nows: Sequence[IntColumn]
    ) -> list[dict[str, FloatColumn]]:
        found, floor = [], view.oldest
        for now in nows:
            view.oldest = self.panes.first_after(view.slot, now - self.panes.ms, floor, view.newest + 1)
            view.now = now
            found.append({name: self._value(view, name) for name in names})
        return found

    def _value(self, view: View, function: str) -> FloatColumn:
        """A function at each row, of its parameter if it has one."""
        name, parameter = parameter_of(function)
        if name in PARAMETERS:
            return PARAMETERS[name](self, view, parameter)
        return FUNCTIONS[name](self, view)

    # --- functions

    def count(self, view: View) -> FloatColumn:
        """Number of samples; NaN if there is none."""
        return _unless_empty(view, self._since(view, "n").astype(np.float64))

    def sum(self, view: View) -> FloatColumn:
        """The exact sum, rounded once; NaN beyond all doubles."""
        return _unless_empty(view, self._sum(view, 0))

    def _sum(self, view: View, skipped: int) -> FloatColumn:
        """The sum from the oldest pane on, without what its first so many samples add beside the limbs."""
        parts = {name: self._since(view, name) for name in self.panes.total if name != "n"}
        if len(parts) == len(limbs.USUAL) and not self.panes.beside:
            return limbs.sum_of_usual(parts, self._since(view, "n"))
        beside: dict[int, int] = {}
        if self.panes.beside:
            before = self._oldest(view, "n") + skipped
            for row in np.flatnonzero(np.isin(view.slot, list(self.panes.beside))).tolist():
                kept = self.panes.beside[int(view.slot[row])]
                first = bisect_right(kept, int(before[row]), key=lambda each: each[0])
                upto = bisect_right(kept, int(view.totals["n"][row]), key=lambda each: each[0])
                beside[row] = sum(integer for _, integer in kept[first:upto])
        return limbs.to_float(parts, beside)

    def avg(self, view: View) -> FloatColumn:
        return self.sum(view) / self._since(view, "n")

    def last(self, view: View) -> FloatColumn:
        return _unless_empty(view, view.last)

    def delta(self, view: View) -> FloatColumn:
        """Last minus first; NaN with fewer than two samples."""
        return np.where(self._span(view) > 0, view.last - self._oldest(view, "first"), np.nan)

    def rate(self, view: View) -> FloatColumn:
        """Rise per second from the first sample to the last; a fall counts as a restart from 0."""
        span = self._span(view)
        return np.where(span > 0, self._sum(view, 1) * 1000.0 / np.maximum(span, 1), np.nan)

    def min(self, view: View) -> FloatColumn:
        return self._extreme(view, "least")

    def max(self, view: View) -> FloatColumn:
        return self._extreme(view, "most")

    def changes(self, view: View) -> FloatColumn:
        """How often a sample differed from the one before it."""
        return _unless_empty(view, self._sum(view, 1))

    def stddev(self, view: View) -> FloatColumn:
        """Standard deviation of the population; above PANES samples of the first of each pane, by how many it has."""
        found = np.full(len(view.slot), np.nan)
        rows = np.flatnonzero(view.oldest <= view.newest)
        if not len(rows):
            return found
        owner, value, many = self._weighed(view, rows)
        start = run_starts(owner)
        zero = value[start]
        offset, n = value - zero[owner], np.add.reduceat(many, start)
        mean = np.add.reduceat(offset * many, start) / n
        with np.errstate(over="ignore"):
            variance = np.add.reduceat((offset - mean[owner]) ** 2 * many, start) / n
        found[rows] = np.where(np.isfinite(variance), np.sqrt(variance), np.nan)
        return found

    def quantile(self, view: View, part: float) -> FloatColumn:
        """The quantile `part` (0 to 1), interpolated between its neighbours; of the samples as `stddev`."""
        found = np.full(len(view.slot), np.nan)
        rows = np.flatnonzero(view.oldest <= view.newest)
        if not len(rows):
            return found
        owner, value, many = self._weighed(view, rows)
        order = np.lexsort((value, owner))
        owner, value, upto = owner[order], value[order], np.cumsum(many[order])
        start = run_starts(owner)
        before = np.append(0, upto[start[1:] - 1])
        n = np.append(upto[start[1:] - 1], upto[-1]) - before
        rank = part * (n - 1)
        low = np.floor(rank).astype(np.int64)
        high = np.minimum(low + 1, n - 1)
        below, above = (value[np.searchsorted(upto, before + each, side="right")] for each in (low, high))
        share = rank - low
        found[rows] = np.where(share > 0, below * (1 - share) + above * share, below)
        return found

    def _weighed(self, view: View, rows: IntColumn) -> tuple[IntColumn, FloatColumn, IntColumn]:
        """Of each pane of these rows, which have samples: whose it is, its first sample, and how many it has."""
        slot, first, newest = view.slot[rows], view.oldest[rows], view.newest[rows]
        owner, pane = expand_runs(first, newest - first + 1)
        value = self.panes.at_pane("first", slot[owner], pane)
        number = self.panes.at_pane("n", slot[owner], pane)
        following = np.append(number[1:], 0)
        last = np.append(run_starts(owner)[1:], len(owner)) - 1
        following[last] = view.totals["n"][rows]
        return owner, value, following - number

    def deriv(self, view: View) -> FloatColumn:
        """Slope per second of the least-squares line through the first sample of each pane and the last sample."""
        return self._line(view)[0]

    def predict(self, view: View, ahead: float) -> FloatColumn:
        """What the line of `deriv` comes to so many seconds after the end of the range."""
        slope, at_last = self._line(view)
        found = at_last + slope * ((view.now - view.last_at) / 1000.0 + ahead)
        return np.where(np.isfinite(found), found, np.nan)

    def _line(self, view: View) -> tuple[FloatColumn, FloatColumn]:
        """(slope per second, value at the last sample's time) of the least-squares line; NaN below two samples."""
        slope, at_last = np.full((2, len(view.slot)), np.nan)
        rows = np.flatnonzero(self._span(view) > 0)
        if not len(rows):
            return slope, at_last
        slot, first, last_at = view.slot[rows], view.oldest[rows], view.last_at[rows]
        owner, pane = expand_runs(first, view.newest[rows] - first + 1)
        zero = self.panes.at_pane("first", slot, first)
        times = self.panes.at_pane("first_at", slot[owner], pane)
        seconds = (times - last_at[owner]) / 1000.0
        values = self.panes.at_pane("first", slot[owner], pane) - zero[owner]
        start = run_starts(owner)
        sums = [np.add.reduceat(column, start) for column in _moments(seconds, values)]
        newest_at = self.panes.at_pane("first_at", slot, view.newest[rows])
        tail = (newest_at != last_at).astype(np.float64)  # the last sample is at second 0
        n, x, y, xx, xy = sums[0] + tail, sums[1], sums[2] + tail * (view.last[rows] - zero), sums[3], sums[4]
        slope[rows] = (n * xy - x * y) / (n * xx - x * x)
        at_last[rows] = zero + (y - slope[rows] * x) / n
        return slope, at_last

    def _oldest(self, view: View, name: str) -> Any:
        return self.panes.at_pane(name, view.slot, view.oldest)

    def _since(self, view: View, name: str) -> IntColumn:
        found: IntColumn = view.totals[name] - self._oldest(view, name)
        return found

    def _span(self, view: View) -> IntColumn:
        """Time from the first sample to the last in ms; 0 with fewer than two samples."""
        full = view.oldest <= view.newest
        return np.where(full, view.last_at - self._oldest(view, "first_at"), 0)

    def _extreme(self, view: View, name: str) -> FloatColumn:
        """The extreme of all panes; of the newest one as of the row, since later rows may have added to it."""
        ufunc, found = EXTREMES[name], view.extremes[name].copy()
        rows = np.flatnonzero(view.oldest < view.newest)
        if len(rows):
            owner, pane = expand_runs(view.oldest[rows], view.newest[rows] - view.oldest[rows])
            inner = self.panes.at_pane(name, view.slot[rows][owner], pane)
            found[rows] = ufunc(found[rows], ufunc.reduceat(inner, run_starts(owner)))
        return _unless_empty(view, found)


def _pieces(rows: int, start: IntColumn, late: LateSamples | None) -> IntColumn:
    """For each row in which turn it is added: up to AT_ONCE of a slot together, late samples before their rows."""
    place = np.arange(rows)
    cut = np.zeros(rows, np.bool_)
    cut[start] = True
    if late is not None:
        cut[late.row] = True
    since = place - np.maximum.accumulate(np.where(cut, place, 0))
    steps = np.cumsum(cut | (since % AT_ONCE == 0))
    piece: IntColumn = steps - np.repeat(steps[start], np.diff(start, append=rows))
    return piece


def _moments(x: FloatColumn, y: FloatColumn) -> tuple[FloatColumn, ...]:
    return np.ones_like(x), x, y, x * x, x * y


def _unless_empty(view: View, column: FloatColumn) -> FloatColumn:
    return np.where(view.oldest <= view.newest, column, np.nan)


FUNCTIONS: Final[dict[str, Callable[[Ring, View], FloatColumn]]] = {
    "avg_over_time": Ring.avg,
    "min_over_time": Ring.min,
    "max_over_time": Ring.max,
    "sum_over_time": Ring.sum,
    "count_over_time": Ring.count,
    "last_over_time": Ring.last,
    "delta": Ring.delta,
    "rate": Ring.rate,
    "deriv": Ring.deriv,
    "stddev_over_time": Ring.stddev,
    "changes": Ring.changes,
}
PARAMETERS: Final[dict[str, Callable[[Ring, View, float], FloatColumn]]] = {
    "quantile_over_time": Ring.quantile,
    "predict_linear": Ring.predict,
}
"""Functions that also take a number: the part of the samples, or how many seconds ahead."""

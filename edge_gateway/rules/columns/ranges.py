"""Range histories for `x_over_time(metric, d)`: the samples of a metric within (t − d, t], device by device.

A device's history is a ring of panes. A pane holds one sample or, if samples are closer together than d / PANES, all
samples of that slice of time. Up to PANES samples in a range the result is exact; above that the far edge of the
range is off by at most one pane. Memory is bounded whatever a device sends.

Sums are running totals in two integer limbs (units of 2⁻¹⁶ and 2⁻⁶¹). The sum over a range is the difference of two
totals: exact, and the same however the input is cut into frames. Values beyond ±2⁴⁵ are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from edge_gateway.columns.frame import BoolColumn, FloatColumn, IntColumn
from edge_gateway.columns.growing import room_for
from edge_gateway.rules.columns.runs import Runs, expand_runs, run_starts

PANES: Final = 120
MAX_CAPACITY: Final = 128
AT_ONCE: Final = MAX_CAPACITY - PANES - 1
"""Rows of one device added together; more would overwrite panes that the first of them still needs."""

LARGEST: Final = 2.0**45
_HIGH, _LOW = 2.0**16, 2.0**45
_NO_PANE = np.int64(-(2**62))

_TOTALS: Final = {
    "samples": ("n",),
    "sums": ("n", "high", "low"),
    "rises": ("n", "rise_high", "rise_low"),
    "extremes": ("n",),
}
_EXTREMES: Final = {"least": np.minimum, "most": np.maximum}
_FLOATS: Final = frozenset(("first", "least", "most"))


@dataclass(slots=True)
class View:
    """The history at each row: its panes `oldest` … `newest` (none if oldest > newest) and totals up to the row."""

    slot: IntColumn
    oldest: IntColumn
    newest: IntColumn
    last: FloatColumn
    last_at: IntColumn
    totals: dict[str, IntColumn]
    extremes: dict[str, FloatColumn]


class Ring:
    """The histories of one metric over one range of `ms`, one slot per device; `family` says what is stored."""

    def __init__(self, ms: int, family: str) -> None:
        self.ms = ms
        self._family = family
        self._pane_ms = -(-ms // PANES)
        self._capacity = 8
        self._slots = 0
        self._extremes = tuple(_EXTREMES) if family == "extremes" else ()
        names = ("first_at", "first", *_TOTALS[family], *self._extremes)
        self._cells: dict[str, np.ndarray[Any, Any]] = {
            name: np.zeros((0, self._capacity), np.float64 if name in _FLOATS else np.int64) for name in names
        }
        self._total = {name: np.zeros(0, np.int64) for name in _TOTALS[family]}
        self._head = np.zeros(0, np.int64)
        self._pane = np.zeros(0, np.int64)
        self._last = np.zeros(0, np.float64)
        self._last_at = np.zeros(0, np.int64)

    def add_slots(self, count: int) -> int:
        """Make room for `count` more devices; the first new slot."""
        first, self._slots = self._slots, self._slots + count
        if self._slots > len(self._head):
            self._grow_slots(room_for(self._slots, len(self._head)))
        return first

    def _grow_slots(self, size: int) -> None:
        for columns in (self._cells, self._total):
            for name, column in columns.items():
                columns[name] = _longer(column, size)
        self._head, self._last, self._last_at = (
            _longer(column, size) for column in (self._head, self._last, self._last_at)
        )
        self._pane = np.append(self._pane, np.full(size - len(self._pane), _NO_PANE))

    def forget(self, slots: IntColumn) -> None:
        """Empty these histories."""
        self._head[slots] = 0
        self._pane[slots] = _NO_PANE
        self._last_at[slots] = 0
        for total in self._total.values():
            total[slots] = 0

    # --- adding rows

    def feed(
        self, slot: IntColumn, at: IntColumn, value: FloatColumn, functions: Iterable[str]
    ) -> dict[str, FloatColumn]:
        """Add rows, sorted by slot and then by time; NaN is not a sample. All columns have shape [rows].

        Returns the value of each of the named FUNCTIONS at each row.
        """
        names = tuple(functions)
        start = run_starts(slot)
        if len(start) == len(slot):
            view = self._feed(slot, at, value, start)
            return {name: FUNCTIONS[name](self, view) for name in names}
        found = {name: np.full(len(slot), np.nan) for name in names}
        rank = np.arange(len(slot)) - np.repeat(start, np.diff(start, append=len(slot)))
        for piece in range(int(rank.max(initial=-1)) // AT_ONCE + 1):
            rows = np.flatnonzero(rank // AT_ONCE == piece)
            view = self._feed(slot[rows], at[rows], value[rows], run_starts(slot[rows]))
            for name in names:  # before the next piece overwrites panes that this one needs
                found[name][rows] = FUNCTIONS[name](self, view)
        return found

    def _feed(self, slot: IntColumn, at: IntColumn, value: FloatColumn, start: IntColumn) -> View:
        oldest = self._first_after(slot[start], at[start] - self.ms, *self._panes_kept(slot[start]))
        together = 1 if len(start) == len(slot) else int(np.diff(start, append=len(slot)).max(initial=0))
        self._make_room(int((self._head[slot[start]] - oldest).max(initial=0)) + together)
        view = self._push(slot, at, value, start)
        if len(start) == len(slot):
            view.oldest = oldest
        else:
            floor = np.repeat(oldest, np.diff(start, append=len(slot)))
            view.oldest = self._first_after(slot, at - self.ms, floor, view.newest + 1)
        return view

    def _panes_kept(self, slot: IntColumn) -> tuple[IntColumn, IntColumn]:
        head = self._head[slot]
        return np.maximum(head - self._capacity, 0), head

    def _first_after(self, slot: IntColumn, edge: IntColumn, least: IntColumn, most: IntColumn) -> IntColumn:
        """The first pane in [least, most) that begins after `edge`; `most` if there is none."""
        times, mask, base = self._cells["first_at"].ravel(), self._capacity - 1, slot * self._capacity
        for _ in range(self._capacity.bit_length()):
            middle = (least + most) >> 1
            inside = times[base + (middle & mask)] > edge
            open_ = least < most
            most = np.where(open_ & inside, middle, most)
            least = np.where(open_ & ~inside, middle + 1, least)
        return least

    def _make_room(self, panes: int) -> None:
        while panes > self._capacity and self._capacity < MAX_CAPACITY:
            self._double()

    def _double(self) -> None:
        old, self._capacity = self._capacity, 2 * self._capacity
        kept, rows = np.arange(old), np.arange(self._slots)[:, None]
        # pane p is stored at p & (capacity - 1); the last `old` panes of each slot are copied
        pane = (self._head[: self._slots, None] - 1 - kept[None, :]).clip(min=0)
        for name, cells in self._cells.items():
            wider = np.zeros((len(cells), self._capacity), cells.dtype)
            wider[rows, pane & (self._capacity - 1)] = cells[rows, pane & (old - 1)]
            self._cells[name] = wider

    # --- samples to panes

    def _push(self, slot: IntColumn, at: IntColumn, value: FloatColumn, start: IntColumn) -> View:
        is_sample = np.abs(value) <= LARGEST
        if is_sample.all():
            return self._push_samples(slot, at, value)
        samples = np.flatnonzero(is_sample)
        before_batch = self._state(slot)
        inner = (
            self._push_samples(slot[samples], at[samples], value[samples]) if len(samples) else before_batch
        )
        return _carried(before_batch, inner, is_sample, start)

    def _state(self, slot: IntColumn) -> View:
        """The view of each row before the frame."""
        cell = slot * self._capacity + ((self._head[slot] - 1) & (self._capacity - 1))
        return View(
            slot,
            np.zeros(len(slot), np.int64),
            self._head[slot] - 1,
            self._last[slot],
            self._last_at[slot],
            {name: total[slot] for name, total in self._total.items()},
            {name: self._cells[name].ravel()[cell] for name in self._extremes},
        )

    def _push_samples(self, slot: IntColumn, at: IntColumn, value: FloatColumn) -> View:
        before = self._state(slot)
        run = Runs(slot)
        pane = at // self._pane_ms
        opens = pane != run.shifted(pane, self._pane[slot])
        own = self._own(run, value, before)
        totals = {name: before.totals[name] + run.running(column) for name, column in own.items()}
        newest = before.newest + run.running(opens.astype(np.int64))
        extremes = {
            name: run.accumulate(_EXTREMES[name], value, before.extremes[name], opens)
            for name in self._extremes
        }
        columns = {name: totals[name] - (0 if name.startswith("rise") else own[name]) for name in totals}
        self._open(slot, newest, opens, {"first_at": at, "first": value, **columns})
        cell = slot * self._capacity + (newest & (self._capacity - 1))
        for name, extreme in extremes.items():
            self._cells[name].ravel()[cell] = extreme
        self._head[slot] = newest + 1
        self._pane[slot], self._last[slot], self._last_at[slot] = pane, value, at
        for name, total in totals.items():
            self._total[name][slot] = total
        return View(slot, before.oldest, newest, value, at, totals, extremes)

    def _own(self, run: Runs, value: FloatColumn, before: View) -> dict[str, IntColumn]:
        """What each sample adds to each total."""
        own = {"n": np.ones(len(value), np.int64)}
        if self._family == "sums":
            own["high"], own["low"] = _limbs(value)
        elif self._family == "rises":
            known = run.shifted(np.ones(len(value), np.bool_), before.totals["n"] > 0)
            previous = run.shifted(value, before.last)
            rise = np.where(known, np.where(value >= previous, value - previous, value), 0.0)
            own["rise_high"], own["rise_low"] = _limbs(rise)
        return own

    def _open(self, slot: IntColumn, newest: IntColumn, opens: BoolColumn, columns: dict[str, Any]) -> None:
        """Open panes: store the first sample, the totals before it, and the rises up to and including it."""
        rows = np.flatnonzero(opens)
        cell = slot[rows] * self._capacity + (newest[rows] & (self._capacity - 1))
        for name, column in columns.items():
            self._cells[name].ravel()[cell] = column[rows]

    # --- functions

    def count(self, view: View) -> FloatColumn:
        """Number of samples; NaN if there is none."""
        return _unless_empty(view, self._since(view, "n").astype(np.float64))

    def sum(self, view: View) -> FloatColumn:
        high, low = self._since(view, "high"), self._since(view, "low")
        return _unless_empty(view, high / _HIGH + low / (_HIGH * _LOW))

    def avg(self, view: View) -> FloatColumn:
        return self.sum(view) / self._since(view, "n")

    def last(self, view: View) -> FloatColumn:
        return _unless_empty(view, view.last)

    def delta(self, view: View) -> FloatColumn:
        """Last minus first; NaN with fewer than two samples."""
        return np.where(self._span(view) > 0, view.last - self._oldest(view, "first"), np.nan)

    def rate(self, view: View) -> FloatColumn:
        """Rise per second from the first sample to the last; a fall counts as a restart from 0."""
        high, low = self._since(view, "rise_high"), self._since(view, "rise_low")
        span = self._span(view)
        return np.where(
            span > 0, (high / _HIGH + low / (_HIGH * _LOW)) * 1000.0 / np.maximum(span, 1), np.nan
        )

    def min(self, view: View) -> FloatColumn:
        return self._extreme(view, "least")

    def max(self, view: View) -> FloatColumn:
        return self._extreme(view, "most")

    def deriv(self, view: View) -> FloatColumn:
        """Slope per second of the least-squares line through the first sample of each pane and the last sample."""
        slope = np.full(len(view.slot), np.nan)
        rows = np.flatnonzero(self._span(view) > 0)
        if not len(rows):
            return slope
        base, first, last_at = view.slot[rows] * self._capacity, view.oldest[rows], view.last_at[rows]
        owner, pane = expand_runs(first, view.newest[rows] - first + 1)
        cell = base[owner] + (pane & (self._capacity - 1))
        zero = self._cells["first"].ravel()[base + (first & (self._capacity - 1))]
        seconds = (self._cells["first_at"].ravel()[cell] - last_at[owner]) / 1000.0
        values = self._cells["first"].ravel()[cell] - zero[owner]
        start = run_starts(owner)
        sums = [np.add.reduceat(column, start) for column in _moments(seconds, values)]
        newest_at = self._cells["first_at"].ravel()[base + (view.newest[rows] & (self._capacity - 1))]
        tail = (newest_at != last_at).astype(np.float64)  # the last sample is at second 0
        n, x, y, xx, xy = sums[0] + tail, sums[1], sums[2] + tail * (view.last[rows] - zero), sums[3], sums[4]
        slope[rows] = (n * xy - x * y) / (n * xx - x * x)
        return slope

    def _oldest(self, view: View, name: str) -> Any:
        cell = view.slot * self._capacity + (view.oldest & (self._capacity - 1))
        return self._cells[name].ravel()[cell]

    def _since(self, view: View, name: str) -> IntColumn:
        found: IntColumn = view.totals[name] - self._oldest(view, name)
        return found

    def _span(self, view: View) -> IntColumn:
        """Time from the first sample to the last in ms; 0 with fewer than two samples."""
        full = view.oldest <= view.newest
        return np.where(full, view.last_at - self._oldest(view, "first_at"), 0)

    def _extreme(self, view: View, name: str) -> FloatColumn:
        """The extreme of all panes; of the newest one as of the row, since later rows may have added to it."""
        ufunc, found = _EXTREMES[name], view.extremes[name].copy()
        rows = np.flatnonzero(view.oldest < view.newest)
        if len(rows):
            owner, pane = expand_runs(view.oldest[rows], view.newest[rows] - view.oldest[rows])
            cell = view.slot[rows][owner] * self._capacity + (pane & (self._capacity - 1))
            start = run_starts(owner)
            found[rows] = ufunc(found[rows], ufunc.reduceat(self._cells[name].ravel()[cell], start))
        return _unless_empty(view, found)

    # --- snapshots

    def snapshot(self) -> dict[str, Any]:
        used = slice(self._slots)
        return {
            "ms": self.ms,
            "family": self._family,
            "capacity": self._capacity,
            "cells": {name: cells[used].copy() for name, cells in self._cells.items()},
            "totals": {name: total[used].copy() for name, total in self._total.items()},
            "head": self._head[used].copy(),
            "pane": self._pane[used].copy(),
            "last": self._last[used].copy(),
            "last_at": self._last_at[used].copy(),
        }

    @classmethod
    def from_snapshot(cls, state: dict[str, Any]) -> Ring:
        ring = cls(state["ms"], state["family"])
        ring._capacity = state["capacity"]
        ring._slots = len(state["head"])
        ring._cells = {name: np.array(cells) for name, cells in state["cells"].items()}
        ring._total = {name: np.array(total) for name, total in state["totals"].items()}
        ring._head, ring._pane = np.array(state["head"]), np.array(state["pane"])
        ring._last, ring._last_at = np.array(state["last"]), np.array(state["last_at"])
        return ring


def _longer(column: np.ndarray[Any, Any], size: int) -> np.ndarray[Any, Any]:
    """Return a copy with `size` rows. The system allocates pages for the new ones only when they are written."""
    longer = np.zeros((size, *column.shape[1:]), column.dtype)
    longer[: len(column)] = column
    return longer


def _limbs(value: FloatColumn) -> tuple[IntColumn, IntColumn]:
    scaled = value * _HIGH
    high = np.rint(scaled)
    return high.astype(np.int64), np.rint((scaled - high) * _LOW).astype(np.int64)


def _moments(x: FloatColumn, y: FloatColumn) -> tuple[FloatColumn, ...]:
    return np.ones_like(x), x, y, x * x, x * y


def _unless_empty(view: View, column: FloatColumn) -> FloatColumn:
    return np.where(view.oldest <= view.newest, column, np.nan)


def _carried(before_batch: View, inner: View, is_sample: BoolColumn, start: IntColumn) -> View:
    """The view of all rows: one without a sample sees the sample before it in its run, else the state before."""
    count = np.cumsum(is_sample)
    before_run: IntColumn = np.repeat(count[start] - is_sample[start], np.diff(start, append=len(count)))
    rows = np.flatnonzero(count > before_run)
    source = count[rows] - 1
    for name in ("newest", "last", "last_at"):
        getattr(before_batch, name)[rows] = getattr(inner, name)[source]
    for name, extreme in inner.extremes.items():
        before_batch.extremes[name][rows] = extreme[source]
    for name, column in inner.totals.items():
        before_batch.totals[name][rows] = column[source]
    return before_batch


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
}

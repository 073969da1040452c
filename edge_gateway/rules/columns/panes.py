"""The samples of a metric by device, in rings of panes: what functions over ranges read.

A pane holds one sample or, if samples are closer together than a range's PANES-th part, all samples of that slice of
time. Beside the first sample of each pane stand running totals: how many samples came before it, and their exact sum
(`limbs`) or that of the rises up to it. What lies between two panes is the difference of their totals.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from edge_gateway.columns.frame import BoolColumn, FloatColumn, IntColumn
from edge_gateway.columns.growing import room_for
from edge_gateway.rules.columns import limbs
from edge_gateway.rules.columns.runs import Runs

PANES: Final = 120
MAX_CAPACITY: Final = 128
NO_PANE: Final = np.int64(-(2**62))
EXTREMES: Final = {"least": np.minimum, "most": np.maximum}
SUMMED: Final = frozenset(("sums", "rises", "changes"))
"""Families that keep sums: of the samples, or of the STEPS from each sample to the next."""
_LARGEST: Final = float(np.finfo(np.float64).max)


@dataclass(slots=True)
class View:
    """The history at each row: its panes `oldest` … `newest` (none if oldest > newest) and totals up to the row.

    `now`: the end of the range, ms.
    """

    slot: IntColumn
    oldest: IntColumn
    newest: IntColumn
    last: FloatColumn
    last_at: IntColumn
    totals: dict[str, IntColumn]
    extremes: dict[str, FloatColumn]
    now: IntColumn = field(default_factory=lambda: np.zeros(0, np.int64))


class Panes:
    """The panes of one metric for ranges of `ms`, one slot per device; `family` says what is stored.

    By slot: `head`, the number of panes so far; `pane`, which slice of time the newest is; `last` and `last_at`, the
    newest sample; `total` of all samples. By slot and pane (at `pane & (capacity - 1)`): `cells`, the first sample and
    the totals at it. By slot: `beside`, what limbs do not hold: (number of the sample, integer), oldest first.
    """

    def __init__(self, ms: int, family: str) -> None:
        self.ms = ms
        self.family = family
        self.pane_ms = -(-ms // PANES)
        self.capacity = 8
        self.slots = 0
        self.extremes = tuple(EXTREMES) if family == "extremes" else ()
        summed = limbs.USUAL if family in SUMMED else ()
        self.total = {name: np.zeros(0, np.int64) for name in ("n", *summed)}
        self.cells: dict[str, np.ndarray[Any, Any]] = {
            name: np.zeros((0, self.capacity), np.float64 if name in ("first", *EXTREMES) else np.int64)
            for name in ("first_at", "first", *self.total, *self.extremes)
        }
        self.head = np.zeros(0, np.int64)
        self.pane = np.zeros(0, np.int64)
        self.last = np.zeros(0, np.float64)
        self.last_at = np.zeros(0, np.int64)
        self.beside: dict[int, list[tuple[int, int]]] = {}

    def add_slots(self, count: int) -> int:
        """Make room for `count` more devices; the first new slot."""
        first, self.slots = self.slots, self.slots + count
        if self.slots > len(self.head):
            self._grow_slots(room_for(self.slots, len(self.head)))
        return first

    def _grow_slots(self, size: int) -> None:
        for columns in (self.cells, self.total):
            for name, column in columns.items():
                columns[name] = _longer(column, size)
        self.head, self.last, self.last_at = (
            _longer(column, size) for column in (self.head, self.last, self.last_at)
        )
        self.pane = np.append(self.pane, np.full(size - len(self.pane), NO_PANE))

    def forget(self, slots: IntColumn) -> None:
        """Empty these histories."""
        self.head[slots] = 0
        self.pane[slots] = NO_PANE
        self.last_at[slots] = 0
        for total in self.total.values():
            total[slots] = 0
        for slot in self.beside.keys() & set(slots.tolist()):
            del self.beside[slot]

    # --- looking

    def copy_of(self, slot: int) -> Panes:
        """A copy of one slot, as slot 0."""
        copy, one = Panes(self.ms, self.family), slice(slot, slot + 1)
        copy.capacity, copy.slots = self.capacity, 1
        copy.cells = {name: cells[one].copy() for name, cells in self.cells.items()}
        copy.total = {name: total[one].copy() for name, total in self.total.items()}
        copy.head, copy.pane = self.head[one].copy(), self.pane[one].copy()
        copy.last, copy.last_at = self.last[one].copy(), self.last_at[one].copy()
        if slot in self.beside:
            copy.beside[0] = list(self.beside[slot])
        return copy

    def at_pane(self, name: str, slot: IntColumn, pane: IntColumn) -> Any:
        """What the panes' cells hold."""
        return self.cells[name].ravel()[slot * self.capacity + (pane & (self.capacity - 1))]

    def kept(self, slot: IntColumn) -> tuple[IntColumn, IntColumn]:
        """The first pane that is still there, and the one after the newest."""
        head = self.head[slot]
        return np.maximum(head - self.capacity, 0), head

    def first_after(self, slot: IntColumn, edge: IntColumn, least: IntColumn, most: IntColumn) -> IntColumn:
        """The first pane in [least, most) that begins after `edge`; `most` if there is none."""
        times, mask, base = self.cells["first_at"].ravel(), self.capacity - 1, slot * self.capacity
        for _ in range(self.capacity.bit_length()):
            middle = (least + most) >> 1
            inside = times[base + (middle & mask)] > edge
            open_ = least < most
            most = np.where(open_ & inside, middle, most)
            least = np.where(open_ & ~inside, middle + 1, least)
        return least

    def make_room(self, panes: int) -> None:
        """Make room for so many panes of a slot, as far as capacity may grow."""
        while panes > self.capacity and self.capacity < MAX_CAPACITY:
            self._double()

    def _double(self) -> None:
        old, self.capacity = self.capacity, 2 * self.capacity
        kept, rows = np.arange(old), np.arange(self.slots)[:, None]
        # pane p is stored at p & (capacity - 1); the last `old` panes of each slot are copied
        pane = (self.head[: self.slots, None] - 1 - kept[None, :]).clip(min=0)
        for name, cells in self.cells.items():
            wider = np.zeros((len(cells), self.capacity), cells.dtype)
            wider[rows, pane & (self.capacity - 1)] = cells[rows, pane & (old - 1)]
            self.cells[name] = wider

    # --- adding samples

    def push(self, slot: IntColumn, at: IntColumn, value: FloatColumn, start: IntColumn) -> View:
        """Add rows, sorted by slot and then by time; NaN is not a sample. `start` are the first rows of slots."""
        is_none = np.isnan(value)
        if not is_none.any():
            return self._push_samples(slot, at, value)
        is_sample = ~is_none
        samples = np.flatnonzero(is_sample)
        before_batch = self.view(slot)
        if not len(samples):
            return before_batch
        inner = self._push_samples(slot[samples], at[samples], value[samples])
        for name in inner.totals.keys() - before_batch.totals.keys():
            before_batch.totals[name] = np.zeros(len(slot), np.int64)
        return _carried(before_batch, inner, is_sample, start)

    def view(self, slot: IntColumn) -> View:
        """The view of each row before the frame; its `oldest` is not known yet."""
        newest = self.head[slot] - 1
        return View(
            slot,
            np.zeros(len(slot), np.int64),
            newest,
            self.last[slot],
            self.last_at[slot],
            {name: total[slot] for name, total in self.total.items()},
            {name: self.at_pane(name, slot, newest) for name in self.extremes},
        )

    def _push_samples(self, slot: IntColumn, at: IntColumn, value: FloatColumn) -> View:
        run = Runs(slot)
        before, own, beside = self._own(run, slot, value)
        pane = at // self.pane_ms
        opens = pane != run.shifted(pane, self.pane[slot])
        totals = {name: before.totals[name] + run.running(column) for name, column in own.items()}
        newest = before.newest + run.running(opens.astype(np.int64))
        extremes = {
            name: run.accumulate(EXTREMES[name], value, before.extremes[name], opens)
            for name in self.extremes
        }
        # a total at a pane counts what came before its first sample, but a rise with the sample it ends in
        columns = {name: totals[name] - (own[name] if self._is_before(name) else 0) for name in totals}
        self._open(slot, newest, opens, {"first_at": at, "first": value, **columns})
        cell = slot * self.capacity + (newest & (self.capacity - 1))
        for name, extreme in extremes.items():
            self.cells[name].ravel()[cell] = extreme
        self.head[slot] = newest + 1
        self.pane[slot], self.last[slot], self.last_at[slot] = pane, value, at
        for name, total in totals.items():
            self.total[name][slot] = total
        for row, integer in beside.items():
            self._keep_beside(int(slot[row]), int(totals["n"][row]), integer)
        return View(slot, before.oldest, newest, value, at, totals, extremes)

    def _is_before(self, name: str) -> bool:
        return name == "n" or self.family == "sums"

    def _own(
        self, run: Runs, slot: IntColumn, value: FloatColumn
    ) -> tuple[View, dict[str, IntColumn], dict[int, int]]:
        """The view before; what each sample adds to each total, and beside the limbs."""
        before = self.view(slot)
        own = {"n": np.ones(len(value), np.int64)}
        beside: dict[int, int] = {}
        if self.family in SUMMED:
            summand = value
            if self.family in STEPS:
                known = run.shifted(np.ones(len(value), np.bool_), before.totals["n"] > 0)
                step = STEPS[self.family](run.shifted(value, before.last), value)
                summand = np.where(known, step, 0.0)
            found, beside = self.split(summand)
            own.update(found)
            for name in own.keys() - before.totals.keys():
                before.totals[name] = np.zeros(len(value), np.int64)
        return before, own, beside

    def split(self, summand: FloatColumn) -> tuple[dict[str, IntColumn], dict[int, int]]:
        """Values as the limbs that are kept here, of which there may now be more, and what they do not hold by row."""
        parts = limbs.split(summand)
        for name in parts.limbs.keys() - self.total.keys():
            self.total[name] = np.zeros(len(self.head), np.int64)
            self.cells[name] = np.zeros((len(self.head), self.capacity), np.int64)
        if len(parts.limbs) + 1 < len(self.total):
            nothing = np.zeros(len(summand), np.int64)
            for name in self.total.keys() - parts.limbs.keys() - {"n"}:
                parts.limbs[name] = nothing
        if parts.beside is None:
            return parts.limbs, {}
        rows = np.flatnonzero(parts.beside).tolist()
        return parts.limbs, {row: limbs.integer_of(float(summand[row])) for row in rows}

    def _open(self, slot: IntColumn, newest: IntColumn, opens: BoolColumn, columns: dict[str, Any]) -> None:
        """Open panes: store the first sample, and the totals at it."""
        rows = np.flatnonzero(opens)
        cell = slot[rows] * self.capacity + (newest[rows] & (self.capacity - 1))
        for name, column in columns.items():
            self.cells[name].ravel()[cell] = column[rows]

    def _keep_beside(self, slot: int, number: int, integer: int) -> None:
        """Keep what a sample adds beside the limbs, and drop what lies before the first pane that is still there."""
        first = max(int(self.head[slot]) - self.capacity, 0)
        oldest = int(self.cells["n"][slot, first & (self.capacity - 1)])
        kept = [each for each in self.beside.get(slot, ()) if each[0] > oldest]
        self.beside[slot] = [*kept, (number, integer)]

    # --- snapshots

    def snapshot(self) -> dict[str, Any]:
        used = slice(self.slots)
        return {
            "ms": self.ms,
            "family": self.family,
            "capacity": self.capacity,
            "cells": {name: cells[used].copy() for name, cells in self.cells.items()},
            "totals": {name: total[used].copy() for name, total in self.total.items()},
            "head": self.head[used].copy(),
            "pane": self.pane[used].copy(),
            "last": self.last[used].copy(),
            "last_at": self.last_at[used].copy(),
            "beside": [[slot, list(map(list, kept))] for slot, kept in sorted(self.beside.items())],
        }

    @classmethod
    def from_snapshot(cls, state: dict[str, Any]) -> Panes:
        panes = cls(state["ms"], state["family"])
        panes.capacity = state["capacity"]
        panes.slots = len(state["head"])
        panes.cells = {name: np.array(cells) for name, cells in state["cells"].items()}
        panes.total = {name: np.array(total) for name, total in state["totals"].items()}
        panes.head, panes.pane = np.array(state["head"]), np.array(state["pane"])
        panes.last, panes.last_at = np.array(state["last"]), np.array(state["last_at"])
        panes.beside = {
            slot: [(number, integer) for number, integer in kept] for slot, kept in state["beside"]
        }
        return panes


def rise(before: FloatColumn, value: FloatColumn) -> FloatColumn:
    """How far a counter rose from one sample to the next; a fall counts as a restart from 0."""
    return np.where(value >= before, np.minimum(value - before, _LARGEST), value)


def change(before: FloatColumn, value: FloatColumn) -> FloatColumn:
    """1 where a value is another one than that before it."""
    return np.where(value == before, 0.0, 1.0)


STEPS: Final = {"rises": rise, "changes": change}
"""By family what is summed of two samples that follow each other."""


def _longer(column: np.ndarray[Any, Any], size: int) -> np.ndarray[Any, Any]:
    """Return a copy with `size` rows. The system allocates pages for the new ones only when they are written."""
    longer = np.zeros((size, *column.shape[1:]), column.dtype)
    longer[: len(column)] = column
    return longer


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

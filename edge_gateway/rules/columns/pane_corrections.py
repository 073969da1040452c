"""Late samples: put where they belong in time, and counted in all totals after them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from edge_gateway.columns.frame import BoolColumn, FloatColumn, IntColumn
from edge_gateway.rules.columns.panes import EXTREMES, STEPS, SUMMED, Panes
from edge_gateway.rules.columns.runs import run_starts

_BEFORE_ALL: Final = np.int64(-(2**62))


@dataclass(slots=True)
class _Insertion:
    """Samples to insert, one a slot, and copies of their slots' cells, [samples, capacity], oldest pane first.

    `place` is the first pane that begins in the sample's slice of time or later. `joins`: it is of that very slice.
    `leads`: the sample becomes the first of its pane.
    """

    slot: IntColumn
    at: IntColumn
    value: FloatColumn
    cells: dict[str, Any]
    place: IntColumn
    joins: BoolColumn
    leads: BoolColumn

    def here(self, name: str, step: int = 0) -> Any:
        """What the cell at `place` holds, or one so many panes on."""
        last = self.cells[name].shape[1] - 1
        return self.cells[name][np.arange(len(self.slot)), np.clip(self.place + step, 0, last)]


@dataclass(slots=True)
class _Sums:
    """What the samples add to the totals after them; the totals at each if it leads; and what limbs do not hold.

    `beside`: by sample the integers of the sample itself and of the one after it, None where there is none.
    """

    later: dict[str, IntColumn]
    own: dict[str, IntColumn]
    beside: dict[int, tuple[int | None, int | None]]


def insert(panes: Panes, slot: IntColumn, at: IntColumn, value: FloatColumn) -> None:
    """Add late samples of distinct slots, each before the samples of its time; one older than the range is left out.

    Between samples of one pane a rise is not known, so `rate` and `changes` leave out what comes late there.
    """
    newest = (panes.head[slot] == 0) | (at > panes.last_at[slot])
    if newest.any():
        panes.push(slot[newest], at[newest], value[newest], run_starts(slot[newest]))
    inside = np.flatnonzero(~newest & (at > panes.last_at[slot] - panes.ms))
    if len(inside):
        into = _insertion(panes, slot[inside], at[inside], value[inside])
        fits = _fits(panes, into)
        if fits.all():
            _insert(panes, into)
        elif fits.any():
            some = inside[fits]
            _insert(panes, _insertion(panes, slot[some], at[some], value[some]))


def _insertion(panes: Panes, slot: IntColumn, at: IntColumn, value: FloatColumn) -> _Insertion:
    least, head = panes.kept(slot)
    oldest = panes.first_after(slot, panes.last_at[slot] - panes.ms, least, head)
    panes.make_room(int((head - oldest).max()) + 1)
    pane = _pane_numbers(panes, slot)
    cells = {name: cells[slot[:, None], pane & (panes.capacity - 1)] for name, cells in panes.cells.items()}
    cells["first_at"][pane < 0] = _BEFORE_ALL
    slices, own = cells["first_at"] // panes.pane_ms, at // panes.pane_ms
    place = (slices < own[:, None]).sum(axis=1)
    rows = np.arange(len(slot))
    joins = slices[rows, place] == own
    leads = ~joins | (at <= cells["first_at"][rows, place])
    return _Insertion(slot, at, value, cells, place, joins, leads)


def _pane_numbers(panes: Panes, slot: IntColumn) -> IntColumn:
    found: IntColumn = panes.head[slot][:, None] - panes.capacity + np.arange(panes.capacity)
    return found


def _fits(panes: Panes, into: _Insertion) -> BoolColumn:
    """Which samples have a place: a pane before them or of their slice and, for steps, neighbours that are known."""
    fits: BoolColumn = into.joins | (into.place > 0)
    if panes.family not in STEPS:
        return fits
    n, place = into.here("n"), into.place
    alone_before = (place > 0) & (n - into.here("n", -1) == 1)
    alone = (place + 1 < panes.capacity) & (into.here("n", 1) - n == 1)
    fits &= np.where(into.leads, alone_before | (n == 0), alone)
    return fits


def _insert(panes: Panes, into: _Insertion) -> None:
    sums = _steps(panes, into) if panes.family in STEPS else _summands(panes, into)
    number = into.here("n") + np.where(into.leads, 1, 2)
    opened = {"first_at": into.at, "first": into.value, **sums.own}
    opened |= {
        name: np.where(into.joins, EXTREMES[name](into.here(name), into.value), into.value)
        for name in panes.extremes
    }
    after = np.arange(panes.capacity) >= (into.place + into.joins)[:, None]
    for name, column in sums.later.items():
        into.cells[name] += np.where(after, column[:, None], 0)
        panes.total[name][into.slot] += column
    _put(panes, into, opened)
    for row in range(len(into.slot)) if panes.beside or sums.beside else ():
        _number_anew(panes, int(into.slot[row]), int(number[row]), sums.beside.get(row, (None, None)))


def _put(panes: Panes, into: _Insertion, opened: dict[str, Any]) -> None:
    """Write the cells back: a sample that joins no pane opens one, and the oldest goes."""
    rows, place = np.arange(len(into.slot)), into.place - ~into.joins
    moves = ~into.joins[:, None] & (np.arange(panes.capacity) < into.place[:, None])
    next_pane = np.arange(1, panes.capacity + 1) & (panes.capacity - 1)
    panes.head[into.slot] += ~into.joins
    pane = _pane_numbers(panes, into.slot) & (panes.capacity - 1)
    for name, cells in into.cells.items():
        moved = np.where(moves, cells[:, next_pane], cells)
        new = np.ones(len(rows), np.bool_) if name in panes.extremes else into.leads
        moved[rows[new], place[new]] = opened[name][new]
        panes.cells[name][into.slot[:, None], pane] = moved


def _summands(panes: Panes, into: _Insertion) -> _Sums:
    """What samples add that are counted each by itself."""
    later = {"n": np.ones(len(into.slot), np.int64)}
    beside: dict[int, int] = {}
    if panes.family in SUMMED:
        found, beside = _split(panes, into, into.value)
        later.update(found)
    own = {name: into.here(name) for name in later}
    return _Sums(later, own, {row: (integer, None) for row, integer in beside.items()})


def _steps(panes: Panes, into: _Insertion) -> _Sums:
    """What samples add that split the step between their neighbours, a rise or a change, into two."""
    step = STEPS[panes.family]
    follows = into.here("n") > 0
    before = np.where(into.leads, into.here("first", -1), into.here("first"))
    after = np.where(into.leads, into.here("first"), into.here("first", 1))
    is_first = into.leads & ~follows
    steps = (
        np.where(is_first, 0.0, step(before, into.value)),
        step(into.value, after),
        np.where(is_first, 0.0, step(before, after)),
    )
    found, beside = _split(panes, into, np.concatenate(steps))
    many = len(into.slot)
    later, own = {"n": np.ones(many, np.int64)}, {"n": into.here("n")}
    for name, column in found.items():
        first, second, whole = column[:many], column[many : 2 * many], column[2 * many :]
        later[name] = first + second - whole
        own[name] = into.here(name) - whole + first
    split = {row % many for row in beside}
    return _Sums(later, own, {row: (beside.get(row), beside.get(row + many)) for row in split})


def _split(
    panes: Panes, into: _Insertion, summand: FloatColumn
) -> tuple[dict[str, IntColumn], dict[int, int]]:
    """As `Panes.split`, with cells for limbs that were not kept so far."""
    found, beside = panes.split(summand)
    for name in found.keys() - into.cells.keys():
        into.cells[name] = np.zeros_like(into.cells["n"])
    return found, beside


def _number_anew(panes: Panes, slot: int, number: int, integers: tuple[int | None, int | None]) -> None:
    """Number the samples of a slot from `number` on one higher; these integers are of `number` and the one after."""
    kept = panes.beside.get(slot, [])
    replaced = number if panes.family in STEPS else None
    moved = [(each + (each >= number), integer) for each, integer in kept if each != replaced]
    moved += [(number + step, integer) for step, integer in enumerate(integers) if integer is not None]
    if moved:
        panes.beside[slot] = sorted(moved)

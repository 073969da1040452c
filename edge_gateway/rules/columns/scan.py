"""The latches of one batch in one pass: runs of rows of equal cells, in order of arrival within each.

A latch switches on when it has been beyond its threshold for `for_ms`, and off when it has been clear for
`keep_ms`. One segmented scan finds this for all of them: the start of a run of true rows by a running
maximum, and the state as "switched on later than off".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_gateway.columns.frame import BoolColumn, IntColumn
from edge_gateway.rules.columns.runs import opens


class Readings(NamedTuple):
    """(cell, row) pairs sorted by cell and then by arrival: what each says, and the cell's limits in time.

    No reading is both up and down.
    """

    cell: IntColumn
    at: IntColumn
    is_up: BoolColumn
    is_down: BoolColumn
    for_ms: IntColumn
    keep_ms: IntColumn


class Carry(NamedTuple):
    """State before the batch, one entry a reading (the same for all of a cell)."""

    on: BoolColumn
    up: IntColumn
    down: IntColumn


class Course(NamedTuple):
    """State after each reading, and whether the latch was on and was waiting before it."""

    on: BoolColumn
    up: IntColumn
    down: IntColumn
    was_on: BoolColumn
    was_waiting: BoolColumn
    last: BoolColumn


def run_latches(readings: Readings, carry: Carry) -> Course:
    """The course of every latch. `last` marks the last reading of each cell."""
    first = opens(readings.cell)
    return _single(readings, carry, first) if first.all() else _several(readings, carry, first)


def _single(readings: Readings, carry: Carry, first: BoolColumn) -> Course:
    at = readings.at
    up = np.where(readings.is_up, np.where(carry.up > 0, carry.up, at), 0)
    down = np.where(readings.is_down, np.where(carry.down > 0, carry.down, at), 0)
    fires = readings.is_up & (at - up >= readings.for_ms)
    clears = readings.is_down & (at - down >= readings.keep_ms)
    on = np.where(carry.on, ~clears, fires)
    return Course(on, up, down, carry.on, (carry.up > 0) & ~carry.on, first)


def _several(readings: Readings, carry: Carry, first: BoolColumn) -> Course:
    index = np.arange(len(first))
    start = np.maximum.accumulate(np.where(first, index, 0))
    up = _since(readings.is_up, carry.up, readings.at, start, index)
    down = _since(readings.is_down, carry.down, readings.at, start, index)
    fires = readings.is_up & (readings.at - up >= readings.for_ms)
    clears = readings.is_down & (readings.at - down >= readings.keep_ms)
    fired = np.maximum.accumulate(np.where(fires, index, -1))
    cleared = np.maximum.accumulate(np.where(clears, index, -1))
    on = np.where(np.maximum(fired, cleared) < start, carry.on, fired > cleared)
    last = np.empty_like(first)
    last[:-1], last[-1:] = first[1:], True
    was_on = _before(on, carry.on, first)
    return Course(on, up, down, was_on, _before(up > 0, carry.up > 0, first) & ~was_on, last)


def _since(
    holds: BoolColumn, carry: IntColumn, at: IntColumn, start: IntColumn, index: IntColumn
) -> IntColumn:
    """For rows where it holds: since when without a break; 0 elsewhere."""
    broken = np.maximum.accumulate(np.where(holds, -1, index))
    inside = broken >= start
    onset = at[np.minimum(np.where(inside, broken + 1, start), len(at) - 1)]
    return np.where(holds, np.where(~inside & (carry > 0), carry, onset), 0)


def _before(column: BoolColumn, carry: BoolColumn, first: BoolColumn) -> BoolColumn:
    moved = np.empty_like(column)
    moved[1:] = column[:-1]
    return np.where(first, carry, moved)

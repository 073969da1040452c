"""Run all latches of a frame in one segmented scan over (cell, row) pairs.

A latch switches on once it has been beyond its threshold for `for_ms`, or at `for_count` time stamps in a row, and off
once it has been clear for `keep_ms`.
A running maximum gives the start of each run of true rows; a latch is on if it last switched on later than off.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np

from edge_gateway.columns.frame import BoolColumn, IntColumn
from edge_gateway.rules.columns.runs import run_start_mask

Column = TypeVar("Column", BoolColumn, IntColumn)


class LatchInputs(NamedTuple):
    """(cell, row) pairs sorted by cell and then by arrival. No pair is both up and down; times in ms.

    `anew`: before the pair the value had become too old, and a wait starts anew. `closed`: the latch's times had ended,
    so that it was off by then.
    """

    cell: IntColumn
    at: IntColumn
    anew: BoolColumn
    closed: BoolColumn
    is_up: BoolColumn
    is_down: BoolColumn
    for_ms: IntColumn
    for_count: IntColumn
    keep_ms: IntColumn


class Carry(NamedTuple):
    """The latch of each pair before the frame: on, since when beyond its threshold, since when clear (0: not).

    `stamps`: at how many time stamps in a row it was beyond, the last of which is `last_at`, ms.
    """

    on: BoolColumn
    up: IntColumn
    down: IntColumn
    stamps: IntColumn
    last_at: IntColumn

    def of(self, pairs: IntColumn) -> Carry:
        return Carry(
            self.on[pairs], self.up[pairs], self.down[pairs], self.stamps[pairs], self.last_at[pairs]
        )


class Course(NamedTuple):
    """The latch after each pair, and whether it was on or waiting before. `last`: the cell's last pair."""

    on: BoolColumn
    up: IntColumn
    down: IntColumn
    stamps: IntColumn
    was_on: BoolColumn
    was_waiting: BoolColumn
    last: BoolColumn


def scan_latches(inputs: LatchInputs, carry: Carry) -> Course:
    """Run every latch over its pairs."""
    first = run_start_mask(inputs.cell)
    return _single(inputs, carry, first) if first.all() else _several(inputs, carry, first)


def _single(inputs: LatchInputs, carry: Carry, first: BoolColumn) -> Course:
    at = inputs.at
    goes_on = (carry.up > 0) & ~(inputs.anew | inputs.closed)
    up = np.where(inputs.is_up, np.where(goes_on, carry.up, at), 0)
    count = np.where(inputs.is_up, np.where(goes_on, carry.stamps + (at != carry.last_at), 1), 0)
    down = np.where(inputs.is_down, np.where((carry.down > 0) & ~inputs.closed, carry.down, at), 0)
    fires = inputs.is_up & ((at - up >= inputs.for_ms) | (count >= inputs.for_count))
    clears = inputs.is_down & (at - down >= inputs.keep_ms)
    on = np.where(carry.on & ~inputs.closed, ~clears, fires)
    return Course(on, up, down, count, carry.on, (carry.up > 0) & ~carry.on, first)


def _several(inputs: LatchInputs, carry: Carry, first: BoolColumn) -> Course:
    index = np.arange(len(first))
    start = np.maximum.accumulate(np.where(first, index, 0))
    anew = inputs.anew | inputs.closed
    before, cleared_before = np.where(anew[start], 0, carry.up), np.where(inputs.closed[start], 0, carry.down)
    up_from = _begin(inputs.is_up, before, start, np.where(anew, index, 0))
    down_from = _begin(inputs.is_down, cleared_before, start, np.where(inputs.closed, index, 0))
    up = _since(inputs.is_up, up_from, before, inputs.at)
    down = _since(inputs.is_down, down_from, cleared_before, inputs.at)
    count = _count(inputs, carry, first, up_from)
    fires = inputs.is_up & ((inputs.at - up >= inputs.for_ms) | (count >= inputs.for_count))
    clears = inputs.is_down & (inputs.at - down >= inputs.keep_ms)
    # two moments for each pair: before it, when times may have ended, and the pair itself
    fired = np.maximum.accumulate(np.where(fires, 2 * index + 1, -1))
    cleared = np.maximum.accumulate(np.where(clears, 2 * index + 1, np.where(inputs.closed, 2 * index, -1)))
    on = np.where(np.maximum(fired, cleared) < 2 * start, carry.on, fired > cleared)
    last = np.empty_like(first)
    last[:-1], last[-1:] = first[1:], True
    was_on = _before(on, carry.on, first)
    return Course(on, up, down, count, was_on, _before(up > 0, carry.up > 0, first) & ~was_on, last)


def _begin(holds: BoolColumn, carry: IntColumn, start: IntColumn, begins: IntColumn) -> IntColumn:
    """Where it holds: the pair with which its run begins, −1 if that was before the frame.

    `begins` names pairs at which a run begins anew; `start` is the first pair of the cell.
    """
    begin = np.maximum.accumulate(np.where(holds, begins, np.arange(1, len(holds) + 1)))
    inside = begin > start
    return np.where(~inside & (carry > 0), -1, np.minimum(np.where(inside, begin, start), len(holds) - 1))


def _since(holds: BoolColumn, begin: IntColumn, carry: IntColumn, at: IntColumn) -> IntColumn:
    """Where it holds: since when without a break (ms); 0 elsewhere."""
    return np.where(holds, np.where(begin < 0, carry, at[begin]), 0)


def _count(inputs: LatchInputs, carry: Carry, first: BoolColumn, begin: IntColumn) -> IntColumn:
    """Where a latch is beyond its threshold: at how many time stamps in a row; 0 elsewhere."""
    stamps = np.cumsum(inputs.at != _before(inputs.at, carry.last_at, first))
    before = np.maximum.accumulate(np.where(first, np.arange(len(first)), 0)) - 1
    earlier = np.where(before < 0, 0, stamps[before])
    found = np.where(begin < 0, carry.stamps + stamps - earlier, 1 + stamps - stamps[begin])
    return np.where(inputs.is_up, found, 0)


def _before(column: Column, carry: Column, first: BoolColumn) -> Column:
    moved = np.empty_like(column)
    moved[1:] = column[:-1]
    return np.where(first, carry, moved)

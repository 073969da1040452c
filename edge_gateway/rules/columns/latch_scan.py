"""Run all latches of a frame in one segmented scan over (cell, row) pairs.

A latch switches on once it has been beyond its threshold for `for_ms`, and off once it has been clear for `keep_ms`.
A running maximum gives the start of each run of true rows; a latch is on if it last switched on later than off.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_gateway.columns.frame import BoolColumn, IntColumn
from edge_gateway.rules.columns.runs import run_start_mask


class LatchInputs(NamedTuple):
    """(cell, row) pairs sorted by cell and then by arrival. No pair is both up and down; times in ms.

    `anew`: before the pair the value had become too old, and a wait starts anew.
    """

    cell: IntColumn
    at: IntColumn
    anew: BoolColumn
    is_up: BoolColumn
    is_down: BoolColumn
    for_ms: IntColumn
    keep_ms: IntColumn


class Carry(NamedTuple):
    """The latch of each pair before the frame: on, since when beyond its threshold, since when clear (0: not)."""

    on: BoolColumn
    up: IntColumn
    down: IntColumn


class Course(NamedTuple):
    """The latch after each pair, and whether it was on or waiting before. `last`: the cell's last pair."""

    on: BoolColumn
    up: IntColumn
    down: IntColumn
    was_on: BoolColumn
    was_waiting: BoolColumn
    last: BoolColumn


def scan_latches(inputs: LatchInputs, carry: Carry) -> Course:
    """Run every latch over its pairs."""
    first = run_start_mask(inputs.cell)
    return _single(inputs, carry, first) if first.all() else _several(inputs, carry, first)


def _single(inputs: LatchInputs, carry: Carry, first: BoolColumn) -> Course:
    at = inputs.at
    up = np.where(inputs.is_up, np.where((carry.up > 0) & ~inputs.anew, carry.up, at), 0)
    down = np.where(inputs.is_down, np.where(carry.down > 0, carry.down, at), 0)
    fires = inputs.is_up & (at - up >= inputs.for_ms)
    clears = inputs.is_down & (at - down >= inputs.keep_ms)
    on = np.where(carry.on, ~clears, fires)
    return Course(on, up, down, carry.on, (carry.up > 0) & ~carry.on, first)


def _several(inputs: LatchInputs, carry: Carry, first: BoolColumn) -> Course:
    index = np.arange(len(first))
    start = np.maximum.accumulate(np.where(first, index, 0))
    before = np.where(inputs.anew[start], 0, carry.up)
    up = _since(inputs.is_up, before, inputs.at, start, np.where(inputs.anew, index, 0))
    down = _since(inputs.is_down, carry.down, inputs.at, start, np.zeros(len(first), np.int64))
    fires = inputs.is_up & (inputs.at - up >= inputs.for_ms)
    clears = inputs.is_down & (inputs.at - down >= inputs.keep_ms)
    fired = np.maximum.accumulate(np.where(fires, index, -1))
    cleared = np.maximum.accumulate(np.where(clears, index, -1))
    on = np.where(np.maximum(fired, cleared) < start, carry.on, fired > cleared)
    last = np.empty_like(first)
    last[:-1], last[-1:] = first[1:], True
    was_on = _before(on, carry.on, first)
    return Course(on, up, down, was_on, _before(up > 0, carry.up > 0, first) & ~was_on, last)


def _since(
    holds: BoolColumn, carry: IntColumn, at: IntColumn, start: IntColumn, begins: IntColumn
) -> IntColumn:
    """Where it holds: since when without a break (ms); 0 elsewhere. `begins` names pairs at which a run begins."""
    begin = np.maximum.accumulate(np.where(holds, begins, np.arange(1, len(holds) + 1)))
    inside = begin > start
    onset = at[np.minimum(np.where(inside, begin, start), len(at) - 1)]
    return np.where(holds, np.where(~inside & (carry > 0), carry, onset), 0)


def _before(column: BoolColumn, carry: BoolColumn, first: BoolColumn) -> BoolColumn:
    moved = np.empty_like(column)
    moved[1:] = column[:-1]
    return np.where(first, carry, moved)

"""Which readings are the newest of their input: those that a rule may act on. The others correct value history only.

What has been seen is kept by input, not by device: a reading older than what other metrics have shown may still be
the newest of its own. Readings of one time are newest in order of seq; across boots, whose seqs do not compare, in
order of arrival.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_gateway.rules.columns.runs import run_start_mask

if TYPE_CHECKING:
    from edge_gateway.columns.frame import BoolColumn, IntColumn


class TimesRead(NamedTuple):
    """When readings were taken: time (ms); which of the device's boots since the last frame (0: the same); seq."""

    at: IntColumn
    boot: IntColumn
    seq: IntColumn

    def of(self, rows: IntColumn) -> TimesRead:
        return TimesRead(self.at[rows], self.boot[rows], self.seq[rows])


def boots_since(device: IntColumn, boot: IntColumn, before: IntColumn) -> IntColumn:
    """How often the device of each row has changed its boot by then; `before` is that of each row's device before."""
    first = run_start_mask(device)
    changed = np.empty(len(boot), np.int64)
    changed[1:] = boot[1:] != boot[:-1]
    changed[first] = boot[first] != before[first]
    changes = np.cumsum(changed)
    start = np.flatnonzero(first)
    return changes - np.repeat((changes - changed)[start], np.diff(start, append=len(boot)))


def newest_so_far(cell: IntColumn, stamps: TimesRead, cells: IntColumn, before: TimesRead) -> BoolColumn:
    """Which readings are not older than any before them in the same cell.

    Args:
        cell: cell of each reading, an input of a device; a cell's readings in order of arrival.
        stamps: when each was taken.
        cells: the distinct cells.
        before: the newest of each cell before the frame.
    """
    many = len(cells)
    all_cells = np.concatenate([cells, cell])
    at, boot, seq = (np.concatenate(both) for both in zip(before, stamps, strict=True))
    place = _ranks(at, boot, seq)
    order = np.argsort(all_cells, kind="stable")
    run = np.cumsum(run_start_mask(all_cells[order]))
    place = place[order] + run * (len(order) + 1)
    newest = np.empty(len(order), np.bool_)
    newest[order] = place >= np.maximum.accumulate(place)
    return newest[many:]


def _ranks(at: IntColumn, boot: IntColumn, seq: IntColumn) -> IntColumn:
    """The place of each in the order of time, boot and seq; the same for equal ones."""
    order = np.lexsort((seq, boot, at))
    differs = np.zeros(len(order), np.int64)
    for column in (at, boot, seq):
        differs[1:] |= column[order[1:]] != column[order[:-1]]
    rank = np.empty(len(order), np.int64)
    rank[order] = np.cumsum(differs)
    return rank

"""Runs: consecutive rows with the same slot number, and operations within each run."""

from typing import Any

import numpy as np

from edge_gateway.columns.frame import BoolColumn, FloatColumn, IntColumn


def expand_runs(starts: IntColumn, counts: IntColumn) -> tuple[IntColumn, IntColumn]:
    """Flatten the ranges starts[i] … starts[i] + counts[i] − 1: (i, member) of every member, in order."""
    owner = np.repeat(np.arange(len(counts)), counts)
    first = np.cumsum(counts) - counts
    return owner, np.arange(len(owner)) + (starts - first)[owner]


def run_start_mask(slot: IntColumn) -> BoolColumn:
    """Which rows begin a run."""
    first = np.empty(len(slot), np.bool_)
    first[:1] = True
    np.not_equal(slot[1:], slot[:-1], out=first[1:])
    return first


def run_starts(slot: IntColumn) -> IntColumn:
    """The rows at which runs begin."""
    return np.flatnonzero(run_start_mask(slot))


class Runs:
    """Rows grouped in runs; `slot` is the slot number of each row."""

    def __init__(self, slot: IntColumn) -> None:
        self._is_start = run_start_mask(slot)
        self._start = np.flatnonzero(self._is_start)
        self._single = len(self._start) == len(slot)
        self._lengths = np.diff(self._start, append=len(slot))

    def shifted(self, column: Any, before: Any) -> Any:
        """Each row's predecessor within its run; the row's own `before` at the start of a run."""
        if self._single:
            return before
        moved = np.empty_like(column)
        moved[1:] = column[:-1]
        return np.where(self._is_start, before, moved)

    def running(self, column: IntColumn) -> IntColumn:
        """Running sum within each run. Integers wrap, so differences stay exact."""
        if self._single:
            return column
        total = np.cumsum(column)
        return total - np.repeat((total - column)[self._start], self._lengths)

    def accumulate(
        self, ufunc: np.ufunc, value: FloatColumn, before: FloatColumn, restart: BoolColumn
    ) -> FloatColumn:
        """Running minimum or maximum within each run, starting over where `restart`. One step per row of a run."""
        found = np.where(restart, value, ufunc(before, value))
        if self._single:
            return found
        rank = np.arange(len(value)) - np.repeat(self._start, self._lengths)
        for step in range(1, int(rank.max()) + 1):
            rows = np.flatnonzero(rank == step)
            found[rows] = np.where(restart[rows], value[rows], ufunc(found[rows - 1], value[rows]))
        return found

"""Runs: rows with something equal that stand together, and runs of different lengths as flat columns."""

from typing import Any

import numpy as np

from edge_gateway.columns.frame import BoolColumn, FloatColumn, IntColumn


def expand(starts: IntColumn, counts: IntColumn) -> tuple[IntColumn, IntColumn]:
    """For runs `starts[i] … starts[i] + counts[i] − 1`: (owner i, member) of every member, in order."""
    owner = np.repeat(np.arange(len(counts)), counts)
    first = np.cumsum(counts) - counts
    return owner, np.arange(len(owner)) + (starts - first)[owner]


def opens(slot: IntColumn) -> BoolColumn:
    """Which rows begin a run of equal slots."""
    first = np.empty(len(slot), np.bool_)
    first[:1] = True
    np.not_equal(slot[1:], slot[:-1], out=first[1:])
    return first


def starts(slot: IntColumn) -> IntColumn:
    """Where runs of equal slots begin."""
    return np.flatnonzero(opens(slot))


class Runs:
    """Rows in runs of equal slots."""

    def __init__(self, slot: IntColumn) -> None:
        self._first = opens(slot)
        self._start = np.flatnonzero(self._first)
        self._single = len(self._start) == len(slot)
        self._lengths = np.diff(self._start, append=len(slot))

    def shifted(self, column: Any, before: Any) -> Any:
        """The row before within the run; at its start what was before."""
        if self._single:
            return before
        moved = np.empty_like(column)
        moved[1:] = column[:-1]
        return np.where(self._first, before, moved)

    def running(self, column: IntColumn) -> IntColumn:
        """Running sum within each run; integers wrap, so differences stay right."""
        if self._single:
            return column
        total = np.cumsum(column)
        return total - np.repeat((total - column)[self._start], self._lengths)

    def accumulate(
        self, ufunc: np.ufunc, value: FloatColumn, before: FloatColumn, anew: BoolColumn
    ) -> FloatColumn:
        """Running extreme within each run, beginning anew where said; runs are AT_ONCE rows at most."""
        found = np.where(anew, value, ufunc(before, value))
        if self._single:
            return found
        rank = np.arange(len(value)) - np.repeat(self._start, self._lengths)
        for step in range(1, int(rank.max()) + 1):
            rows = np.flatnonzero(rank == step)
            found[rows] = np.where(anew[rows], value[rows], ufunc(found[rows - 1], value[rows]))
        return found

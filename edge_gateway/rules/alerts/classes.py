"""Classes of devices that have the same rules under the same overrides, and the order of their latches.

class ─▶ latches in order of (column, sign, threshold)
          └▶ segments: the latches of one (column, sign); those beyond a value are a prefix of it
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edge_gateway.columns.growing import with_room
from edge_gateway.rules.columns.program import ABSENT
from edge_gateway.rules.columns.runs import expand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_gateway.columns.frame import FloatColumn, IntColumn
    from edge_gateway.rules.columns.program import Program
    from edge_gateway.rules.language.selection import Choice

NO_CLASS: Final = 0
"""The class of devices without a rule."""


class Classes:
    """What devices share.

    By class: `start` and `size` of its latches, `segment` and `segments`, `absence` and `absences`. By place:
    `latch`, and `alert`, the place of the first latch of the same alert, counted within the class.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._number: dict[tuple[Choice, ...], int] = {(): NO_CLASS}
        self.choices: list[tuple[Choice, ...]] = [()]
        self.start = np.zeros(1, np.int64)
        self.size = np.zeros(1, np.int64)
        self.segment = np.zeros(1, np.int64)
        self.segments = np.zeros(1, np.int64)
        self._places: dict[int, dict[tuple[int, int], int]] = {}
        self._rings: dict[int, tuple[int, ...]] = {}
        self._latches = 0
        self.latch: IntColumn = np.zeros(0, np.int64)
        self.alert: IntColumn = np.zeros(0, np.int64)
        self._keys: NDArray[np.complex128] = np.zeros(0, np.complex128)
        self.absence = np.zeros(1, np.int64)
        self.absences = np.zeros(1, np.int64)
        self.absence_place: IntColumn = np.zeros(0, np.int64)
        self._segments = 0
        self.segment_column: IntColumn = np.zeros(0, np.int64)
        self.segment_start: IntColumn = np.zeros(0, np.int64)
        self.segment_sign: FloatColumn = np.zeros(0)
        self.segment_least: FloatColumn = np.zeros(0)

    def numbers(self, choices: Sequence[tuple[Choice, ...]]) -> IntColumn:
        """The class of each list of choices; new ones are added together."""
        new = [each for each in dict.fromkeys(choices) if each not in self._number]
        if new:
            for each in new:
                self._number[each] = len(self.choices)
                self.choices.append(each)
            self._add(new)
        return np.array([self._number[each] for each in choices], np.int64)

    def _add(self, new: list[tuple[Choice, ...]]) -> None:
        variants = [[self._program.variant(choice) for choice in choices] for choices in new]
        sizes = np.array([sum(map(len, each)) for each in variants], np.int64)
        latch = np.array([latch for each in variants for run in each for latch in run], np.int64)
        table = self._program.table
        owner = np.repeat(np.arange(len(new)), sizes)
        order = np.lexsort((table.threshold[latch], table.sign[latch], table.column[latch], owner))
        latch = latch[order]
        self._add_latches(latch, owner, sizes)
        self._add_segments(latch, owner, len(new))

    def _add_latches(self, latch: IntColumn, owner: IntColumn, sizes: IntColumn) -> None:
        first = self._latches
        starts = first + np.cumsum(sizes) - sizes
        self.start, self.size = np.concatenate([self.start, starts]), np.concatenate([self.size, sizes])
        place = np.arange(len(latch)) - (starts - first)[owner]
        rule = self._program.table.rule[latch]
        alert = _first_of_equal(owner * len(self._program.rules) + rule, place)
        self._latches += len(latch)
        self.latch = with_room(self.latch, self._latches, 0)
        self.alert = with_room(self.alert, self._latches, 0)
        self.latch[first : self._latches], self.alert[first : self._latches] = latch, alert
        absent = np.flatnonzero(self._program.table.key[latch] == ABSENT)
        counts = np.bincount(owner[absent], minlength=len(sizes))
        self.absence = np.concatenate([self.absence, len(self.absence_place) + np.cumsum(counts) - counts])
        self.absences = np.concatenate([self.absences, counts])
        self.absence_place = np.concatenate([self.absence_place, place[absent]])

    def _add_segments(self, latch: IntColumn, owner: IntColumn, classes: int) -> None:
        table, first = self._program.table, self._latches - len(latch)
        column, sign, threshold = table.column[latch], table.sign[latch], table.threshold[latch]
        opens = np.ones(len(latch), np.bool_)
        opens[1:] = (owner[1:] != owner[:-1]) | (column[1:] != column[:-1]) | (sign[1:] != sign[:-1])
        start = np.flatnonzero(opens)
        counts = np.bincount(owner[start], minlength=classes)
        before, self._segments = self._segments, self._segments + len(start)
        self.segment = np.concatenate([self.segment, before + np.cumsum(counts) - counts])
        self.segments = np.concatenate([self.segments, counts])
        for name, added in (
            ("segment_column", column[start]),
            ("segment_start", first + start),
            ("segment_sign", sign[start]),
            ("segment_least", threshold[start]),
        ):
            room = with_room(getattr(self, name), self._segments, 0)
            room[before : self._segments] = added
            setattr(self, name, room)
        self._keys = with_room(self._keys, self._latches, np.inf)
        keys = self._keys[first : self._latches]
        keys.real, keys.imag = before + np.cumsum(opens) - 1, threshold

    def beyond(self, segment: IntColumn, value: FloatColumn) -> IntColumn:
        """How many latches of each segment have a threshold below the value; they come first in it."""
        wanted = np.empty(len(segment), np.complex128)
        wanted.real, wanted.imag = segment, value
        found: IntColumn = np.searchsorted(self._keys[: self._latches], wanted) - self.segment_start[segment]
        return found

    def places(self, of: int) -> dict[tuple[int, int], int]:
        """(rule, key) of every latch of a class, to its place within the class."""
        if of not in self._places:
            self._places[of] = self._placed(of)
        return self._places[of]

    def _placed(self, of: int) -> dict[tuple[int, int], int]:
        start, size = int(self.start[of]), int(self.size[of])
        latches = self._program.latches
        numbers = self.latch[start : start + size].tolist()
        return {(latches[n].rule, latches[n].key): place for place, n in enumerate(numbers)}

    def rings(self, of: int) -> tuple[int, ...]:
        """The rings that a class reads."""
        if of not in self._rings:
            self._rings[of] = self._program.rings_of(self.choices[of])
        return self._rings[of]

    def segments_of(self, classes: IntColumn) -> tuple[IntColumn, IntColumn]:
        """(row, segment) for rows of devices of these classes."""
        return expand(self.segment[classes], self.segments[classes])


def _first_of_equal(key: IntColumn, place: IntColumn) -> IntColumn:
    """For each item the place of the first one with an equal key."""
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    return place[first][inverse.ravel()]

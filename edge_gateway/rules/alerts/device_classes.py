"""Classes of devices that have the same rules under the same overrides, and the order of their latches.

class ─▶ latches in order of (column, sign, threshold)
          └▶ segments: the latches of one (column, sign); the latches beyond a value are its prefix
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edge_gateway.columns.growing import with_room
from edge_gateway.rules.columns.program import ABSENT
from edge_gateway.rules.columns.runs import expand_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_gateway.columns.frame import FloatColumn, IntColumn
    from edge_gateway.rules.columns.program import Program
    from edge_gateway.rules.language.matching import Variant

NO_CLASS: Final = 0
"""The class of devices without rules."""


class DeviceClasses:
    """The classes and their latches, in columns.

    By class: `start` and `size` of its latches; `segment` and `segments`, its first segment and their number;
    `absence` and `absences`, likewise of its absence latches. By place (`start` + place within the class): `latch`,
    and `alert`, the place within the class of the first latch of the same alert.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._number: dict[tuple[Variant, ...], int] = {(): NO_CLASS}
        self.variants: list[tuple[Variant, ...]] = [()]
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

    def numbers(self, variants: Sequence[tuple[Variant, ...]]) -> IntColumn:
        """The class of each tuple of variants; new classes are added in one go."""
        new = [each for each in dict.fromkeys(variants) if each not in self._number]
        if new:
            for each in new:
                self._number[each] = len(self.variants)
                self.variants.append(each)
            self._add(new)
        return np.array([self._number[each] for each in variants], np.int64)

    def _add(self, new: list[tuple[Variant, ...]]) -> None:
        latches = [[self._program.latches_of(variant) for variant in variants] for variants in new]
        sizes = np.array([sum(map(len, each)) for each in latches], np.int64)
        latch = np.array([latch for each in latches for own in each for latch in own], np.int64)
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
        begins = np.ones(len(latch), np.bool_)
        begins[1:] = (owner[1:] != owner[:-1]) | (column[1:] != column[:-1]) | (sign[1:] != sign[:-1])
        start = np.flatnonzero(begins)
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
        keys.real, keys.imag = before + np.cumsum(begins) - 1, threshold

    def beyond(self, segment: IntColumn, value: FloatColumn) -> IntColumn:
        """How many latches of each segment have a threshold below the value: its first so many."""
        wanted = np.empty(len(segment), np.complex128)
        wanted.real, wanted.imag = segment, value
        found: IntColumn = np.searchsorted(self._keys[: self._latches], wanted) - self.segment_start[segment]
        return found

    def places(self, of: int) -> dict[tuple[int, int], int]:
        """(rule, key) of every latch of a class: its place within the class."""
        if of not in self._places:
            self._places[of] = self._placed(of)
        return self._places[of]

    def _placed(self, of: int) -> dict[tuple[int, int], int]:
        start, size = int(self.start[of]), int(self.size[of])
        latches = self._program.latches
        numbers = self.latch[start : start + size].tolist()
        return {(latches[n].rule, latches[n].key): place for place, n in enumerate(numbers)}

    def rule_classes(self) -> tuple[IntColumn, IntColumn]:
        """(rule, class) for every rule that has a latch in a class, by rule and then by class."""
        classes = len(self.size)
        owner = np.repeat(np.arange(classes), self.size)
        pairs = np.unique(self._program.table.rule[self.latch[: self._latches]] * classes + owner)
        return pairs // classes, pairs % classes

    def rings(self, of: int) -> tuple[int, ...]:
        """The range histories that the rules of a class read."""
        if of not in self._rings:
            self._rings[of] = self._program.rings_of(self.variants[of])
        return self._rings[of]

    def segments_of(self, classes: IntColumn) -> tuple[IntColumn, IntColumn]:
        """(row, segment) for every segment of each row's class."""
        return expand_runs(self.segment[classes], self.segments[classes])


def _first_of_equal(key: IntColumn, place: IntColumn) -> IntColumn:
    """For each item the place of the first item with the same key."""
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    return place[first][inverse.ravel()]

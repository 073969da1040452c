"""A frame as the rules read it: rows by device in order of arrival, one column a metric, late rows apart.

A row is taken when it is not older than the newest row of its device (the device's cursor). Of rows with one
time, each metric counts once. A metric that holds numbers and one that holds texts are two inputs; the
values of the latter are the texts' codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edge_gateway.fleet.columns import with_room
from edge_gateway.rules.runs import opens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_gateway.frame import BoolColumn, FloatColumn, Frame, IntColumn
    from edge_gateway.rules.registry_view import RegistryView

Input = tuple[str, bool]
"""Name of a metric and whether it holds texts."""

_TIME_BITS: Final = 43
"""Times up to the year 2248 fit beside a device's place in the batch."""


@dataclass(slots=True)
class Rows:
    """`x[place[input]]` is the column of an input; `x[0]`, all NaN, stands for inputs without a value.

    `source` is each row's number in the frame. `start` is where each row's device begins, `several` whether
    any device has more than one row.
    """

    source: IntColumn
    device: IntColumn
    at: IntColumn
    start: IntColumn
    several: bool
    x: FloatColumn
    place: IntColumn

    def column(self, number: int) -> FloatColumn:
        found: FloatColumn = self.x[self.place[number]]
        return found

    def add(self, number: int, column: FloatColumn) -> None:
        """A further input, computed from the others; it had no value so far on these rows."""
        if self.place[number]:
            own = self.x[self.place[number]]
            self.x[self.place[number]] = np.where(np.isnan(own), column, own)
        else:
            self.place[number] = len(self.x)
            self.x = np.concatenate([self.x, column[None, :]])

    def brings(self, numbers: tuple[int, ...], rows: IntColumn) -> BoolColumn:
        """Which of these rows have a value of any of the inputs."""
        here: BoolColumn = ~np.isnan(self.x[self.place[list(numbers)]][:, rows])
        return np.bitwise_or.reduce(here, axis=0)  # type: ignore[no-any-return]


class Inputs:
    """Cursors of the devices, and the last value of every input with its time."""

    def __init__(self, wanted: Sequence[Input], registry: RegistryView, lookback_ms: int) -> None:
        self.wanted = tuple(wanted)
        self._registry = registry
        self._lookback_ms = lookback_ms
        self._number_of = np.full(0, -1, np.int64)
        self._text_of = np.full(0, -1, np.int64)
        for number, (name, is_text) in enumerate(self.wanted):
            self._learn(registry.metric(name), number, is_text=is_text)
        self._any_texts = any(is_text for _, is_text in self.wanted)
        self.cursor = np.zeros(0, np.int64)
        self.first_seen = np.zeros(0, np.int64)
        self.last = np.zeros((0, len(self.wanted)))
        self.last_at = np.zeros((0, len(self.wanted)), np.int64)

    def _learn(self, metric: int, number: int, *, is_text: bool) -> None:
        self._number_of = with_room(self._number_of, metric + 1, -1)
        self._text_of = with_room(self._text_of, metric + 1, -1)
        (self._text_of if is_text else self._number_of)[metric] = number

    def make_room(self, devices: int) -> None:
        """Room for devices up to this count."""
        have = len(self.cursor)
        if devices <= have:
            return
        size = max(devices, 2 * have, 64)
        self.cursor = with_room(self.cursor, size, 0)
        self.first_seen = with_room(self.first_seen, size, 0)
        self.last = np.concatenate([self.last, np.full((size - have, len(self.wanted)), np.nan)])
        self.last_at = np.concatenate([self.last_at, np.zeros((size - have, len(self.wanted)), np.int64)])

    # --- a frame in

    def rows_of(self, frame: Frame) -> Rows:
        """The rows that may advance state, with the inputs they bring. Nothing is remembered yet."""
        order = np.argsort(frame.device, kind="stable")
        device, at = frame.device[order], frame.ts[order]
        first = opens(device)
        before = self._newest_before(device, at, first)
        in_order = at >= before
        again = bool((at == before).any())
        if not in_order.all():
            kept = np.flatnonzero(in_order)
            order, device, at = order[kept], device[kept], at[kept]
            first = opens(device)
        several = not first.all()
        start = _starts(first) if several else np.arange(len(device))
        x, place = self._columns(frame, order, device, at, again=again)
        return Rows(order, device, at, start, several, x, place)

    def late_rows(self, frame: Frame, taken: Rows) -> Rows:
        """The rows that were too old to be taken, each on its own."""
        is_late = np.ones(frame.rows, np.bool_)
        is_late[taken.source] = False
        order = np.flatnonzero(is_late)
        device, at = frame.device[order], frame.ts[order]
        x, place = self._columns(frame, order, device, at, again=False)
        return Rows(order, device, at, np.arange(len(order)), False, x, place)

    def _newest_before(self, device: IntColumn, at: IntColumn, first: BoolColumn) -> IntColumn:
        """For each row the newest time of its device before it."""
        cursor = self.cursor[device]
        if first.all():
            return cursor
        offset = np.cumsum(first) << _TIME_BITS
        newest = np.maximum.accumulate(offset + np.maximum(at, cursor)) - offset
        before = np.empty_like(newest)
        before[1:] = newest[:-1]
        return np.where(first, cursor, before)

    def _columns(
        self, frame: Frame, order: IntColumn, device: IntColumn, at: IntColumn, *, again: bool
    ) -> tuple[FloatColumn, IntColumn]:
        row, number, value = self._values(frame, order)
        if again:
            fresh = self._fresh(device[row], number, at[row])
            row, number, value = row[fresh], number[fresh], value[fresh]
        present = np.flatnonzero(np.bincount(number, minlength=len(self.wanted)))
        place = np.zeros(len(self.wanted), np.int64)
        place[present] = np.arange(1, len(present) + 1)
        x = np.full((len(present) + 1, len(order)), np.nan)
        x[place[number], row] = value
        return x, place

    def _values(self, frame: Frame, order: IntColumn) -> tuple[IntColumn, IntColumn, FloatColumn]:
        """(row, input, value) of every wanted value of the kept rows."""
        row_of = np.full(frame.rows, -1)
        row_of[order] = np.arange(len(order))
        metric_of = self._registry.series_metric
        found = [_chosen(self._number_of, metric_of[frame.series], row_of[frame.row], frame.value)]
        if self._any_texts and len(frame.state_row):
            codes = frame.state_code.astype(np.float64)
            found.append(
                _chosen(self._text_of, metric_of[frame.state_series], row_of[frame.state_row], codes)
            )
        if len(found) == 1:
            return found[0]
        return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))  # type: ignore[return-value]

    def _fresh(self, device: IntColumn, number: IntColumn, at: IntColumn) -> IntColumn:
        """Which values are the first of their input at their time, in order."""
        cell = device * len(self.wanted) + number
        unseen = self.last_at.ravel()[cell] != at
        order = np.lexsort((at, cell))
        same = (cell[order][1:] == cell[order][:-1]) & (at[order][1:] == at[order][:-1])
        unseen[order[1:][same]] = False
        return np.flatnonzero(unseen)

    # --- joins

    def joined(self, rows: Rows, number: int) -> FloatColumn:
        """The input at every row: its own value, else the device's last one unless older than the lookback."""
        column = rows.column(number)
        here = ~np.isnan(column)
        if here.all():
            return column
        source = np.maximum.accumulate(np.where(here, np.arange(len(column)), -1))
        inside = source >= rows.start
        value = np.where(inside, column[source], self.last[rows.device, number])
        at = np.where(inside, rows.at[source], self.last_at[rows.device, number])
        return np.where((at > 0) & (rows.at - at <= self._lookback_ms), value, np.nan)

    # --- remembering

    def greet(self, rows: Rows) -> None:
        """Note when devices were first seen; call once a frame, before it is read."""
        unseen = np.flatnonzero(self.first_seen[rows.device] == 0)[::-1]
        self.first_seen[rows.device[unseen]] = rows.at[unseen]

    def remember(self, rows: Rows) -> None:
        """Move the cursors and keep the last values; call once a frame, after all was read."""
        self.cursor[rows.device] = rows.at
        present = np.flatnonzero(rows.place)
        columns = rows.x[rows.place[present]]
        place, row = np.nonzero(~np.isnan(columns))
        cell = rows.device[row] * len(self.wanted) + present[place]
        self.last.ravel()[cell] = columns[place, row]
        self.last_at.ravel()[cell] = rows.at[row]

    def forget(self, devices: IntColumn) -> None:
        """Begin anew for devices whose clock stepped back."""
        devices = devices[devices < len(self.cursor)]
        self.cursor[devices] = 0
        self.first_seen[devices] = 0
        self.last_at[devices] = 0

    def take_over(self, old: Inputs) -> None:
        """Cursors and last values of another set of inputs, where they name the same metrics."""
        self.make_room(len(old.cursor))
        size = len(old.cursor)
        self.cursor[:size], self.first_seen[:size] = old.cursor, old.first_seen
        for number, wanted in enumerate(self.wanted):
            if wanted in old.wanted:
                source = old.wanted.index(wanted)
                self.last[:size, number] = old.last[:, source]
                self.last_at[:size, number] = old.last_at[:, source]

    # --- state

    def snapshot(self, devices: int) -> dict[str, Any]:
        return {
            "wanted": [list(each) for each in self.wanted],
            "cursor": self.cursor[:devices].copy(),
            "first_seen": self.first_seen[:devices].copy(),
            "last": self.last[:devices].copy(),
            "last_at": self.last_at[:devices].copy(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        devices = len(state["cursor"])
        self.make_room(devices)
        for name in ("cursor", "first_seen", "last", "last_at"):
            getattr(self, name)[:devices] = state[name]


def _starts(first: BoolColumn) -> IntColumn:
    found: IntColumn = np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))
    return found


def _chosen(
    input_of: IntColumn, metric: IntColumn, row: IntColumn, value: FloatColumn
) -> tuple[IntColumn, IntColumn, FloatColumn]:
    known = metric < len(input_of)
    number = input_of[np.where(known, metric, 0)] if len(input_of) else np.full(len(metric), -1)
    kept = known & (number >= 0) & (row >= 0)
    if kept.all():
        return row, number, value
    chosen = np.flatnonzero(kept)
    return row[chosen], number[chosen], value[chosen]

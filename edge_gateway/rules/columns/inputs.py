"""A frame as rules read it: rows by device in order of arrival, one column per input, late rows set aside.

A row advances state if it is not older than the newest row of its device (the device's cursor). Rows of one time are
applied one after another. A metric read as number and as text is two inputs; the values of the latter are string codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from edge_gateway.columns.growing import room_for, with_room
from edge_gateway.rules.columns.runs import run_start_mask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_gateway.columns.frame import BoolColumn, FloatColumn, Frame, IntColumn
    from edge_gateway.rules.columns.registry_view import RegistryView

Input = tuple[str, bool]
"""(metric name, whether it is read as text)."""

_TIME_BITS: Final = 43
"""Times up to the year 2248 fit; the bits above hold the position of the device in the frame."""


class InputValues(NamedTuple):
    """Values of inputs, one entry each: row, number of the input, value; in order of arrival."""

    row: IntColumn
    number: IntColumn
    value: FloatColumn

    def only(self, entries: IntColumn) -> InputValues:
        return InputValues(self.row[entries], self.number[entries], self.value[entries])

    def then(self, more: InputValues) -> InputValues:
        row, number = np.concatenate([self.row, more.row]), np.concatenate([self.number, more.number])
        return InputValues(row, number, np.concatenate([self.value, more.value]))


@dataclass(slots=True)
class Rows:
    """Rows by device, and their values by input.

    `source`: the row in the frame. `start`: the first row of the same device. `several`: whether any device has more
    than one row. `x[place[input]]` is the column of an input; `x[0]`, all NaN, that of inputs without a value.
    """

    source: IntColumn
    device: IntColumn
    at: IntColumn
    start: IntColumn
    several: bool
    values: InputValues
    x: FloatColumn
    place: IntColumn

    def column(self, number: int) -> FloatColumn:
        found: FloatColumn = self.x[self.place[number]]
        return found

    def add(self, number: int, rows: IntColumn, values: FloatColumn) -> None:
        """Add values of an input that was computed, for rows that had none."""
        if not self.place[number]:
            self.place[number] = len(self.x)
            self.x = np.concatenate([self.x, np.full((1, len(self.device)), np.nan)])
        self.x[self.place[number], rows] = values
        added = InputValues(rows, np.full(len(rows), number), values)
        self.values = self.values.then(added)

    def has_any(self, numbers: tuple[int, ...], rows: IntColumn) -> BoolColumn:
        """Which of the rows have a value of any of the inputs."""
        here: BoolColumn = ~np.isnan(self.x[self.place[list(numbers)]][:, rows])
        return np.bitwise_or.reduce(here, axis=0)  # type: ignore[no-any-return]


class Inputs:
    """By device: the cursor, when it was first seen, and the last value of every input with its time (ms)."""

    def __init__(self, wanted: Sequence[Input], registry: RegistryView, lookback_ms: int) -> None:
        self.wanted = tuple(wanted)
        self._registry = registry
        self._lookback_ms = lookback_ms
        self._number_of = np.full(0, -1, np.int64)
        self._text_of = np.full(0, -1, np.int64)
        for number, (name, is_text) in enumerate(self.wanted):
            self._learn(registry.metric(name), number, is_text=is_text)
        self._number_of_series = np.full(0, -1, np.int64)
        self._text_of_series = np.full(0, -1, np.int64)
        self._epoch = registry.series_epoch
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
        """Make room for so many devices."""
        have = len(self.cursor)
        if devices <= have:
            return
        size = room_for(devices, have)
        self.cursor = with_room(self.cursor, size, 0)
        self.first_seen = with_room(self.first_seen, size, 0)
        self.last = np.concatenate([self.last, np.full((size - have, len(self.wanted)), np.nan)])
        self.last_at = np.concatenate([self.last_at, np.zeros((size - have, len(self.wanted)), np.int64)])

    # --- reading a frame

    def rows_of(self, frame: Frame) -> Rows:
        """The rows that advance state, with their values. Changes nothing."""
        order = np.argsort(frame.device, kind="stable")
        device, at = frame.device[order], frame.at[order]
        first = run_start_mask(device)
        in_order = at >= self._newest_time_before(device, at, first)
        if not in_order.all():
            kept = np.flatnonzero(in_order)
            order, device, at = order[kept], device[kept], at[kept]
            first = run_start_mask(device)
        several = not first.all()
        start = _starts(first) if several else np.arange(len(device))
        values, x, place = self._columns(frame, order)
        return Rows(order, device, at, start, several, values, x, place)

    def late_rows(self, frame: Frame, taken: Rows) -> Rows:
        """The rows that `rows_of` left out as too old, each on its own."""
        is_late = np.ones(frame.rows, np.bool_)
        is_late[taken.source] = False
        order = np.flatnonzero(is_late)
        device, at = frame.device[order], frame.ts[order]
        values, x, place = self._columns(frame, order)
        return Rows(order, device, at, np.arange(len(order)), False, values, x, place)

    def _newest_time_before(self, device: IntColumn, at: IntColumn, first: BoolColumn) -> IntColumn:
        """For each row the newest time of its device so far."""
        cursor = self.cursor[device]
        if first.all():
            return cursor
        offset = np.cumsum(first) << _TIME_BITS
        newest = np.maximum.accumulate(offset + np.maximum(at, cursor)) - offset
        before = np.empty_like(newest)
        before[1:] = newest[:-1]
        return np.where(first, cursor, before)

    def _columns(self, frame: Frame, order: IntColumn) -> tuple[InputValues, FloatColumn, IntColumn]:
        values = self._values(frame, order)
        present = np.flatnonzero(np.bincount(values.number, minlength=len(self.wanted)))
        place = np.zeros(len(self.wanted), np.int64)
        place[present] = np.arange(1, len(present) + 1)
        x = np.full((len(present) + 1, len(order)), np.nan)
        x.ravel()[place[values.number] * len(order) + values.row] = values.value
        return values, x, place

    def _values(self, frame: Frame, order: IntColumn) -> InputValues:
        """The values of wanted inputs in the kept rows."""
        self._learn_series()
        row_of = np.full(frame.rows, -1)
        row_of[order] = np.arange(len(order))
        found = _wanted(row_of[frame.row], self._number_of_series[frame.series], frame.value)
        if not self._any_texts or not len(frame.state_row):
            return found
        codes = frame.state_code.astype(np.float64)
        texts = _wanted(row_of[frame.state_row], self._text_of_series[frame.state_series], codes)
        return found.then(texts)

    def _learn_series(self) -> None:
        """Look up the inputs of new series; of all series if numbers were given to others."""
        if self._epoch != self._registry.series_epoch:
            self._epoch = self._registry.series_epoch
            self._number_of_series = self._text_of_series = np.full(0, -1, np.int64)
        have = len(self._number_of_series)
        metric = self._registry.series_metric[have:]
        if len(metric):
            highest = int(metric.max()) + 1
            self._number_of = with_room(self._number_of, highest, -1)
            self._text_of = with_room(self._text_of, highest, -1)
            self._number_of_series = np.concatenate([self._number_of_series, self._number_of[metric]])
            self._text_of_series = np.concatenate([self._text_of_series, self._text_of[metric]])

    # --- joins

    def joined(self, rows: Rows, number: int) -> FloatColumn:
        """The input at every row: the row's value, else the device's last one if not older than the lookback."""
        column = rows.column(number)
        here = ~np.isnan(column)
        if here.all():
            return column
        source = np.maximum.accumulate(np.where(here, np.arange(len(column)), -1))
        inside = source >= rows.start
        value = np.where(inside, column[source], self.last[rows.device, number])
        at = np.where(inside, rows.at[source], self.last_at[rows.device, number])
        return np.where((at > 0) & (rows.at - at <= self._lookback_ms), value, np.nan)

    # --- remembering a frame

    def note_first_seen(self, rows: Rows) -> None:
        """Store when devices were first seen; call once per frame, before it is evaluated."""
        unseen = np.flatnonzero(self.first_seen[rows.device] == 0)[::-1]
        self.first_seen[rows.device[unseen]] = rows.at[unseen]

    def remember(self, rows: Rows) -> None:
        """Advance the cursors and store the last values; call once per frame, after it was evaluated."""
        self.cursor[rows.device] = rows.at
        row, number, value = rows.values
        cell = rows.device[row] * len(self.wanted) + number
        self.last.ravel()[cell] = value
        self.last_at.ravel()[cell] = rows.at[row]

    def forget(self, devices: IntColumn) -> None:
        """Forget what these retired devices sent."""
        devices = devices[devices < len(self.cursor)]
        self.cursor[devices] = 0
        self.first_seen[devices] = 0
        self.last_at[devices] = 0

    def shift(self, devices: IntColumn, by: IntColumn) -> None:
        """Follow clocks that were set by so many ms: all times keep their distance from now, any next time is in order.

        The inputs must have room for the devices.
        """
        self.cursor[devices] = 0
        self.first_seen[devices] = shifted(self.first_seen[devices], by)
        self.last_at[devices] = shifted(self.last_at[devices], by[:, None])

    def texts(self) -> set[int]:
        """Codes of the last texts of all devices."""
        found: set[int] = set()
        for number, (_, is_text) in enumerate(self.wanted):
            if is_text:
                found.update(self.last[self.last_at[:, number] > 0, number].astype(np.int64).tolist())
        return found

    def take_over(self, old: Inputs) -> None:
        """Take over the cursors, and the last values of the inputs that both sets have."""
        self.make_room(len(old.cursor))
        size = len(old.cursor)
        self.cursor[:size], self.first_seen[:size] = old.cursor, old.first_seen
        for number, wanted in enumerate(self.wanted):
            if wanted in old.wanted:
                source = old.wanted.index(wanted)
                self.last[:size, number] = old.last[:, source]
                self.last_at[:size, number] = old.last_at[:, source]

    # --- snapshots

    def snapshot(self, devices: int) -> dict[str, Any]:
        return {
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


def shifted(times: IntColumn, by: IntColumn) -> IntColumn:
    """Times (ms, 0 for none) moved by so many ms; one stays a time, however far it is moved."""
    return np.where(times > 0, np.maximum(times + by, 1), 0)


def _starts(first: BoolColumn) -> IntColumn:
    found: IntColumn = np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))
    return found


def _wanted(row: IntColumn, number: IntColumn, value: FloatColumn) -> InputValues:
    """The values of kept rows and wanted inputs, both marked by numbers ≥ 0."""
    kept, every = (number >= 0) & (row >= 0), InputValues(row, number, value)
    return every if kept.all() else every.only(np.flatnonzero(kept))

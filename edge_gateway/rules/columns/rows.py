"""A frame as rules read it: rows by device in order of arrival, and one column of values for each input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from edge_gateway.columns.frame import BoolColumn, FloatColumn, IntColumn
    from edge_gateway.rules.columns.lateness import TimesRead


class InputValues(NamedTuple):
    """Values of inputs, one entry each: row, number of the input, value; in order of arrival."""

    row: IntColumn
    number: IntColumn
    value: FloatColumn

    def only(self, entries: IntColumn | BoolColumn) -> InputValues:
        return InputValues(self.row[entries], self.number[entries], self.value[entries])

    def then(self, more: InputValues) -> InputValues:
        row, number = np.concatenate([self.row, more.row]), np.concatenate([self.number, more.number])
        return InputValues(row, number, np.concatenate([self.value, more.value]))


@dataclass(slots=True)
class Rows:
    """Rows by device, and their values by input.

    Attributes:
        source: the row in the frame.
        device: its device.
        boot: the boot that sent it.
        stamps: when it was taken.
        now: the newest time of its device by then, ms; `in_order` if that is each row's own.
        start: the first row of the same device.
        several: whether any device has more than one row.
        values: the values that are the newest of their input.
        late: values that are not, and only correct value history.
        x: what rules act on, by column: `x[place[input]]` is that of an input; `x[0]`, all NaN, that of inputs without
            a value. A value older than the lookback is unknown at once.
        place: see `x`.
    """

    source: IntColumn
    device: IntColumn
    boot: IntColumn
    stamps: TimesRead
    now: IntColumn
    in_order: bool
    start: IntColumn
    several: bool
    values: InputValues
    late: InputValues
    x: FloatColumn
    place: IntColumn

    @property
    def at(self) -> IntColumn:
        """The time of each row, ms."""
        return self.stamps.at

    def column(self, number: int) -> FloatColumn:
        found: FloatColumn = self.x[self.place[number]]
        return found

    def newest(self, number: int) -> FloatColumn:
        """The column of an input with the values that are unknown at once."""
        own = self.values.only(np.flatnonzero(self.values.number == number))
        found = np.full(len(self.device), np.nan)
        found[own.row] = own.value
        return found

    def add(self, number: int, rows: IntColumn, values: FloatColumn) -> None:
        """Add values of an input that was computed, for rows that had none: each the newest of it, and known."""
        every = np.ones(len(rows), np.bool_)
        self.add_some(InputValues(rows, np.full(len(rows), number), values), every, every)

    def add_some(self, computed: InputValues, newest: BoolColumn, known: BoolColumn) -> None:
        """As `add`, of values some of which are late, or not `known`, because they are older than the lookback."""
        for number in np.unique(computed.number[known]).tolist():
            if not self.place[number]:
                self.place[number] = len(self.x)
                self.x = np.concatenate([self.x, np.full((1, len(self.device)), np.nan)])
        self.x[self.place[computed.number[known]], computed.row[known]] = computed.value[known]
        self.values, self.late = (
            self.values.then(computed.only(newest)),
            self.late.then(computed.only(~newest)),
        )

    def taken(self, number: int) -> FloatColumn:
        """The column of an input with all its values, also those that are late or unknown at once."""
        found = np.full(len(self.device), np.nan)
        for values in (self.late, self.values):
            own = values.only(np.flatnonzero(values.number == number))
            found[own.row] = own.value
        return found

    def has_any(self, numbers: tuple[int, ...], rows: IntColumn) -> BoolColumn:
        """Which of the rows have a value of any of the inputs."""
        here: BoolColumn = ~np.isnan(self.x[self.place[list(numbers)]][:, rows])
        return np.bitwise_or.reduce(here, axis=0)  # type: ignore[no-any-return]


def columns_of(values: InputValues, rows: int, inputs: int) -> tuple[FloatColumn, IntColumn]:
    """The columns `x` and `place` of so many rows and inputs."""
    present = np.flatnonzero(np.bincount(values.number, minlength=inputs))
    place = np.zeros(inputs, np.int64)
    place[present] = np.arange(1, len(present) + 1)
    x = np.full((len(present) + 1, rows), np.nan)
    x.ravel()[place[values.number] * rows + values.row] = values.value
    return x, place

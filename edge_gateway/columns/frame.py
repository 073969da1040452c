"""One batch of readings as columns.

A row is a sample, in arrival order: a message's first, then its others. Values and states point at their row. A row
without any good value stays, because its time moves the device's clock.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntColumn = NDArray[np.int64]
FloatColumn = NDArray[np.float64]
BoolColumn = NDArray[np.bool_]
QualityColumn = NDArray[np.uint16]

PERFECT = 1000
"""Quality of an undoubted value, in thousandths."""


@dataclass(slots=True)
class Frame:
    """The accepted samples of one batch.

    Shapes: `device … backlog` have one entry a row; `row, series, value, quality` one a number;
    `state_row, state_series, state_code` one a string or bool.
    """

    arrival: int
    """Wall time of the batch, in ms."""
    device: IntColumn
    boot: IntColumn
    seq: IntColumn
    ts: IntColumn
    """Device time after stamping, in ms."""
    at: IntColumn
    """Time at which rules take the sample, in ms: `ts`, unless the device's clock went back; -1 for never."""
    backlog: BoolColumn
    """Whether the sample was too old at arrival to cause a command or a notice."""
    row: IntColumn
    series: IntColumn
    value: FloatColumn
    quality: QualityColumn
    """In thousandths, up to PERFECT."""
    state_row: IntColumn
    state_series: IntColumn
    state_code: IntColumn
    """Code of the text in the registry's string table; bools are the texts "true" and "false"."""

    @property
    def rows(self) -> int:
        return len(self.device)


def part(frame: Frame, rows: BoolColumn) -> Frame:
    """Return the rows of a frame where `rows` is true, with their values and states."""
    place = np.cumsum(rows) - 1
    numbers, states = rows[frame.row], rows[frame.state_row]
    return Frame(
        arrival=frame.arrival,
        device=frame.device[rows],
        boot=frame.boot[rows],
        seq=frame.seq[rows],
        ts=frame.ts[rows],
        at=frame.at[rows],
        backlog=frame.backlog[rows],
        row=place[frame.row[numbers]],
        series=frame.series[numbers],
        value=frame.value[numbers],
        quality=frame.quality[numbers],
        state_row=place[frame.state_row[states]],
        state_series=frame.state_series[states],
        state_code=frame.state_code[states],
    )

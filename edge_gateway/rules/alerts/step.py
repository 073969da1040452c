"""A frame through the latches: what it wakes, what of that is busy, and where a latch switched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_gateway.rules.alerts.judge import Mark, Verdict, cases_of, read_marks
from edge_gateway.rules.columns.program import NO_COLUMN
from edge_gateway.rules.columns.scan import Carry, Course, Readings, run_latches
from edge_gateway.rules.columns.table import Batch, Table, table_of

if TYPE_CHECKING:
    from edge_gateway.columns.frame import BoolColumn, Frame, IntColumn
    from edge_gateway.rules.alerts.rule_state import RuleState
    from edge_gateway.rules.columns.inputs import Rows


class Pairs(NamedTuple):
    """Busy cells and the rows that may say something to them, sorted by cell and then by arrival.

    `alert` is the first cell of the cell's alert.
    """

    row: IntColumn
    cell: IntColumn
    latch: IntColumn
    alert: IntColumn


class Said(NamedTuple):
    """What the row of each pair says to its latch; a row without the rule's metrics says nothing.

    `carry` is how the latch stood before the frame.
    """

    seen: BoolColumn
    is_up: BoolColumn
    is_down: BoolColumn
    carry: Carry


@dataclass(slots=True)
class Read:
    """A frame that was read: its rows and columns, and what became of alerts, in order of arrival."""

    rows: Rows
    table: Table
    verdicts: list[Verdict]


def read_frame(held: RuleState, frame: Frame, listening_ms: int) -> Read:
    """Take in a frame of at least one row."""
    rows = held.inputs.rows_of(frame)
    held.inputs.greet(rows)
    table = _wake(held, Batch(rows, held.inputs, held.histories))
    pairs = _pairs(held, rows)
    verdicts = _read(held, rows, table, pairs) if len(pairs.row) else []
    _rest(held, rows, pairs)
    held.inputs.remember(rows)
    held.newest.take(rows, frame, listening_ms)
    verdicts.sort(key=lambda verdict: (int(rows.source[verdict.row]), verdict.rule))
    return Read(rows, table, verdicts)


def _wake(held: RuleState, batch: Batch) -> Table:
    """Mark every latch busy that some reading lies beyond."""
    rows, classes = batch.rows, held.cells.classes
    row, segment = classes.segments_of(held.cells.class_of[rows.device])
    column = classes.segment_column[segment]
    table = table_of(batch, held.program.expressions, column, row)
    value = table.values(column, row) * classes.segment_sign[segment]
    high = np.flatnonzero(value > classes.segment_least[segment])
    if len(high):
        held.cells.wake(rows.device[row[high]], segment[high], value[high])
    return table


def _pairs(held: RuleState, rows: Rows) -> Pairs:
    row, cell = held.cells.busy_pairs(rows.device)
    if rows.several:
        order = np.argsort(cell, kind="stable")
        row, cell = row[order], cell[order]
    return Pairs(row, cell, *held.cells.latch_at(cell, rows.device[row]))


def _read(held: RuleState, rows: Rows, table: Table, pairs: Pairs) -> list[Verdict]:
    """Take busy latches through what is said to them; judge the alerts that changed."""
    cells = held.cells
    carry = Carry(cells.on[pairs.cell], cells.up[pairs.cell], cells.down[pairs.cell])
    said = _said(held, rows, table, pairs, carry)
    kept = np.flatnonzero(said.seen)
    if not len(kept):
        return []
    readings = _readings(held, rows, pairs, said, kept)
    course = run_latches(readings, Carry(carry.on[kept], carry.up[kept], carry.down[kept]))
    _write(held, table, pairs, kept, course)
    switched = (course.on != course.was_on) | (((course.up > 0) & ~course.on) != course.was_waiting)
    changed = pairs.alert[kept[switched]]
    if not len(changed):
        return []
    marks = marks_of(held, pairs, changed, said)
    times, device_of = rows.at.tolist(), {mark.alert: int(rows.device[mark.row]) for mark in marks}
    verdicts: list[Verdict] = []
    for case, own in cases_of(marks, device_of, held.program.latches, held.standings):
        read_marks(case, own, times)
        held.keep(case, own[0].alert)
        verdicts += case.verdicts
    return verdicts


def _said(held: RuleState, rows: Rows, table: Table, pairs: Pairs, carry: Carry) -> Said:
    latches, latch = held.program.table, pairs.latch
    seen = table.sees(latches.column[latch], pairs.row)
    if held.program.any_warmup:
        age = rows.at[pairs.row] - held.inputs.first_seen[rows.device[pairs.row]]
        seen = seen & (age >= latches.warmup_ms[latch])
    clear = latches.clear_sign[latch] * table.values(latches.clear_column[latch], pairs.row)
    is_down = seen & (clear <= latches.clear_threshold[latch])
    value = latches.sign[latch] * table.values(latches.column[latch], pairs.row)
    return Said(seen, seen & (value > latches.threshold[latch]) & ~is_down, is_down, carry)


def _readings(held: RuleState, rows: Rows, pairs: Pairs, said: Said, kept: IntColumn) -> Readings:
    latches, latch = held.program.table, pairs.latch[kept]
    others = held.cells.raised[pairs.alert[kept]] - (said.carry.on[kept] & latches.raises[latch])
    return Readings(
        pairs.cell[kept],
        rows.at[pairs.row[kept]],
        said.is_up[kept],
        said.is_down[kept],
        latches.for_ms[latch],
        # only the last level that is on waits for keep_firing_for
        np.where(latches.coupled[latch] & (others > 0), 0, latches.keep_ms[latch]),
    )


def _write(held: RuleState, table: Table, pairs: Pairs, kept: IntColumn, course: Course) -> None:
    cells, last = held.cells, np.flatnonzero(course.last)
    target, row = pairs.cell[kept[last]], pairs.row[kept[last]]
    cells.on[target], cells.up[target], cells.down[target] = (
        course.on[last],
        course.up[last],
        course.down[last],
    )
    shown = held.program.table.value_column[pairs.latch[kept[last]]]
    cells.value[target] = np.where(shown == NO_COLUMN, np.nan, table.values(np.maximum(shown, 0), row))


def marks_of(held: RuleState, pairs: Pairs, changed: IntColumn, said: Said) -> list[Mark]:
    """All that was said to the changed alerts, by alert and then by arrival."""
    marked = held.cells.marked
    marked[changed] = True
    found = np.flatnonzero(marked[pairs.alert])
    marked[changed] = False
    found = found[np.lexsort((pairs.cell[found], pairs.row[found], pairs.alert[found]))]
    heard = (said.seen, said.is_up, said.is_down, *said.carry)
    columns = (pairs.alert, pairs.row, pairs.cell, pairs.latch, *heard)
    return [Mark(*items) for items in zip(*(column[found].tolist() for column in columns), strict=True)]


def _rest(held: RuleState, rows: Rows, pairs: Pairs) -> None:
    """Latches that came to rest are no longer busy, nor are devices without a busy latch."""
    cells = held.cells
    cells.busy[pairs.cell] = cells.on[pairs.cell] | (cells.up[pairs.cell] > 0)
    cells.device_busy[rows.device] = False
    cells.device_busy[rows.device[pairs.row[cells.busy[pairs.cell]]]] = True

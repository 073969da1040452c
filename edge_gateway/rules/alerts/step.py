"""One frame through the rules: mark latches busy, scan the busy ones, step the alerts whose latches switched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_gateway.rules.alerts.single_alert import AlertEvent, LatchReading, apply_readings, single_alerts
from edge_gateway.rules.columns.frame_columns import ColumnTable, FrameColumns, column_table
from edge_gateway.rules.columns.latch_scan import Carry, Course, LatchInputs, scan_latches
from edge_gateway.rules.columns.program import ABSENT, NO_COLUMN
from edge_gateway.rules.columns.schedules import ALWAYS

if TYPE_CHECKING:
    from collections.abc import Collection

    from edge_gateway.columns.frame import BoolColumn, FloatColumn, Frame, IntColumn
    from edge_gateway.rules.alerts.rule_state import AlertState, RuleState
    from edge_gateway.rules.columns.rows import Rows


class BusyPairs(NamedTuple):
    """(row, busy cell) pairs of the same device, sorted by cell and then by arrival.

    `alert` is the first cell of the cell's alert.
    """

    row: IntColumn
    cell: IntColumn
    latch: IntColumn
    alert: IntColumn


class PairInputs(NamedTuple):
    """What each pair's row means to its latch; `seen` is False if the row has none of the rule's metrics.

    In ms: `at` is the rule's now at the row; `expired`, when the value before it became too old, and `closed`, when the
    latch's times ended before it (0: it did not, they did not).
    `carry` is the latch before the frame.
    """

    at: IntColumn
    expired: IntColumn
    closed: IntColumn
    seen: BoolColumn
    is_up: BoolColumn
    is_down: BoolColumn
    carry: Carry


@dataclass(slots=True)
class FrameResult:
    """The rows and columns of a frame, and the changes of alerts, by order of arrival and then by rule."""

    columns: FrameColumns
    table: ColumnTable
    events: list[AlertEvent]


def evaluate_frame(
    state: RuleState, frame: Frame, listening_ms: int, owing: Collection[int] = ()
) -> FrameResult:
    """Evaluate a frame of at least one row and remember its values.

    `owing`: numbers of the rules whose now at each row is asked afterwards, beside those that have events.
    """
    rows = state.inputs.rows_of(frame)
    state.inputs.note_first_seen(rows)
    columns = FrameColumns(rows, state.inputs, state.histories)
    table = _mark_busy(state, columns)
    columns.settle(state.program.observed_rings)
    pairs = _pairs(state, rows)
    events = _scan_busy(state, columns, table, pairs) if len(pairs.row) else []
    _release(state, rows, pairs)
    for number in {*owing, *(event.rule for event in events)}:
        columns.now(state.program.clocks[number])  # it follows from the inputs as they were before the frame
    state.inputs.remember(rows)
    state.evaluated.note(state.cells.class_of[rows.device[rows.values.row]], rows.values.number)
    state.newest.take(rows, frame, listening_ms)
    events.sort(key=lambda event: (int(rows.source[event.row]), event.rule))
    return FrameResult(columns, table, events)


def _mark_busy(state: RuleState, columns: FrameColumns) -> ColumnTable:
    """Mark busy every latch whose threshold a reading exceeds."""
    rows, classes = columns.rows, state.cells.classes
    row, segment = classes.segments_of(state.cells.class_of[rows.device])
    column = classes.segment_column[segment]
    table = column_table(columns, state.program.expressions, column, row)
    value = table.values(column, row) * classes.segment_sign[segment]
    high = np.flatnonzero(value > classes.segment_least[segment])
    if len(high):
        state.cells.mark_busy_beyond(rows.device[row[high]], segment[high], value[high])
    return table


def _pairs(state: RuleState, rows: Rows) -> BusyPairs:
    row, cell = state.cells.busy_pairs(rows.device)
    if rows.several:
        order = np.argsort(cell, kind="stable")
        row, cell = row[order], cell[order]
    return BusyPairs(row, cell, *state.cells.latch_at(cell, rows.device[row]))


def _scan_busy(
    state: RuleState, columns: FrameColumns, table: ColumnTable, pairs: BusyPairs
) -> list[AlertEvent]:
    """Scan the busy latches, then step the alerts in which one switched."""
    cells, rows = state.cells, columns.rows
    carry = cells.carry(pairs.cell)
    inputs = _pair_inputs(state, columns, table, pairs, carry)
    kept = np.flatnonzero(inputs.seen)
    if not len(kept):
        return []
    latch_inputs = _latch_inputs(state, pairs, inputs, kept)
    course = scan_latches(latch_inputs, carry.of(kept))
    _store_course(state, table, pairs, kept, course)
    cells.seen[pairs.cell[kept]] = latch_inputs.at
    switched = (course.on != course.was_on) | (((course.up > 0) & ~course.on) != course.was_waiting)
    switched |= course.was_waiting & latch_inputs.anew
    switched |= (course.was_waiting | course.was_on) & latch_inputs.closed
    changed = pairs.alert[kept[switched]]
    if not len(changed):
        return []
    readings = latch_readings(state, pairs, changed, inputs)
    device_of = {reading.alert: int(rows.device[reading.row]) for reading in readings}
    events: list[AlertEvent] = []
    for alert, own in single_alerts(readings, device_of, state.program.latches, state.active):
        apply_readings(alert, own)
        state.store(alert, own[0].alert)
        events += alert.events
    return events


def _pair_inputs(
    state: RuleState, columns: FrameColumns, table: ColumnTable, pairs: BusyPairs, carry: Carry
) -> PairInputs:
    latches, latch, rows = state.program.table, pairs.latch, columns.rows
    seen, at = table.sees(latches.column[latch], pairs.row), _nows(state, columns, pairs)
    if state.program.any_warmup:
        age = np.maximum(at - state.inputs.first_seen[rows.device[pairs.row]], 0)
        seen = seen & (age >= latches.warmup_ms[latch])
    if not rows.in_order:
        seen &= _ends_silence(state, rows, pairs)
    threshold, clear_threshold = thresholds(state, latch, rows.device[pairs.row], at)
    clear = latches.clear_sign[latch] * table.values(latches.clear_column[latch], pairs.row)
    is_down = seen & (clear <= clear_threshold)
    value = latches.sign[latch] * table.values(latches.column[latch], pairs.row)
    is_up = seen & (value > threshold) & ~is_down
    before = _seen_before(state, pairs, seen, at)
    closed = np.zeros_like(at)
    if state.program.schedules:
        closed, active = _closed(state, rows, pairs, before, at)
        is_up, is_down = is_up & active, is_down & active
    return PairInputs(at, _expired(state, rows, pairs, before), closed, seen, is_up, is_down, carry)


def _nows(state: RuleState, columns: FrameColumns, pairs: BusyPairs) -> IntColumn:
    """The rule's now at each pair: the row's time, unless another input of the rule was read later."""
    rows = columns.rows
    at = rows.at[pairs.row]
    if rows.in_order:
        return at
    behind = np.flatnonzero(at < rows.now[pairs.row])
    rule = state.program.table.rule[pairs.latch[behind]]
    for number in np.unique(rule).tolist():
        own = behind[rule == number]
        at[own] = columns.now(state.program.clocks[number])[pairs.row[own]]
    return at


def thresholds(
    state: AlertState, latch: IntColumn, device: IntColumn, at: IntColumn
) -> tuple[FloatColumn, FloatColumn]:
    """(threshold, clear threshold) of each latch on a device at a moment."""
    latches = state.program.table
    threshold, clear = latches.threshold[latch], latches.clear_threshold[latch]
    for number in np.unique(latches.timed[latch]).tolist() if state.program.timed else ():
        if number == ALWAYS:
            continue
        own, limits = np.flatnonzero(latches.timed[latch] == number), state.program.timed[number]
        found = np.full(len(own), limits.default)
        for schedule, other in reversed(limits.by_time):
            begin, _ = state.schedules.spans_at(np.full(len(own), schedule), device[own], at[own])
            found = np.where(begin > 0, other, found)
        threshold[own], clear[own] = found, found - limits.deadband
    return threshold, clear


def _seen_before(state: RuleState, pairs: BusyPairs, seen: BoolColumn, at: IntColumn) -> IntColumn:
    """When each pair's latch was read before, ms; 0 for pairs that are not seen."""
    before, kept = np.zeros(len(at), np.int64), np.flatnonzero(seen)
    own = state.cells.seen[pairs.cell[kept]]
    same = pairs.cell[kept[1:]] == pairs.cell[kept[:-1]]
    own[1:][same] = at[kept[:-1]][same]
    before[kept] = own
    return before


def _closed(
    state: RuleState, rows: Rows, pairs: BusyPairs, before: IntColumn, at: IntColumn
) -> tuple[IntColumn, BoolColumn]:
    """When a latch's times ended since it was read `before`, ms (0: not), and whether they hold at the pair."""
    schedule, device = state.program.table.schedule[pairs.latch], rows.device[pairs.row]
    begin, _ = state.schedules.spans_at(schedule, device, at)
    _, end = state.schedules.spans_at(schedule, device, before)
    ended = (schedule != ALWAYS) & (before > 0) & (np.maximum(end, before) <= at)
    return np.where(ended, np.maximum(end, before), 0), begin > 0


def _expired(state: RuleState, rows: Rows, pairs: BusyPairs, before: IntColumn) -> IntColumn:
    """When the value of a latch, read `before` the pair, became too old, ms; 0 if it did not by then."""
    rule = state.program.table.rule[pairs.latch]
    until = before + state.inputs.lookback[state.program.read].max(axis=1, initial=0)[rule]
    return np.where((before > 0) & (rows.now[pairs.row] > until), until, 0)


def _ends_silence(state: RuleState, rows: Rows, pairs: BusyPairs) -> BoolColumn:
    """False for the absence latches of rows that are themselves as old as silence."""
    latches, latch = state.program.table, pairs.latch
    age = rows.now[pairs.row] - rows.at[pairs.row]
    fresh: BoolColumn = (latches.key[latch] != ABSENT) | (age < latches.for_ms[latch])
    return fresh


def _latch_inputs(state: RuleState, pairs: BusyPairs, inputs: PairInputs, kept: IntColumn) -> LatchInputs:
    latches, latch = state.program.table, pairs.latch[kept]
    return LatchInputs(
        pairs.cell[kept],
        inputs.at[kept],
        inputs.expired[kept] > 0,
        inputs.closed[kept] > 0,
        inputs.is_up[kept],
        inputs.is_down[kept],
        latches.for_ms[latch],
        latches.for_count[latch],
        keep_times(state, latch, pairs.alert[kept], inputs.carry.on[kept]),
    )


def keep_times(state: AlertState, latch: IntColumn, alert: IntColumn, on: BoolColumn) -> IntColumn:
    """How long each latch stays on once it is clear, ms: only the last one that is on waits for keep_firing_for."""
    latches = state.program.table
    others = state.cells.raised[alert] - (on & latches.raises[latch])
    return np.where(latches.coupled[latch] & (others > 0), 0, latches.keep_ms[latch])


def _store_course(
    state: RuleState, table: ColumnTable, pairs: BusyPairs, kept: IntColumn, course: Course
) -> None:
    cells, last = state.cells, np.flatnonzero(course.last)
    target, row = pairs.cell[kept[last]], pairs.row[kept[last]]
    for name in ("on", "up", "down", "stamps"):
        getattr(cells, name)[target] = getattr(course, name)[last]
    shown = state.program.table.value_column[pairs.latch[kept[last]]]
    cells.value[target] = np.where(shown == NO_COLUMN, np.nan, table.values(np.maximum(shown, 0), row))


def latch_readings(
    state: RuleState, pairs: BusyPairs, changed: IntColumn, inputs: PairInputs
) -> list[LatchReading]:
    """The readings of the changed alerts, sorted by alert, row and cell."""
    marked = state.cells.marked
    marked[changed] = True
    found = np.flatnonzero(marked[pairs.alert])
    marked[changed] = False
    found = found[np.lexsort((pairs.cell[found], pairs.row[found], pairs.alert[found]))]
    columns = (pairs.alert, pairs.row, pairs.cell, pairs.latch, *inputs[:-1], *inputs.carry)
    return [
        LatchReading(*items) for items in zip(*(column[found].tolist() for column in columns), strict=True)
    ]


def _release(state: RuleState, rows: Rows, pairs: BusyPairs) -> None:
    """Clear the busy marks of latches at rest, and of devices without a busy latch."""
    cells = state.cells
    cells.busy[pairs.cell] = cells.on[pairs.cell] | (cells.up[pairs.cell] > 0)
    cells.device_busy[rows.device] = False
    cells.device_busy[rows.device[pairs.row[cells.busy[pairs.cell]]]] = True

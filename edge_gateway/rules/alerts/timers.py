"""Time without readings: `for`, `keep_firing_for`, `no_data` and `repeat`, each at the moment it is due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edge_gateway.rules.alerts.single_alert import (
    AlertEvent,
    LatchReading,
    Missing,
    SingleAlert,
    pass_time,
    repeat_notice,
    single_alerts,
)
from edge_gateway.rules.alerts.step import BusyPairs, PairInputs, keep_times, latch_readings
from edge_gateway.rules.columns.program import ABSENT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from edge_gateway.columns.frame import IntColumn
    from edge_gateway.rules.alerts.rule_state import Instant, RuleState


_NEVER: Final = 1 << 62


class Passed(NamedTuple):
    """What time brought: the changes of alerts, in order of time, device and rule, and (device, metric) missed now."""

    events: list[AlertEvent]
    missed: set[tuple[int, str]]


def advance_time(state: RuleState, at: Instant) -> Passed:
    """Let time pass up to this moment."""
    now = state.now(at.listening)
    _end_unexpected(state, now)
    closed, expired = _closed(state, now), _expired(state, now)
    absent = _absent(state, at, now, closed)
    readings, device_of = _due_readings(state, now, absent.keys() | expired.keys() | closed.keys())
    events: list[AlertEvent] = []
    for alert, own in single_alerts(readings, device_of, state.program.latches, state.active):
        rule = state.rules[alert.rule]
        absence = None if rule.no_data is None else rule.no_data.state
        closes = tuple((each.cell, closed[each.cell]) for each in own if each.cell in closed)
        missing = Missing(_first(absent, own), _first(expired, own), closes)
        pass_time(alert, int(now[alert.device]), missing, absence, commands=rule.commands_silence)
        state.store(alert, own[0].alert)
        events += alert.events
    if state.program.any_repeat:
        events += _repeats(state, now)
    return Passed(_in_order(events), _missed(state, absent))


def _in_order(events: list[AlertEvent]) -> list[AlertEvent]:
    """Events by time, device and rule; none of an alert before a change of it that happened earlier.

    An alert that silence raised by the wall clock may end, and begin again, at earlier times of its device. A mere
    report or repeat is no change.
    """
    latest: dict[tuple[int, int], int] = {}
    order = []
    for number, event in enumerate(events):
        key = (event.device, event.rule)
        at = max(event.change.at, latest.get(key, 0))
        if event.change.event not in ("no_data", "repeat"):
            latest[key] = at
        order.append((at, *key, number))
    return [events[number] for *_, number in sorted(order)]


def _missed(state: RuleState, absent: Mapping[int, int]) -> set[tuple[int, str]]:
    """(device, metric) of the absence latches that are raised now, whether or not that changes their alerts."""
    cells = np.fromiter(absent, np.int64, len(absent))
    device = state.cells.device_at(cells)
    latch, _ = state.cells.latch_at(cells, device)
    rules = [state.rules[number].no_data for number in state.program.table.rule[latch].tolist()]
    return {(of, rule.metric) for of, rule in zip(device.tolist(), rules, strict=True) if rule is not None}


def _absent(state: RuleState, at: Instant, now: IntColumn, closed: Mapping[int, int]) -> dict[int, int]:
    """The absence latches to raise now: cell to the time (ms) since which the metric counts as missing.

    A latch that is on and about to clear, or whose times ended (`closed`), is raised again; one whose times do not hold
    waits for them.
    """
    cells, latches, inputs = state.cells, state.program.table, state.inputs
    if not state.program.least_absence:
        return {}
    missing = _missing(state, at, now)
    devices = np.flatnonzero(np.maximum.reduce([*missing.values()]))
    owner, cell = cells.absence_cells(devices)
    device = devices[owner]
    latch, _ = cells.latch_at(cell, device)
    since = np.zeros(len(cell), np.int64)
    for (number, _text), column in missing.items():
        own = np.flatnonzero(latches.watched[latch, 0] == number)
        since[own] = column[device[own]]
    due = since + latches.for_ms[latch]
    heard = inputs.first_seen[device] > 0
    due = np.where(heard, np.maximum(due, inputs.first_seen[device] + latches.warmup_ms[latch]), due)
    until = np.where(heard, now[device], at.wall or 0)
    begin, _ = state.schedules.spans_at(latches.schedule[latch], device, until)
    due = np.maximum(due, begin)
    ends = (cells.down[cell] > 0) | np.isin(cell, np.fromiter(closed, np.int64, len(closed)))
    open_ = (begin > 0) & (~cells.on[cell] | ends)
    found = np.flatnonzero((since > 0) & (due <= until) & open_)
    cells.seen[cell[found]] = due[found]
    cells.busy[cell[found]] = True
    cells.device_busy[device[found]] = True
    return dict(zip(cell[found].tolist(), due[found].tolist(), strict=True))


def _missing(state: RuleState, at: Instant, now: IntColumn) -> dict[tuple[int, int], IntColumn]:
    """By the inputs of each watched metric since when (ms) devices have not sent it, 0 where that is not long enough.

    Of a device that has sent something that is device time, else wall time.
    """
    return {
        state.program.watched(metric): missing_since(state, at, now, place, after)
        for place, (metric, after) in enumerate(state.program.least_absence.items())
    }


def missing_since(state: RuleState, at: Instant, now: IntColumn, place: int, after: int) -> IntColumn:
    """As `_missing`, of the awaited metric at `place`: 0 where it has not been missing for `after` ms."""
    inputs, first = state.inputs, state.inputs.first_seen
    here = np.where(first > 0, now, at.wall or 0)
    number, text = state.program.watched(state.program.awaited[place])
    since = np.maximum(inputs.last_at[:, number], inputs.last_at[:, text])
    expected = state.expected.since(place, first)
    waited = np.where((since == 0) & (expected > 0), at.listening + 1 - expected, 0)
    since = np.where(waited >= after, here - waited, since)
    return np.where((since > 0) & (here - since >= after), since, 0)


def _end_unexpected(state: RuleState, now: IntColumn) -> None:
    """Let the silence end of metrics that are not expected of their devices any more: these have sent others."""
    cells, latches, inputs = state.cells, state.program.table, state.inputs
    if not state.program.least_absence:
        return
    cell = cells.all_busy()
    cell = cell[cells.on[cell] & (cells.down[cell] == 0)]
    device = cells.device_at(cell)
    latch, _ = cells.latch_at(cell, device)
    first = inputs.first_seen[device]
    due = (first > 0) & (first + latches.keep_ms[latch] <= now[device])
    silent = np.flatnonzero((latches.key[latch] == ABSENT) & due)
    for place, metric in enumerate(state.program.least_absence):
        number, text = state.program.watched(metric)
        own = silent[latches.watched[latch[silent], 0] == number]
        of = device[own]
        sent = np.maximum(inputs.last_at[of, number], inputs.last_at[of, text]) > 0
        named = state.expected.named[place][of] > 0
        gone = own[~sent & ~named]
        cells.down[cell[gone]] = first[gone]


def _expired(state: RuleState, now: IntColumn) -> dict[int, int]:
    """The latches that wait on a value that is too old now: cell to the time (ms) until which it was not.

    A value is too old as soon as one of those that it was computed from is.
    """
    cells, inputs = state.cells, state.inputs
    cell = cells.all_busy()
    cell = cell[~cells.on[cell] & (cells.up[cell] > 0)]
    device = cells.device_at(cell)
    latch, _ = cells.latch_at(cell, device)
    read = state.program.read[state.program.table.rule[latch]]
    at, lookback = inputs.last_at[device[:, None], read], inputs.lookback[read]
    newest = at.max(axis=1, keepdims=True, initial=0)
    until = np.where(newest - at <= lookback, at + lookback, _NEVER).min(axis=1, initial=_NEVER)
    found = np.flatnonzero(until < now[device])
    return dict(zip(cell[found].tolist(), until[found].tolist(), strict=True))


def _closed(state: RuleState, now: IntColumn) -> dict[int, int]:
    """The latches whose times ended: cell to the time (ms)."""
    cells = state.cells
    if not state.program.schedules:
        return {}
    cell = cells.all_busy()
    cell = cell[cells.on[cell] | (cells.up[cell] > 0)]
    device = cells.device_at(cell)
    latch, _ = cells.latch_at(cell, device)
    seen = cells.seen[cell]
    _, end = state.schedules.spans_at(state.program.table.schedule[latch], device, seen)
    found = np.flatnonzero(end <= now[device])
    return dict(zip(cell[found].tolist(), np.maximum(end, seen)[found].tolist(), strict=True))


def _first(due: Mapping[int, int], readings: list[LatchReading]) -> int | None:
    return next((due[reading.cell] for reading in readings if reading.cell in due), None)


def _due_readings(
    state: RuleState, now: IntColumn, others: AbstractSet[int]
) -> tuple[list[LatchReading], dict[int, int]]:
    """The latches of the alerts in which a timer is due, or one of the `others`, and the device of each alert."""
    cells, latches = state.cells, state.program.table
    cell = cells.all_busy()
    device = cells.device_at(cell)
    latch, alert = cells.latch_at(cell, device)
    carry = cells.carry(cell)
    fires = ~carry.on & (carry.up > 0) & (carry.up + latches.for_ms[latch] <= now[device])
    keep = keep_times(state, latch, alert, carry.on)
    clears = carry.on & (carry.down > 0) & (carry.down + keep <= now[device])
    also = np.isin(cell, np.fromiter(others, np.int64, len(others)))
    changed = alert[fires | clears | also]
    if not len(changed):
        return [], {}
    none, never = np.zeros(len(cell), np.bool_), np.zeros(len(cell), np.int64)
    pairs = BusyPairs(np.full(len(cell), -1), cell, latch, alert)
    readings = latch_readings(
        state, pairs, changed, PairInputs(now[device], never, never, none, none, none, carry)
    )
    return readings, dict(zip(alert.tolist(), device.tolist(), strict=True))


def _repeats(state: RuleState, now: IntColumn) -> list[AlertEvent]:
    events: list[AlertEvent] = []
    for (device, number), active in sorted(state.active.items()):
        every = state.rules[number].repeat_ms
        if every is not None:
            alert = SingleAlert(device, number, list(state.levels(device, number)), active)
            repeat_notice(alert, int(now[device]), every)
            events += alert.events
    return events

"""Time without readings: `for`, `keep_firing_for`, `no_data` and `repeat`, each at the moment it is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_gateway.rules.alerts.single_alert import (
    AlertEvent,
    LatchReading,
    SingleAlert,
    pass_time,
    repeat_notice,
    single_alerts,
)
from edge_gateway.rules.alerts.step import BusyPairs, PairInputs, latch_readings
from edge_gateway.rules.columns.latch_scan import Carry

if TYPE_CHECKING:
    from edge_gateway.columns.frame import IntColumn
    from edge_gateway.rules.alerts.rule_state import RuleState


def advance_time(state: RuleState, listening_ms: int) -> list[AlertEvent]:
    """Let time pass up to the listening clock (ms); the changes of alerts, in order of time, device and rule."""
    now = state.now(listening_ms)
    absent = _absent(state, now)
    readings, device_of = _due_readings(state, now, absent)
    events: list[AlertEvent] = []
    for alert, own in single_alerts(readings, device_of, state.program.latches, state.active):
        no_data = state.rules[alert.rule].no_data
        missing = next((absent[reading.cell] for reading in own if reading.cell in absent), None)
        pass_time(alert, int(now[alert.device]), missing, None if no_data is None else no_data.state)
        state.store(alert, own[0].alert)
        events += alert.events
    if state.program.any_repeat:
        events += _repeats(state, now)
    return sorted(events, key=lambda event: (event.change.at, event.device, event.rule))


def _absent(state: RuleState, now: IntColumn) -> dict[int, int]:
    """The absence latches to raise now: cell to the time (ms) since which the metric counts as missing.

    A latch that is on and about to clear is raised again.
    """
    cells, latches, inputs = state.cells, state.program.table, state.inputs
    least = state.program.least_absence
    if not least:
        return {}
    silent = np.zeros(len(now), np.bool_)
    for number, after in least.items():
        silent |= (inputs.last_at[:, number] > 0) & (now - inputs.last_at[:, number] >= after)
    devices = np.flatnonzero(silent[: len(cells.class_of)])
    owner, cell = cells.absence_cells(devices)
    device = devices[owner]
    latch, _ = cells.latch_at(cell, device)
    last_at = inputs.last_at[device, latches.column[latch]]
    due = np.maximum(last_at + latches.for_ms[latch], inputs.first_seen[device] + latches.warmup_ms[latch])
    open_ = ~cells.on[cell] | (cells.down[cell] > 0)
    found = np.flatnonzero((last_at > 0) & (due <= now[device]) & open_)
    cells.busy[cell[found]] = True
    cells.device_busy[device[found]] = True
    return dict(zip(cell[found].tolist(), due[found].tolist(), strict=True))


def _due_readings(
    state: RuleState, now: IntColumn, absent: dict[int, int]
) -> tuple[list[LatchReading], dict[int, int]]:
    """The latches of the alerts in which a timer is due, and the device of each alert."""
    cells, latches = state.cells, state.program.table
    cell = cells.all_busy()
    device = cells.device_at(cell)
    latch, alert = cells.latch_at(cell, device)
    carry = Carry(cells.on[cell], cells.up[cell], cells.down[cell])
    fires = ~carry.on & (carry.up > 0) & (carry.up + latches.for_ms[latch] <= now[device])
    clears = carry.on & (carry.down > 0) & (carry.down + latches.keep_ms[latch] <= now[device])
    missing = np.isin(cell, np.fromiter(absent, np.int64, len(absent)))
    changed = alert[fires | clears | missing]
    if not len(changed):
        return [], {}
    none = np.zeros(len(cell), np.bool_)
    pairs = BusyPairs(np.full(len(cell), -1), cell, latch, alert)
    readings = latch_readings(state, pairs, changed, PairInputs(none, none, none, carry))
    return readings, dict(zip(alert.tolist(), device.tolist(), strict=True))


def _repeats(state: RuleState, now: IntColumn) -> list[AlertEvent]:
    events: list[AlertEvent] = []
    for (device, number), active in sorted(state.active.items()):
        every = state.rules[number].repeat_ms
        if every is not None:
            alert = SingleAlert(device, number, [], active)
            repeat_notice(alert, int(now[device]), every)
            events += alert.events
    return events

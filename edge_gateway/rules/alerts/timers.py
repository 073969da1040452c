"""Time without readings: `for`, `keep_firing_for`, `no_data` and `repeat`, each at the moment it is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_gateway.rules.alerts.judge import Case, Mark, Verdict, again, cases_of, pass_time
from edge_gateway.rules.alerts.step import Pairs, Said, marks_of
from edge_gateway.rules.columns.scan import Carry

if TYPE_CHECKING:
    from edge_gateway.columns.frame import IntColumn
    from edge_gateway.rules.alerts.rule_state import RuleState


def let_pass(held: RuleState, listening_ms: int) -> list[Verdict]:
    """What time alone brings up to the listening clock, in the order of when it was due."""
    now = held.now(listening_ms)
    absent = _absent(held, now)
    marks, device_of = _due_marks(held, now, absent)
    verdicts: list[Verdict] = []
    for case, own in cases_of(marks, device_of, held.program.latches, held.standings):
        no_data = held.rules[case.rule].no_data
        missing = next((absent[mark.cell] for mark in own if mark.cell in absent), None)
        pass_time(case, int(now[case.device]), missing, "" if no_data is None else no_data.state)
        held.keep(case, own[0].alert)
        verdicts += case.verdicts
    if held.program.any_repeat:
        verdicts += _repeats(held, now)
    return sorted(verdicts, key=lambda verdict: (verdict.change.at, verdict.device, verdict.rule))


def _absent(held: RuleState, now: IntColumn) -> dict[int, int]:
    """Absence latches to switch on, or to hold on: cell to the moment since when the metric is missing."""
    cells, latches, inputs = held.cells, held.program.table, held.inputs
    least = held.program.least_absence
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


def _due_marks(held: RuleState, now: IntColumn, absent: dict[int, int]) -> tuple[list[Mark], dict[int, int]]:
    """The latches of the alerts in which something is due, and the device of each alert."""
    cells, latches = held.cells, held.program.table
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
    pairs = Pairs(np.full(len(cell), -1), cell, latch, alert)
    marks = marks_of(held, pairs, changed, Said(none, none, none, carry))
    return marks, dict(zip(alert.tolist(), device.tolist(), strict=True))


def _repeats(held: RuleState, now: IntColumn) -> list[Verdict]:
    verdicts: list[Verdict] = []
    for (device, number), standing in sorted(held.standings.items()):
        every = held.rules[number].repeat_ms
        if every is not None:
            case = Case(device, number, [], standing)
            again(case, int(now[device]), every)
            verdicts += case.verdicts
    return verdicts

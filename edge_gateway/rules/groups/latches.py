"""The latches of one rule on its groups, as columns, and which of them a look would change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_gateway.rules.alerts.step import keep_times, thresholds
from edge_gateway.rules.columns.schedules import ALWAYS

if TYPE_CHECKING:
    from edge_gateway.columns.frame import BoolColumn, FloatColumn, IntColumn
    from edge_gateway.rules.alerts.rule_state import AlertState, Instant
    from edge_gateway.rules.groups.looks import GroupLook
    from fleet_wire.control_messages import AlertCause


@dataclass(slots=True)
class GroupLatches:
    """One row for each level of each group, level by level; `groups`: how many there are.

    `alert`: the first cell of the row's alert; `value`: what the look has, NaN if nothing. `is_up`, `is_down`: beyond
    the threshold, clear. Of the latch before the look `on`, `up`, `down`; how long it waits, `for_ms` and `keep_ms`;
    `ends`: it is on or waits, and its times do not hold.
    """

    groups: int
    cell: IntColumn
    alert: IntColumn
    value: FloatColumn
    is_up: BoolColumn
    is_down: BoolColumn
    on: BoolColumn
    up: IntColumn
    down: IntColumn
    for_ms: IntColumn
    keep_ms: IntColumn
    ends: BoolColumn

    def _due(self, now: int) -> BoolColumn:
        """Which latches switch because their time is over."""
        fires = ~self.on & self.is_up & (self.up > 0) & (self.up + self.for_ms <= now)
        found: BoolColumn = fires | (
            self.on & self.is_down & (self.down > 0) & (self.down + self.keep_ms <= now)
        )
        return found

    def changing(self, now: int) -> list[int]:
        """The places of the groups with a latch that would change at `now` (ms)."""
        waits = ~self.on & (self.is_up != (self.up > 0))
        clears = self.on & (self.is_down != (self.down > 0))
        changes = (waits | clears | self._due(now) | self.ends).reshape(-1, self.groups)
        return np.flatnonzero(changes.any(axis=0)).tolist()

    def _rows(self, place: int) -> IntColumn:
        return np.arange(place, len(self.cell), self.groups)

    def cause(self, place: int, now: int) -> AlertCause:
        """Why the latches of a group change: what devices sent, what they have not sent since, or time."""
        rows = self._rows(place)
        if (np.isnan(self.value) & ~self.on & (self.up > 0))[rows].any():
            return "expired"
        moved = (~self.on & (self.is_up != (self.up > 0))) | (self.on & (self.is_down != (self.down > 0)))
        return "time" if self._due(now)[rows].any() and not moved[rows].any() else "reading"

    def closed_cells(self, place: int) -> list[int]:
        """The cells of a group whose times ended."""
        rows = self._rows(place)
        return self.cell[rows[self.ends[rows]]].tolist()  # type: ignore[no-any-return]

    def first_cell(self, place: int) -> int:
        return int(self.alert[place])

    def row_of(self, cell: int) -> int:
        return int(np.flatnonzero(self.cell == cell)[0])


def latches_of(state: AlertState, rule: int, look: GroupLook, at: Instant) -> GroupLatches:
    """The latches of a rule on the groups of a look."""
    groups = look.members.groups
    keys = [state.program.latches[each].key for each in state.program.latches_of((rule, -1))]
    cell = np.concatenate([_cells(state, groups, rule, key) for key in keys])
    group = np.concatenate([groups] * len(keys))
    latch, alert = state.cells.latch_at(cell, group)
    table = state.program.table
    first = latch[:: len(groups)]
    value = np.concatenate([look.column(int(table.column[each])) for each in first.tolist()])
    clear = np.concatenate([look.column(int(table.clear_column[each])) for each in first.tolist()])
    wall = np.full(len(cell), at.listening + 1 if at.wall is None else at.wall)
    threshold, clear_threshold = thresholds(state, latch, group, wall)
    is_down = table.clear_sign[latch] * clear <= clear_threshold
    is_up = (table.sign[latch] * value > threshold) & ~is_down
    on, up, down = state.cells.on[cell], state.cells.up[cell], state.cells.down[cell]
    active = state.schedules.spans_at(table.schedule[latch], group, wall)[0] > 0
    ends = (table.schedule[latch] != ALWAYS) & ~active & (on | (up > 0))
    return GroupLatches(
        len(groups),
        cell,
        alert,
        value,
        is_up & active,
        is_down & active,
        on,
        up,
        down,
        table.for_ms[latch],
        keep_times(state, latch, alert, on),
        ends,
    )


def _cells(state: AlertState, groups: IntColumn, rule: int, key: int) -> IntColumn:
    """The cell of one level of a rule on each group."""
    cells = state.cells
    classes, which = np.unique(cells.class_of[groups], return_inverse=True)
    places = np.array([cells.classes.places(each)[rule, key] for each in classes.tolist()], np.int64)
    found: IntColumn = cells.base[groups] + places[which]
    return found

"""All state of the rules in force: compiled rules, latch cells, last values, histories, active alerts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_gateway.columns.growing import with_room
from edge_gateway.rules.alerts.latch_cells import LatchCells
from edge_gateway.rules.alerts.state_machine import ActiveAlert, LevelState
from edge_gateway.rules.alerts.transition_builder import NO_READING, Reading
from edge_gateway.rules.columns.frame_columns import Histories
from edge_gateway.rules.columns.inputs import Inputs
from edge_gateway.rules.columns.program import Program

if TYPE_CHECKING:
    from edge_gateway.columns.frame import BoolColumn, Frame, IntColumn
    from edge_gateway.rules.alerts.single_alert import SingleAlert
    from edge_gateway.rules.columns.inputs import Rows
    from edge_gateway.rules.columns.registry_view import RegistryView
    from edge_gateway.rules.language.ruleset import Rule

AlertKey = tuple[int, int]
"""(device number, rule number)."""


@dataclass(slots=True)
class NewestReadings:
    """The newest reading of each device: boot, seq, backlog.

    `heard` is the listening clock (ms) when it arrived, or when a later one arrived whose time is not known yet.
    """

    boot: IntColumn
    seq: IntColumn
    backlog: BoolColumn
    heard: IntColumn

    @classmethod
    def empty(cls) -> NewestReadings:
        none = np.zeros(0, np.int64)
        return cls(none, none, np.zeros(0, np.bool_), none)

    def make_room(self, devices: int) -> None:
        self.boot = with_room(self.boot, devices, NO_READING)
        self.seq = with_room(self.seq, devices, NO_READING)
        self.backlog = with_room(self.backlog, devices, 0)
        self.heard = with_room(self.heard, devices, 0)

    def take(self, rows: Rows, frame: Frame, listening_ms: int) -> None:
        self.boot[rows.device] = frame.boot[rows.source]
        self.seq[rows.device] = frame.seq[rows.source]
        self.backlog[rows.device] = frame.backlog[rows.source]
        self.heard[rows.device] = listening_ms

    def forget(self, devices: IntColumn) -> None:
        self.boot[devices] = self.seq[devices] = NO_READING
        self.backlog[devices], self.heard[devices] = False, 0

    def reading(self, device: int) -> Reading:
        return Reading(int(self.boot[device]), int(self.seq[device]), bool(self.backlog[device]))

    def snapshot(self, devices: int) -> dict[str, Any]:
        return {name: getattr(self, name)[:devices].copy() for name in self.__dataclass_fields__}

    def restore(self, state: dict[str, Any]) -> None:
        for name in self.__dataclass_fields__:
            getattr(self, name)[: len(state[name])] = state[name]


@dataclass(slots=True)
class RuleState:
    """State of the alert rules. `active` are the alerts that are pending or firing."""

    rules: tuple[Rule, ...]
    registry: RegistryView
    program: Program
    cells: LatchCells
    inputs: Inputs
    histories: Histories
    newest: NewestReadings
    active: dict[AlertKey, ActiveAlert]

    @classmethod
    def initial(cls, rules: tuple[Rule, ...], registry: RegistryView, lookback_ms: int) -> RuleState:
        """The state before the first reading."""
        program = Program(rules, registry.strings)
        inputs = Inputs(program.inputs, registry, lookback_ms)
        histories = Histories(program.symbols)
        return cls(
            rules, registry, program, LatchCells(program), inputs, histories, NewestReadings.empty(), {}
        )

    def make_room(self) -> None:
        """Make room for all devices of the registry."""
        count = self.registry.devices
        self.cells.make_room(count)
        self.inputs.make_room(count)
        self.newest.make_room(len(self.inputs.cursor))

    def forget(self, devices: IntColumn) -> None:
        """Drop what these devices have sent."""
        self.inputs.forget(devices)
        self.histories.forget(devices)
        self.newest.forget(devices)

    def shift(self, devices: IntColumn, by: IntColumn) -> None:
        """Follow clocks that were set by so many ms: durations stay, ranges start anew."""
        self.inputs.shift(devices, by)
        self.histories.forget(devices)
        self.cells.shift(devices, by)
        of = dict(zip(devices.tolist(), by.tolist(), strict=True))
        for (device, _), active in self.active.items():
            if device in of:
                active.at += of[device]
                active.notified_at += of[device]

    def now(self, listening_ms: int) -> IntColumn:
        """Each device's now in ms: its newest accepted time plus the listening time since it was last heard."""
        return self.inputs.cursor + np.maximum(listening_ms - self.newest.heard, 0)

    def levels(self, device: int, rule: int) -> tuple[LevelState, ...]:
        """The current levels of a rule on a device."""
        cells = self.cells
        return tuple(
            LevelState(
                cell,
                self.program.latches[latch],
                bool(cells.on[cell]),
                int(cells.up[cell]),
                int(cells.down[cell]),
            )
            for cell, latch in cells.cells_of(device, rule)
        )

    def limit(self, device: int, rule: int, rank: int) -> float | None:
        """The limit of a rule's level on a device; None for a condition or a level that it does not have."""
        latch = self.cells.latch_of(device, rule, rank)
        return None if latch < 0 else self.program.latches[latch].limit

    def store(self, alert: SingleAlert, first_cell: int) -> None:
        """Store the levels and the state of an alert that was stepped; `first_cell` is its first cell."""
        cells, raised = self.cells, 0
        for level in alert.levels:
            cells.on[level.cell], cells.up[level.cell], cells.down[level.cell] = (
                level.on,
                level.up,
                level.down,
            )
            cells.busy[level.cell] = level.on or level.up > 0
            raised += level.on and level.latch.raises
        cells.raised[first_cell] = raised
        self.store_active(alert)

    def store_active(self, alert: SingleAlert) -> None:
        """Store whether an alert is pending or firing."""
        key = (alert.device, alert.rule)
        if alert.active is None:
            self.active.pop(key, None)
        else:
            self.active[key] = alert.active

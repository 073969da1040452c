"""All that the rules in force hold: compiled rules, latches by device, last values, histories, standing alerts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_gateway.columns.growing import with_room
from edge_gateway.rules.alerts.cells import Cells
from edge_gateway.rules.alerts.notices import NO_READING, Reading
from edge_gateway.rules.alerts.state import Level, Standing
from edge_gateway.rules.columns.inputs import Inputs
from edge_gateway.rules.columns.program import Program
from edge_gateway.rules.columns.table import Histories

if TYPE_CHECKING:
    from edge_gateway.columns.frame import BoolColumn, Frame, IntColumn
    from edge_gateway.rules.alerts.judge import Case
    from edge_gateway.rules.columns.inputs import Rows
    from edge_gateway.rules.columns.registry_view import RegistryView
    from edge_gateway.rules.language.ruleset import Rule

AlertKey = tuple[int, int]
"""Device and rule, by number."""


@dataclass(slots=True)
class Newest:
    """By device: the newest reading (boot, seq, backlog) and the listening clock when it came."""

    boot: IntColumn
    seq: IntColumn
    backlog: BoolColumn
    heard: IntColumn

    @classmethod
    def empty(cls) -> Newest:
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
    """`standings` are the alerts that are pending or firing."""

    rules: tuple[Rule, ...]
    registry: RegistryView
    program: Program
    cells: Cells
    inputs: Inputs
    histories: Histories
    newest: Newest
    standings: dict[AlertKey, Standing]

    @classmethod
    def at_rest(cls, rules: tuple[Rule, ...], registry: RegistryView, lookback_ms: int) -> RuleState:
        """Nothing known of any device yet."""
        program = Program(rules, registry.strings)
        inputs = Inputs(program.inputs, registry, lookback_ms)
        histories = Histories(program.names)
        return cls(rules, registry, program, Cells(program), inputs, histories, Newest.empty(), {})

    def make_room(self) -> None:
        """Room for all devices of the registry."""
        count = self.registry.devices
        self.cells.make_room(count)
        self.inputs.make_room(count)
        self.newest.make_room(len(self.inputs.cursor))

    def forget(self, devices: IntColumn) -> None:
        """Make these devices as if they had never sent anything."""
        self.inputs.forget(devices)
        self.histories.forget(devices)
        self.newest.forget(devices)

    def now(self, listening_ms: int) -> IntColumn:
        """Each device's now: its newest accepted time and what was listened since."""
        return self.inputs.cursor + np.maximum(listening_ms - self.newest.heard, 0)

    def levels(self, device: int, rule: int) -> tuple[Level, ...]:
        """The levels of a rule on a device as they stand."""
        cells = self.cells
        return tuple(
            Level(
                cell,
                self.program.latches[latch],
                bool(cells.on[cell]),
                int(cells.up[cell]),
                int(cells.down[cell]),
            )
            for cell, latch in cells.cells_of(device, rule)
        )

    def limit(self, device: int, rule: int, rank: int) -> float | None:
        """The limit of a level of a rule on a device; None where it has none."""
        latch = self.cells.latch_of(device, rule, rank)
        return None if latch < 0 else self.program.latches[latch].limit

    def keep(self, case: Case, alert: int) -> None:
        """Store what was decided of an alert; `alert` is its first cell."""
        cells, raised = self.cells, 0
        for level in case.levels:
            cells.on[level.cell], cells.up[level.cell], cells.down[level.cell] = (
                level.on,
                level.up,
                level.down,
            )
            cells.busy[level.cell] = level.on or level.up > 0
            raised += level.on and level.latch.raises
        cells.raised[alert] = raised
        self.stand(case)

    def stand(self, case: Case) -> None:
        key = (case.device, case.rule)
        if case.standing is None:
            self.standings.pop(key, None)
        else:
            self.standings[key] = case.standing

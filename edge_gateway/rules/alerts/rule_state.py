"""All state of the rules in force: compiled rules, latch cells, last values, histories, active alerts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from edge_gateway.columns.growing import with_room
from edge_gateway.records.alerts import NO_READING
from edge_gateway.rules.alerts.evaluated import Evaluated
from edge_gateway.rules.alerts.expected import Expected
from edge_gateway.rules.alerts.latch_cells import LatchCells
from edge_gateway.rules.alerts.state_machine import ActiveAlert, LevelState
from edge_gateway.rules.alerts.transition_builder import Reading
from edge_gateway.rules.columns.frame_columns import Histories
from edge_gateway.rules.columns.inputs import Inputs, lookbacks
from edge_gateway.rules.columns.program import Program
from edge_gateway.rules.columns.schedules import ALWAYS, Schedules
from edge_gateway.rules.groups.aggregates import split
from edge_gateway.rules.language.ruleset import DEFAULT_LOOKBACK
from edge_gateway.rules.language.zones import UTC_EVERYWHERE, Zones

if TYPE_CHECKING:
    from edge_gateway.columns.frame import BoolColumn, Frame, IntColumn
    from edge_gateway.rules.alerts.single_alert import SingleAlert
    from edge_gateway.rules.columns.registry_view import RegistryView
    from edge_gateway.rules.columns.rows import Rows
    from edge_gateway.rules.language.ruleset import Rule

NO_LIMIT: Final = 1 << 62

AlertKey = tuple[int, int]
"""(device number, rule number)."""


class Instant(NamedTuple):
    """A moment in ms: by the listening clock and by the wall clock, None if that is not known."""

    listening: int
    wall: int | None = None
    trusted: bool = True


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
        device, source = rows.device, rows.source
        if not rows.in_order:
            newest = rows.at == rows.now
            device, source = device[newest], source[newest]
        self.boot[device] = frame.boot[source]
        self.seq[device] = frame.seq[source]
        self.backlog[device] = frame.backlog[source]
        self.heard[device] = listening_ms

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


class Ages(NamedTuple):
    """How old readings may be, ms.

    `lookback`: a metric's last value, to be known beside newer ones of other metrics. `max_reading_age`: a device's
    newest, to cause a notice or a command when time makes an alert fire.
    """

    lookback: int = DEFAULT_LOOKBACK
    max_reading_age: int = NO_LIMIT


@dataclass(slots=True)
class AlertState:
    """The latches and the alerts of subjects, devices or groups of them; the alerts `active` pend or fire."""

    rules: tuple[Rule, ...]
    program: Program
    cells: LatchCells
    schedules: Schedules
    active: dict[AlertKey, ActiveAlert]

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
                int(cells.stamps[cell]),
                int(cells.seen[cell]),
            )
            for cell, latch in cells.cells_of(device, rule)
        )

    def limit(self, device: int, rule: int, rank: int, at: int) -> float | None:
        """The limit of a rule's level on a device at a time (ms); None for a condition or a level it does not have."""
        number = self.cells.latch_of(device, rule, rank)
        if number < 0:
            return None
        latch = self.program.latches[number]
        if latch.timed == ALWAYS:
            return latch.limit
        limits = self.program.timed[latch.timed]
        for schedule, threshold in limits.by_time:
            begin, _ = self.schedules.spans_at(np.array([schedule]), np.array([device]), np.array([at]))
            if begin[0]:
                return threshold * latch.sign
        return latch.limit

    def store(self, alert: SingleAlert, first_cell: int) -> None:
        """Store the levels and the state of an alert that was stepped; `first_cell` is its first cell."""
        cells, raised = self.cells, 0
        for level in alert.levels:
            cells.on[level.cell], cells.up[level.cell], cells.down[level.cell] = (
                level.on,
                level.up,
                level.down,
            )
            cells.stamps[level.cell] = level.stamps
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


@dataclass(slots=True)
class RuleState(AlertState):
    """State of the alert rules of devices; `max_reading_age` as in `Ages`."""

    registry: RegistryView
    inputs: Inputs
    histories: Histories
    newest: NewestReadings
    expected: Expected
    max_reading_age: int
    evaluated: Evaluated

    @classmethod
    def initial(
        cls,
        rules: tuple[Rule, ...],
        registry: RegistryView,
        ages: Ages,
        zones: Zones = UTC_EVERYWHERE,
        group_rules: tuple[Rule, ...] = (),
    ) -> RuleState:
        """The state before the first reading; `group_rules`: those whose aggregates read what devices send."""
        program = Program(rules, registry.strings, [*split(group_rules).aggregates.values()])
        lookback = lookbacks(program.inputs, (*rules, *group_rules), ages.lookback)
        return cls(
            rules=rules,
            program=program,
            cells=LatchCells(program),
            schedules=Schedules(program.schedules, zones),
            active={},
            registry=registry,
            inputs=Inputs(program.inputs, registry, lookback),
            histories=Histories(program.symbols),
            newest=NewestReadings.empty(),
            expected=Expected(program.awaited),
            max_reading_age=ages.max_reading_age,
            evaluated=Evaluated(len(program.inputs)),
        )

    def make_room(self) -> None:
        """Make room for all devices of the registry."""
        count = self.registry.devices
        self.cells.make_room(count)
        self.inputs.make_room(count)
        self.newest.make_room(len(self.inputs.cursor))
        self.expected.make_room(len(self.inputs.cursor))

    def forget(self, devices: IntColumn) -> None:
        """Drop what these devices have sent."""
        self.inputs.forget(devices)
        self.histories.forget(devices)
        self.newest.forget(devices)
        self.expected.forget(devices)

    def shift(self, devices: IntColumn, by: IntColumn) -> None:
        """Follow clocks that were set by so many ms: durations stay, ranges start anew."""
        self.inputs.shift(devices, by)
        self.histories.forget(devices)
        self.cells.shift(devices, by)
        of = dict(zip(devices.tolist(), by.tolist(), strict=True))
        for (device, _), active in self.active.items():
            if device in of:
                active.shift(of[device])

    def now(self, listening_ms: int) -> IntColumn:
        """Each device's now in ms: its newest accepted time plus the listening time since it was last heard."""
        return self.inputs.cursor + np.maximum(listening_ms - self.newest.heard, 0)

    def is_old(self, device: int, at: Instant) -> bool:
        """Whether the device's newest reading is too old by then to cause a notice or a command."""
        newest = int(self.inputs.cursor[device])
        listened = at.listening - int(self.newest.heard[device])
        age = listened if at.wall is None or not at.trusted else max(listened, at.wall - newest)
        return age > self.max_reading_age

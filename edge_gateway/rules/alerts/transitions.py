"""Turn changes of alerts into transitions, with the reading and the value behind each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from edge_gateway.rules.alerts.state_machine import NOTHING, StateChange
from edge_gateway.rules.alerts.transition_builder import Details, Reading, TransitionBuilder
from edge_gateway.rules.columns.program import ABSENT, NO_COLUMN

if TYPE_CHECKING:
    from edge_gateway.columns.frame import Frame
    from edge_gateway.records.alerts import Transition
    from edge_gateway.rules.alerts.rule_state import RuleState
    from edge_gateway.rules.alerts.single_alert import AlertEvent
    from edge_gateway.rules.alerts.state_machine import ActiveAlert
    from edge_gateway.rules.alerts.step import FrameResult
    from edge_gateway.rules.columns.frame_columns import ColumnTable


def transitions_from_readings(
    state: RuleState, builder: TransitionBuilder, result: FrameResult, frame: Frame
) -> list[Transition]:
    """The transitions caused by the readings of a frame."""
    transitions: list[Transition] = []
    for event in result.events:
        source = int(result.rows.source[event.row])
        reading = Reading(int(frame.boot[source]), int(frame.seq[source]), bool(frame.backlog[source]))
        transitions.append(_transition(state, builder, event, reading, _value_at(result.table, event)))
    return transitions


def transitions_from_time(
    state: RuleState, builder: TransitionBuilder, events: list[AlertEvent]
) -> list[Transition]:
    """The transitions caused by time, a reload or changed tags; each names the device's newest reading."""
    return [
        _transition(state, builder, event, state.newest.reading(event.device), _last_value(state, event))
        for event in events
    ]


def _transition(
    state: RuleState, builder: TransitionBuilder, event: AlertEvent, reading: Reading, value: float | None
) -> Transition:
    limit = state.limit(event.device, event.rule, event.change.rank)
    if event.change.cause == "no_data":
        # silence is known from listening, now, however old the last reading is
        reading, value, limit = reading._replace(backlog=False), None, None
    rule = state.rules[event.rule]
    return builder.transition(
        rule,
        event.device,
        event.change,
        event.onset,
        Details(state.program.main_metric[event.rule], reading, value, limit),
    )


def _value_at(table: ColumnTable, event: AlertEvent) -> float | None:
    column = event.levels[0].latch.value_column
    return None if column == NO_COLUMN else _known(float(table.y[table.place[column], event.row]))


def _last_value(state: RuleState, event: AlertEvent) -> float | None:
    levels = [level for level in event.levels if level.latch.key != ABSENT]
    return _known(float(state.cells.value[levels[0].cell])) if levels else None


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def listed_alert(
    state: RuleState, builder: TransitionBuilder, device: int, number: int, active: ActiveAlert
) -> Transition:
    """An active alert as last reported, without notice and commands."""
    condition: Literal["firing", "pending"] = "firing" if active.firing else "pending"
    change = StateChange(condition, condition, active.rank, NOTHING, active.at)
    busy = [
        level
        for level in state.levels(device, number)
        if level.latch.key != ABSENT and (level.on or level.up)
    ]
    value = _known(float(state.cells.value[busy[0].cell])) if busy else None
    return builder.build(
        state.rules[number],
        device,
        change,
        active.onset,
        Details(
            state.program.main_metric[number],
            state.newest.reading(device),
            value,
            state.limit(device, number, active.rank),
        ),
    )

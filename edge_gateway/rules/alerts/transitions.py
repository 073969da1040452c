"""Turn changes of alerts into transitions, with the reading and the value behind each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from edge_gateway.rules.alerts.single_alert import AlertEvent
from edge_gateway.rules.alerts.state_machine import NOTHING, StateChange
from edge_gateway.rules.alerts.transition_builder import Details, Reading, TransitionBuilder
from edge_gateway.rules.columns.program import ABSENT, NO_COLUMN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_gateway.columns.frame import Frame
    from edge_gateway.records.alerts import Transition
    from edge_gateway.rules.alerts.rule_state import Instant, RuleState
    from edge_gateway.rules.alerts.state_machine import ActiveAlert
    from edge_gateway.rules.alerts.step import FrameResult
    from edge_gateway.rules.columns.frame_columns import ColumnTable


def transitions_from_readings(
    state: RuleState, builder: TransitionBuilder, result: FrameResult, frame: Frame
) -> list[Transition]:
    """The transitions caused by the readings of a frame, and those that tell what was owed."""
    rows, found = result.columns.rows, []
    for event in _with_looks(state, builder, result, frame):
        if isinstance(event, _Look):
            settled = _settled(state, builder, event)
            if settled is None:
                continue
            event = settled  # noqa: PLW2901 - what the look came to
        source = int(rows.source[event.row])
        reading = Reading(int(frame.boot[source]), int(frame.seq[source]), bool(frame.backlog[source]))
        found.append(_transition(state, builder, event, reading, _value_at(result.table, event)))
    return found


class _Look(NamedTuple):
    """A live reading that evaluates a rule of which a device may be owed something. `at`: the rule's now, ms."""

    row: int
    rule: int
    device: int
    at: int


def _with_looks(
    state: RuleState, builder: TransitionBuilder, result: FrameResult, frame: Frame
) -> list[AlertEvent | _Look]:
    """The events of a frame, and between them the readings that may settle what is owed before or since."""
    rows = result.columns.rows
    if not (result.events or builder.told.owed):
        return []
    owing = {(event.device, event.rule) for event in result.events if frame.backlog[rows.source[event.row]]}
    numbers = state.program.number_of
    owing |= {(device, numbers[name]) for device, name in builder.told.owed}
    if not owing:
        return list(result.events)
    looks = [look for key in owing for look in _looks(state, result, frame, *key)]
    both: list[AlertEvent | _Look] = [*result.events, *looks]
    return sorted(both, key=lambda each: (int(rows.source[each.row]), each.rule, isinstance(each, _Look)))


def _looks(state: RuleState, result: FrameResult, frame: Frame, device: int, rule: int) -> Iterator[_Look]:
    rows, clock = result.columns.rows, state.program.clocks[rule]
    own = np.flatnonzero((rows.device == device) & ~frame.backlog[rows.source])
    own = own[rows.has_any(clock, own)]
    if len(own):
        now = result.columns.now(clock)
        yield from (_Look(row, rule, device, int(now[row])) for row in own.tolist())


def _settled(state: RuleState, builder: TransitionBuilder, look: _Look) -> AlertEvent | None:
    key = (look.device, state.rules[look.rule].name)
    if key not in builder.told.owed:
        return None
    change, onset = builder.told.settled(key, look.at)
    active = state.active.get((look.device, look.rule))
    if active is not None and active.firing:
        active.notified_at = max(active.notified_at, change.at)
    levels = state.levels(look.device, look.rule)
    return AlertEvent(look.row, look.rule, look.device, change, onset, levels)


def transitions_from_time(
    state: RuleState, builder: TransitionBuilder, events: list[AlertEvent], *, at: Instant | None = None
) -> list[Transition]:
    """The transitions caused by time, a reload or changed tags; each names the device's newest reading.

    An alert that begins or escalates with time, at `at`, does so on that reading, which may be too old by then.
    """
    found = []
    for event in events:
        reading = state.newest.reading(event.device)
        if at is not None and event.change.cause in ("firing", "escalated"):
            reading = reading._replace(backlog=reading.backlog or state.is_old(event.device, at))
        found.append(_transition(state, builder, event, reading, _last_value(state, event)))
    return found


def _transition(
    state: RuleState, builder: TransitionBuilder, event: AlertEvent, reading: Reading, value: float | None
) -> Transition:
    limit = state.limit(event.device, event.rule, event.change.rank, event.change.at)
    by_time = event.change.cause == "schedule" and event.row == NOTHING
    if by_time or event.change.cause in ("no_data", "removed"):
        # known now, however old the last reading is
        reading = reading._replace(backlog=False)
    if event.change.cause in ("no_data", "expired", "schedule"):
        value, limit = None, None
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
            state.limit(device, number, active.rank, active.at),
        ),
    )

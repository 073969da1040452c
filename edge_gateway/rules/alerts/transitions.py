"""Turn changes of alerts into transitions, with the reading and the value behind each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edge_gateway.rules.alerts.single_alert import AlertEvent
from edge_gateway.rules.alerts.state_machine import NOTHING, ActiveAlert, StateChange
from edge_gateway.rules.alerts.transition_builder import Details, Reading, TransitionBuilder
from edge_gateway.rules.columns.program import ABSENT, NO_COLUMN

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from edge_gateway.columns.frame import Frame
    from edge_gateway.records.alerts import Transition
    from edge_gateway.rules.alerts.rule_state import AlertKey, Instant, RuleState
    from edge_gateway.rules.alerts.step import FrameResult
    from edge_gateway.rules.columns.frame_columns import ColumnTable
    from edge_gateway.rules.muting.acknowledgements import Acknowledgement
    from edge_gateway.rules.muting.subject import AlertSubject

BY_READINGS: Final = frozenset({"reading", "time", "expired"})
"""Causes that rest on readings, which may be too old to act on; all others are known now."""
KEPT_BY_DEVICES: Final = 43_200_000
"""For so many ms of silence a reminder leaves room for readings that the device may have kept."""


def transitions_from_readings(
    state: RuleState, builder: TransitionBuilder, result: FrameResult, frame: Frame
) -> list[Transition]:
    """The transitions caused by the readings of a frame, and those that tell what was owed."""
    found = []
    if builder.muting.inhibition:
        for change in result.events:
            _foresee(state, builder, change, *_read(result, frame, change))
    for event in _with_looks(state, builder, result, frame):
        if isinstance(event, _Look):
            settled = _settled(state, builder, event)
            if settled is None:
                continue
            event = settled  # noqa: PLW2901 - what the look came to
        read = _read(result, frame, event)
        found.append(_transition(state, builder, event, *read, read_at=event.change.at))
    builder.muting.settle()
    return found


def _read(result: FrameResult, frame: Frame, event: AlertEvent) -> tuple[Reading, float | None]:
    """The reading behind an event, and the value that the rule saw."""
    source = int(result.columns.rows.source[event.row])
    reading = Reading(int(frame.boot[source]), int(frame.seq[source]), bool(frame.backlog[source]))
    return reading, _value_at(result.table, event)


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
    numbers, here = state.program.number_of, set(rows.device.tolist() if builder.told.owed else ())
    owing |= {(device, numbers[name]) for device, name in builder.told.owed if device in here}
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
    change, alert = builder.told.settled(key, look.at)
    active = state.active.get((look.device, look.rule))
    if active is not None and active.firing:
        active.notified_at = max(active.notified_at, change.at)
    levels = state.levels(look.device, look.rule)
    told = ActiveAlert(change, change.at, alert)
    return AlertEvent(look.row, look.rule, look.device, change, told, levels)


def transitions_from_time(
    state: RuleState, builder: TransitionBuilder, events: list[AlertEvent], *, at: Instant | None = None
) -> list[Transition]:
    """The transitions caused by time, a reload or changed tags; each names the device's newest reading.

    An alert that begins or escalates with time, at `at`, does so on that reading, which may be too old by then.
    """
    found = []
    if builder.muting.inhibition:
        for event in events:
            _foresee(state, builder, event, state.newest.reading(event.device), last_value(state, event))
    for event in events:
        reading = state.newest.reading(event.device)
        if at is not None and event.change.event in ("firing", "escalated"):
            reading = reading._replace(backlog=reading.backlog or state.is_old(event.device, at))
        found.append(_transition(state, builder, event, reading, last_value(state, event)))
    builder.muting.settle()
    return found


def _foresee(
    state: RuleState, builder: TransitionBuilder, event: AlertEvent, reading: Reading, value: float | None
) -> None:
    details = details_of(state, event, reading, value)
    builder.foresee(state.rules[event.rule], event.device, event.change, details)


def _transition(
    state: RuleState,
    builder: TransitionBuilder,
    event: AlertEvent,
    reading: Reading,
    value: float | None,
    *,
    read_at: int | None = None,
) -> Transition:
    ends_by_reading = event.change.cause == "schedule" and event.row != NOTHING
    if event.change.cause not in BY_READINGS and not ends_by_reading:
        reading = reading._replace(backlog=False)
    if event.change.cause in ("no_data", "expired", "schedule"):
        value = None
    details = details_of(state, event, reading, value)._replace(read_at=read_at)
    return builder.transition(state.rules[event.rule], event.device, event.change, event.alert, details)


def details_of(state: RuleState, event: AlertEvent, reading: Reading, value: float | None) -> Details:
    """What the transition of an event shows beside the change."""
    rule, change = event.rule, event.change
    limit = None if value is None else state.limit(event.device, rule, change.rank, change.at)
    silent = change.state == "firing" and {level.latch.key for level in event.levels if level.on} == {ABSENT}
    return Details(state.program.main_metric[rule], reading, value, limit, silent)


def _value_at(table: ColumnTable, event: AlertEvent) -> float | None:
    column = event.levels[0].latch.value_column
    return None if column == NO_COLUMN else _known(float(table.y[table.place[column], event.row]))


def last_value(state: RuleState, event: AlertEvent) -> float | None:
    """The value that the alert's levels saw, if they saw the newest; those that are on, where the alert fires.

    A level at rest sees nothing.
    """
    cells, fires = state.cells, event.change.state == "firing"
    own = [each.cell for each in event.levels if each.latch.key != ABSENT and (each.on or not fires)]
    if not own:
        return None
    cell = max(own, key=lambda one: int(cells.seen[one]))
    newest = int(state.inputs.last_at[event.device, state.program.read[event.rule]].max())
    return _known(float(cells.value[cell])) if cells.seen[cell] >= max(newest, 1) else None


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def listed_alert(
    state: RuleState, builder: TransitionBuilder, device: int, number: int, active: ActiveAlert
) -> Transition:
    """An active alert as its last change was told, with the value read since; without notice and commands."""
    change, details = _as_it_stands(state, device, number, active)
    return builder.build(state.rules[number], device, change, active.id, details)


def subject_of_alert(
    state: RuleState, builder: TransitionBuilder, device: int, number: int, active: ActiveAlert
) -> AlertSubject:
    """An active alert as silences and inhibits see it."""
    change, details = _as_it_stands(state, device, number, active)
    return builder.subject(state.rules[number], device, change, details)


def acknowledged(
    state: RuleState, builder: TransitionBuilder, key: AlertKey, given: Acknowledgement, listening_ms: int
) -> Transition:
    """Acknowledge an alert that fires; the transition that says so, at its device's now."""
    active = state.active[key]
    at = max(active.at, int(state.now(listening_ms)[key[0]]))
    _, details = _as_it_stands(state, *key, active)
    change = StateChange("acknowledged", "operator", "firing", active.rank, active.rank, at)
    return builder.acknowledge(state.rules[key[1]], key[0], change, given, details)


def reminders(
    state: RuleState, builder: TransitionBuilder, wanted: Container[str], listening_ms: int
) -> list[Transition]:
    """The alerts with these ids that fire, once more as they are now, by device and rule.

    Each has the time of its device's newest reading, because what a device keeps while it is away may still change the
    alert, and a transition is always later than the one before. That of a device silent for longer follows its now.
    """
    found, now = [], state.now(listening_ms)
    for (device, number), active in sorted(state.active.items()):
        if active.firing and active.id in wanted:
            read_at = max(int(state.inputs.cursor[device]), int(now[device]) - KEPT_BY_DEVICES)
            _, details = _as_it_stands(state, device, number, active)
            found.append(builder.remind(state.rules[number], device, active, read_at, details))
    return found


def _as_it_stands(
    state: RuleState, device: int, number: int, active: ActiveAlert
) -> tuple[StateChange, Details]:
    change = active.change._replace(at=active.stamp)
    event = AlertEvent(NOTHING, number, device, change, active, state.levels(device, number))
    return change, details_of(state, event, state.newest.reading(device), last_value(state, event))


def firing_subjects(state: RuleState, builder: TransitionBuilder) -> list[AlertSubject]:
    """The alerts of devices that fire, as silences and inhibits see them."""
    return [
        subject_of_alert(state, builder, *key, each)
        for key, each in sorted(state.active.items())
        if each.firing
    ]

"""Values that count while their devices are online: what ends when they are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_gateway.rules.alerts.single_alert import AlertEvent, SingleAlert, end_waits
from edge_gateway.rules.alerts.state_machine import NOTHING

if TYPE_CHECKING:
    from edge_gateway.rules.alerts.rule_state import RuleState


def end_lost_waits(state: RuleState, device: int, listening_ms: int) -> list[AlertEvent]:
    """End the waits of a device on values that it has lost by now; what fires keeps firing until it is evaluated."""
    now = int(state.now(listening_ms)[device])
    events: list[AlertEvent] = []
    for number in sorted(rule for owner, rule in state.active if owner == device):
        read = state.program.read[number]
        levels = list(state.levels(device, number))
        waits = [level for level in levels if level.up and not level.on]
        if waits and state.inputs.lost[device, read].any():
            alert = SingleAlert(device, number, levels, state.active[device, number])
            end_waits(alert, waits, now, NOTHING)
            state.store(alert, min(level.cell for level in levels))
            events += alert.events
    return events


def lose_missing(state: RuleState, events: list[AlertEvent]) -> set[tuple[int, str]]:
    """Lose the values of metrics that were found missing; (device, metric) of each that counts while online."""
    found: set[tuple[int, str]] = set()
    for event in events:
        no_data = state.rules[event.rule].no_data
        if event.change.cause == "no_data" and no_data is not None:
            state.inputs.lose(event.device, state.program.watched(no_data.metric))
            found.add((event.device, no_data.metric))
    return found

"""Values that count while their devices are online: what ends when they are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_gateway.rules.alerts.single_alert import AlertEvent, SingleAlert, end_waits
from edge_gateway.rules.alerts.state_machine import NOTHING

if TYPE_CHECKING:
    from edge_gateway.rules.alerts.rule_state import RuleState


def end_lost_waits(
    state: RuleState, device: int, lost: frozenset[int], listening_ms: int
) -> list[AlertEvent]:
    """End the waits of a device on values that were lost now; what fires keeps firing until it is evaluated.

    `lost`: the inputs that had a value until now.
    """
    if not lost:
        return []
    now = int(state.now(listening_ms)[device])
    events: list[AlertEvent] = []
    for number in sorted(rule for owner, rule in state.active if owner == device):
        levels = list(state.levels(device, number))
        waits = [level for level in levels if level.up and not level.on]
        if waits and not lost.isdisjoint(state.program.read[number].tolist()):
            alert = SingleAlert(device, number, levels, state.active[device, number])
            end_waits(alert, waits, now, NOTHING)
            state.store(alert, min(level.cell for level in levels))
            events += alert.events
    return events

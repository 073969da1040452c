"""Tell what was withheld, once nothing mutes it any more: of each alert the state that it is in by then, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_gateway.rules.alerts.single_alert import AlertEvent
from edge_gateway.rules.alerts.state_machine import NOTHING, ActiveAlert, StateChange
from edge_gateway.rules.alerts.transitions import details_of, last_value
from edge_gateway.rules.muting.flapping import FLAPPING

if TYPE_CHECKING:
    from edge_gateway.records.alerts import Transition
    from edge_gateway.rules.alerts.rule_state import RuleState
    from edge_gateway.rules.alerts.transition_builder import TransitionBuilder
    from edge_gateway.rules.muting.notices import LastTold, Withheld
    from edge_gateway.rules.muting.subject import Key
    from fleet_wire.control_messages import AlertCause


def released(
    state: RuleState, builder: TransitionBuilder, cause: AlertCause, listening_ms: int
) -> list[Transition]:
    """The transitions that tell what was withheld and is muted no more, by rule and subject.

    An alert that fires is told if it was not told so; one that ended, if its beginning was told; either, if it flapped.
    Commands are not given again.
    """
    muting, of_devices = builder.muting, state.program.number_of
    found, now = [], state.now(listening_ms)
    for key, withheld in sorted(muting.notices.withheld.items()):
        if key[0] not in of_devices:
            continue
        event = _standing(state, builder, key, withheld, cause)
        if event is None:
            del muting.notices.withheld[key]
            muting.moved = True
            continue
        change = event.change._replace(at=max(event.change.at, int(now[event.device])))
        rule, reading = state.rules[event.rule], state.newest.reading(event.device)
        details = details_of(state, event, reading, last_value(state, event))
        by = muting.standing(builder.subject(rule, event.device, change, details))
        if by:
            muting.moved |= by != withheld.by
            muting.notices.withheld[key] = withheld._replace(by=by)
        else:
            event.alert.notified_at = max(event.alert.notified_at, change.at)
            found.append(builder.release(rule, event.device, change, event.alert.id, details))
    return found


def _standing(
    state: RuleState, builder: TransitionBuilder, key: Key, withheld: Withheld, cause: AlertCause
) -> AlertEvent | None:
    """The state of an alert as a change to be told; None if there is nothing to tell, or a reading will."""
    number, device = state.program.number_of[key[0]], state.registry.find(key[1])
    if device is None or (device, key[0]) in builder.told.owed:
        return None
    heard, active = builder.muting.notices.heard.get(key), state.active.get((device, number))
    told = to_be_told(active, heard, withheld, cause)
    if told is None:
        return None
    change, alert = told
    return AlertEvent(NOTHING, number, device, change, alert, state.levels(device, number))


def to_be_told(
    active: ActiveAlert | None, heard: LastTold | None, withheld: Withheld, cause: AlertCause
) -> tuple[StateChange, ActiveAlert] | None:
    """The change that tells what was withheld of an alert, and the alert; None if there is nothing to tell.

    `active`: the alert, if it pends or fires; `heard`: what was told of it last, if it was told to fire.
    """
    flapped = FLAPPING in withheld.by
    if active is not None and active.firing:
        if heard == (active.id, active.rank) and not flapped:
            return None
        before = heard.rank if heard is not None and heard.alert == active.id else NOTHING
        return StateChange("released", cause, "firing", active.rank, before, active.at), active
    if heard is None and not (flapped and withheld.change.state == "resolved"):
        return None
    rank = withheld.change.rank
    change = StateChange("released", cause, "resolved", rank, rank, withheld.change.at)
    return change, ActiveAlert(change, change.at, withheld.alert if heard is None else heard.alert)

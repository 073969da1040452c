"""Who is told of the alerts of groups: what is withheld of them, who has seen them, and what they inhibit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_gateway.rules.alerts.released import to_be_told
from edge_gateway.rules.alerts.single_alert import AlertEvent
from edge_gateway.rules.alerts.state_machine import NOTHING, StateChange
from edge_gateway.rules.groups.alerts import stamp_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from edge_gateway.records.alerts import Transition
    from edge_gateway.rules.alerts.rule_state import Instant
    from edge_gateway.rules.alerts.transition_builder import Details
    from edge_gateway.rules.groups.alerts import GroupAlerts
    from edge_gateway.rules.muting.acknowledgements import Acknowledgement
    from edge_gateway.rules.muting.notices import Withheld
    from edge_gateway.rules.muting.subject import AlertSubject, Key
    from fleet_wire.control_messages import AlertCause


def released(of: GroupAlerts, cause: AlertCause, at: Instant) -> list[Transition]:
    """The transitions that tell what was withheld of groups and is muted no more, by rule and subject."""
    muting, found = of.builder.muting, []
    numbers = {rule.name: number for number, rule in enumerate(of.rules)}
    for key, withheld in sorted(muting.notices.withheld.items()):
        if key[0] not in numbers:
            continue
        event = _standing(of, numbers[key[0]], key, withheld, cause)
        if event is None:
            del muting.notices.withheld[key]
            muting.moved = True
            continue
        rule, details = of.rules[event.rule], _details(of, event, at)
        change = event.change._replace(at=stamp_of(at.listening + 1, at))
        by = muting.standing(of.builder.subject(rule, event.device, change, details))
        if by:
            muting.moved |= by != withheld.by
            muting.notices.withheld[key] = withheld._replace(by=by)
        else:
            built = of.builder.release(rule, event.device, change, event.alert.id, details)
            found.append(of.of_group(built, event.device))
    return found


def _standing(
    of: GroupAlerts, rule: int, key: Key, withheld: Withheld, cause: AlertCause
) -> AlertEvent | None:
    """The state of a group's alert as a change to be told; None if there is nothing to tell."""
    group = of.groups.find(key[1])
    if group is None:
        return None
    heard, active = of.builder.muting.notices.heard.get(key), of.state.active.get((group, rule))
    told = to_be_told(active, heard, withheld, cause)
    return None if told is None else AlertEvent(NOTHING, rule, group, *told, ())


def _details(of: GroupAlerts, event: AlertEvent, at: Instant) -> Details:
    """What is shown beside a change that tells how a group is now."""
    seen = event._replace(change=event.change._replace(cause="reading"))
    return of.details(seen, of.looks(at).get(event.rule), at)


def acknowledge(of: GroupAlerts, given: Acknowledgement, at: Instant) -> Transition | None:
    """Acknowledge the alert of a group, if it fires; the transition that says so."""
    for (group, rule), active in of.state.active.items():
        if active.id == given.alert and active.firing:
            now = stamp_of(at.listening + 1, at)
            change = StateChange("acknowledged", "operator", "firing", active.rank, active.rank, now)
            event = AlertEvent(NOTHING, rule, group, change, active, ())
            built = of.builder.acknowledge(of.rules[rule], group, change, given, _details(of, event, at))
            return of.of_group(built, group)
    return None


def reminders(of: GroupAlerts, wanted: Container[str], at: Instant) -> list[Transition]:
    """The alerts of groups with these ids that fire, once more as they are now."""
    found, now = [], stamp_of(at.listening + 1, at)
    wanted_ones = [key for key, each in of.state.active.items() if each.firing and each.id in wanted]
    for group, rule in sorted(wanted_ones, key=lambda key: (of.groups.device_name[key[0]], key[1])):
        active = of.state.active[group, rule]
        event = AlertEvent(NOTHING, rule, group, active.change, active, ())
        built = of.builder.remind(of.rules[rule], group, active, now, _details(of, event, at))
        found.append(of.of_group(built, group))
    return found


def firing(of: GroupAlerts, at: Instant) -> Iterator[AlertSubject]:
    """The alerts of groups that fire, as silences and inhibits see them."""
    for (group, rule), active in of.state.active.items():
        if active.firing:
            event = AlertEvent(NOTHING, rule, group, active.change, active, ())
            yield of.builder.subject(of.rules[rule], group, active.change, of.details(event, None, at))

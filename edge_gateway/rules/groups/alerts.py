"""The alerts of groups: evaluated on ticks, in the gateway's own time.

    Tick ─▶ Membership: who is in which group
              └▶ Observer: what the devices have ─▶ aggregates, one value a group ─▶ columns of each level
                   └▶ latches that would change ─▶ SingleAlert ─▶ TransitionBuilder ─▶ Transition

A tick on which no latch changes leaves all state as it is, so that it need not be journaled. Waits and alerts count in
listening time, which nobody sets; only transitions are stamped with the wall clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from edge_gateway.records.alerts import NO_READING, Transition
from edge_gateway.rules.alerts.latch_cells import LatchCells, SavedCells
from edge_gateway.rules.alerts.reload import Fate, carried_over, judge_by_limits, successors
from edge_gateway.rules.alerts.rule_state import AlertState
from edge_gateway.rules.alerts.single_alert import AlertEvent, SingleAlert, close, repeat_notice
from edge_gateway.rules.alerts.state_machine import NOTHING, ActiveAlert, StateChange, switch_off_cleared
from edge_gateway.rules.alerts.transition_builder import Details, Reading, TransitionBuilder
from edge_gateway.rules.columns.program import Program
from edge_gateway.rules.columns.schedules import Schedules
from edge_gateway.rules.groups.aggregates import split
from edge_gateway.rules.groups.aggregation import Aggregate
from edge_gateway.rules.groups.latches import GroupLatches, latches_of
from edge_gateway.rules.groups.looks import Observer
from edge_gateway.rules.groups.members import Membership
from edge_gateway.rules.groups.names import Groups

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_gateway.columns.frame import IntColumn
    from edge_gateway.rules.alerts.rule_state import AlertKey, Instant, RuleState
    from edge_gateway.rules.groups.looks import GroupLook
    from edge_gateway.rules.language.matching import Variant
    from edge_gateway.rules.language.ruleset import Rule
    from edge_gateway.rules.language.zones import Zones
    from edge_gateway.rules.muting.verdicts import Muting
    from fleet_wire.control_messages import AlertCause

_NO_READING = Reading(NO_READING, NO_READING, backlog=False)


class SeenChange(NamedTuple):
    """A change of a group's alert, and what its transition shows beside it."""

    event: AlertEvent
    details: Details


class GroupAlerts:
    """All rules over groups of the devices of `state`, which it reads and never changes but for range histories.

    `moved`: whether the last tick changed anything, a transition or not.
    """

    def __init__(self, rules: tuple[Rule, ...], state: RuleState, zones: Zones, muting: Muting) -> None:
        self.groups = Groups()
        self.builder = TransitionBuilder(self.groups, muting)
        self.moved = False
        self._build(rules, state, zones)

    def _build(self, rules: tuple[Rule, ...], state: RuleState, zones: Zones) -> None:
        self.rules = rules
        self._devices = state
        parts = split(rules)
        program = Program(parts.rules, state.registry.strings)
        self._reads = [[program.symbols.inputs[each] for each in rule.metrics] for rule in parts.rules]
        compiled = dict(zip(parts.aggregates, state.program.observed, strict=True))
        self._observed = [compiled[name] for name, _ in program.inputs]
        calls = [parts.aggregates[name] for name, _ in program.inputs]
        self._observer = Observer(program, [*map(Aggregate, calls, self._observed)], state)
        schedules = Schedules(program.schedules, zones)
        self.state = AlertState(parts.rules, program, LatchCells(program), schedules, {})
        self.membership = Membership(rules, state.registry, self.groups)
        self._settled = False
        self._looked = False

    # --- time

    def changes(self, at: Instant) -> list[SeenChange]:
        """Let time pass: look at every group, and step the alerts whose latches change.

        What begins to fire inhibits at once, so `transitions` follow those of the devices of the same tick.
        """
        self.moved = False
        if not self.rules:
            return []
        self.follow()
        looks = self.looks(at)
        events = [] if self._settled else self._left(at)
        for rule, look in looks.items():
            events += self._step(rule, look, at)
        if self.state.program.any_repeat:
            events += self._repeats(at)
        self.moved |= bool(events)
        events.sort(key=lambda event: (event.change.at, self.groups.device_name[event.device], event.rule))
        found = [SeenChange(event, self.details(event, looks.get(event.rule), at)) for event in events]
        self._looked = True
        if self.builder.muting.inhibition:
            for event, details in found:
                self.builder.foresee(self.rules[event.rule], event.device, event.change, details)
        return found

    def transitions(self, changes: list[SeenChange], at: Instant) -> list[Transition]:
        """The transitions of the changes of a tick."""
        found = [self._transition(event, details, at) for event, details in changes]
        if changes:
            self.builder.muting.settle()
        if self._looked and not self._settled:
            self._free_groups()
            self._settled = True
        self._looked = False
        return found

    def rest(self) -> list[SeenChange]:
        """Let a tick pass on which the groups are not looked at."""
        self.moved = False
        return []

    def looks(self, at: Instant) -> dict[int, GroupLook]:
        """What each rule that has groups sees; without those that ask for a time of the week nobody knows."""
        now, found = self._devices.now(at.listening), {}
        for rule, reads in enumerate(self._reads):
            members = self.membership.of(rule)
            if len(members.groups) and (at.trusted or not self.rules[rule].schedules):
                found[rule] = self._observer.look(members, reads, at, now)
        return found

    def _step(self, rule: int, look: GroupLook, at: Instant) -> list[AlertEvent]:
        """Step the alerts of one rule in which a latch would change."""
        latches = latches_of(self.state, rule, look, at)
        events: list[AlertEvent] = []
        for place in latches.changing(_clock(at)):
            group = int(look.members.groups[place])
            events += self._step_one(rule, group, latches, place, at)
        return events

    def _step_one(
        self, rule: int, group: int, latches: GroupLatches, place: int, at: Instant
    ) -> list[AlertEvent]:
        self.moved, now = True, _clock(at)
        levels = list(self.state.levels(group, rule))
        alert = SingleAlert(group, rule, levels, self.state.active.get((group, rule)))
        closed = dict.fromkeys(latches.closed_cells(place), now)
        if closed:
            close(alert, closed, NOTHING)
        cause = latches.cause(place, now)
        for level in levels:
            row = latches.row_of(level.cell)
            level.read(now, is_up=bool(latches.is_up[row]), is_down=bool(latches.is_down[row]))
            self.state.cells.value[level.cell] = latches.value[row]
        switch_off_cleared(levels, now, levels)
        alert.step(now, NOTHING, cause)
        self._store(alert, latches.first_cell(place))
        return alert.events

    def _store(self, alert: SingleAlert, first_cell: int) -> None:
        self.state.store(alert, first_cell)
        cells = self.state.cells
        own = [cell for rule in range(len(self.rules)) for cell, _ in cells.cells_of(alert.device, rule)]
        cells.device_busy[alert.device] = bool(cells.busy[own].any())

    def _repeats(self, at: Instant) -> list[AlertEvent]:
        events: list[AlertEvent] = []
        for (group, rule), active in sorted(self.state.active.items()):
            every = self.rules[rule].repeat_ms
            if every is not None:
                alert = SingleAlert(group, rule, list(self.state.levels(group, rule)), active)
                repeat_notice(alert, _clock(at), every)
                events += alert.events
        return events

    # --- who is in the groups

    def follow(self) -> None:
        """Take in what changed in the registry: groups that came and went, and histories of new members.

        Call it before each frame, too, so that the ranges of a new device begin with its first reading.
        """
        if self.membership.follow():
            self._settled = False
            self._place()
            self._enrol()

    def _place(self) -> None:
        """Give each group the latches of its rules; those that it keeps stay as they are."""
        state, cells = self.state, self.state.cells
        cells.make_room(self.groups.devices)
        variants = self._variants()
        classes = cells.classes.numbers([variants.get(each, ()) for each in range(self.groups.devices)])
        moved = np.flatnonzero(classes != cells.class_of[: len(classes)])
        cells.move(moved, classes[moved])
        cells.compact()
        state.schedules.learn_zones(moved.tolist(), self.groups)

    def _variants(self) -> dict[int, tuple[Variant, ...]]:
        """The rules of each group, each with its override."""
        found: dict[int, list[Variant]] = {}
        for rule in range(len(self.rules)):
            members = self.membership.of(rule)
            for group, override in zip(members.groups.tolist(), members.overrides.tolist(), strict=True):
                found.setdefault(group, []).append((rule, override))
        return {group: tuple(own) for group, own in found.items()}

    def _enrol(self) -> None:
        """Start the range histories that aggregates read, on the devices that have none yet."""
        for rule, reads in enumerate(self._reads):
            for ring in dict.fromkeys(ring for number in reads for ring in self._observed[number].rings):
                self._devices.histories.enrol(ring, self.membership.of(rule).devices)

    def _left(self, at: Instant) -> list[AlertEvent]:
        """End the alerts of groups that no device of the rule is in any more."""
        events: list[AlertEvent] = []
        for group, rule in self._active():
            if group not in self.membership.of(rule).groups:
                events += self._end(group, rule, "retired", _clock(at))
        return events

    def _active(self) -> list[AlertKey]:
        """(group, rule) of every alert that pends or fires, by the names of groups: their numbers come by chance."""
        return sorted(self.state.active, key=lambda key: (self.groups.device_name[key[0]], key[1]))

    def _end(self, group: int, rule: int, cause: AlertCause, now: int) -> list[AlertEvent]:
        alert = SingleAlert(group, rule, [], self.state.active[group, rule])
        alert.step(now, NOTHING, cause)
        self.state.store_active(alert)
        return alert.events

    def _free_groups(self) -> None:
        """Give up the numbers of groups without devices."""
        of = self.state.cells.class_of[: self.groups.devices]
        empty = np.flatnonzero(of == 0)
        if len(empty):
            self.builder.forget(empty)
            self.groups.free(empty.tolist())

    # --- transitions

    def _transition(self, event: AlertEvent, details: Details, at: Instant) -> Transition:
        """The transition of a change, stamped with the wall clock."""
        change, rule = event.change, self.rules[event.rule]
        stamped = change._replace(at=stamp_of(change.at, at))
        built = self.builder.transition(rule, event.device, stamped, event.alert, details)
        if change is event.alert.change:
            event.alert.stamp = built.at
        return self.of_group(built, event.device)

    def of_group(self, built: Transition, group: int) -> Transition:
        """A transition as one of a group: without a notice, which only a device gets.

        Its labels tell the group's values, but for those that the rule labels otherwise.
        """
        labels = {**self.groups.values(group), **built.labels}
        return msgspec.structs.replace(built, labels=labels, notify=False)

    def details(self, event: AlertEvent, look: GroupLook | None, at: Instant) -> Details:
        """What the transition of an event shows beside the change."""
        rule, change, group = self.rules[event.rule], event.change, event.device
        value, limit, named = None, None, ""
        if look is not None and change.cause in ("reading", "time", "reload"):
            value = self._value(event.rule, group, look)
        if value is not None:
            limit = self.state.limit(group, event.rule, change.rank, stamp_of(change.at, at))
        if look is not None and group in look.members.groups:
            named = self._observer.named(look, group, above=rule.levels[0].above)
        return Details(rule.metric, _NO_READING, value, limit, devices=named)

    def _value(self, rule: int, group: int, look: GroupLook) -> float | None:
        """What a rule's transitions show of a group: its value, or that of the first aggregate of a condition."""
        place = int(np.searchsorted(look.members.groups, group))
        if place >= len(look.members.groups) or look.members.groups[place] != group:
            return None
        latch = self.state.program.latches[self.state.program.latches_of((rule, -1))[0]]
        value = float(look.column(latch.value_column)[place])
        return None if np.isnan(value) else value

    def shown(self, rule: int, group: int, at: Instant) -> tuple[GroupLook | None, float | None, str]:
        """What a rule sees now, its value for one group, and the devices that this is about."""
        look = self.looks(at).get(rule)
        if look is None or group not in look.members.groups:
            return None, None, ""
        named = self._observer.named(look, group, above=self.rules[rule].levels[0].above)
        return look, self._value(rule, group, look), named

    def active_alerts(self, at: Instant) -> list[Transition]:
        """The pending and firing alerts as last reported, with the values now, by group and rule."""
        looks, found = self.looks(at) if self.state.active else {}, []
        for group, rule in self._active():
            active = self.state.active[group, rule]
            change = active.change._replace(at=active.stamp)
            event = AlertEvent(NOTHING, rule, group, change._replace(cause="reading"), active, ())
            details = self.details(event, looks.get(rule), at)
            built = self.builder.build(self.rules[rule], group, change, active.id, details)
            found.append(self.of_group(built, group))
        return found

    # --- reload

    def reload(
        self, rules: tuple[Rule, ...], devices: RuleState, zones: Zones, at: Instant
    ) -> list[Transition]:
        """Replace the rules, over the new state of the devices' rules."""
        old = self.state
        following = successors(self.rules, rules)
        ended: list[AlertEvent] = []
        for group, rule in self._active():
            if following[rule].fate is Fate.DROPPED:
                cause: AlertCause = "removed" if following[rule].number < 0 else "reload"
                ended += self._end(group, rule, cause, _clock(at))
        found = [self._transition(event, self.details(event, None, at), at) for event in ended]
        saved = carried_over(old.cells.extract(old.cells.all_busy()), following)
        self._build(rules, devices, zones)
        self.state.active = {
            (group, following[rule].number): each for (group, rule), each in old.active.items()
        }
        names = {rule.name for rule in rules}
        newest = np.full(self.groups.devices, _wall(at))
        self.builder.forget_rules(lambda name: name not in names, newest)
        cells = self._settle(saved)
        self._judge(cells[cells >= 0], at)
        return found + self._reconciled(at)

    def _judge(self, cells: IntColumn, at: Instant) -> None:
        """End what waits, or is held, if it does not by the limits of now and the value that its rule sees now."""
        own, rule = self.state.cells, self.state.program.table.rule
        looks = self.looks(at)
        for number, look in looks.items():
            latches = latches_of(self.state, number, look, at)
            known = ~np.isnan(latches.value)
            own.value[latches.cell[known]] = latches.value[known]
        latch, _ = own.latch_at(cells, own.device_at(cells))
        judge_by_limits(self.state, cells[np.isin(rule[latch], list(looks))], _wall(at))

    def _reconciled(self, at: Instant) -> list[Transition]:
        """Bring the alerts in line with the levels that a reload left them."""
        events: list[AlertEvent] = []
        for group, rule in self._active():
            levels, active = list(self.state.levels(group, rule)), self.state.active[group, rule]
            alert = SingleAlert(group, rule, levels, active)
            alert.step(_clock(at), NOTHING, "reload")
            self.state.store_active(alert)
            events += alert.events
        return [self._transition(event, self.details(event, None, at), at) for event in events]

    def _settle(self, saved: SavedCells) -> IntColumn:
        """Put saved cells into the latches of the groups there are now; the cells, -1 where a group has none."""
        self.state.cells.make_room(self.groups.devices)
        self.follow()
        return self.state.cells.insert(saved)

    # --- snapshots

    def snapshot(self) -> dict[str, Any]:
        cells = self.state.cells
        busy = cells.all_busy()
        saved = cells.save(busy, cells.device_at(busy))
        order = np.lexsort((saved.key, saved.rule, saved.device))
        return {
            "groups": self.groups.snapshot(),
            "cells": {name: column[order] for name, column in saved._asdict().items()},
            "active": [
                [*key, list(each.change), each.notified_at, each.id, each.stamp]
                for key, each in sorted(self.state.active.items())
            ],
            "builder": self.builder.snapshot(),
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Restore the state of these rules; that of the devices must have been restored before."""
        self.groups.restore(snapshot["groups"])
        self.builder.restore(snapshot["builder"])
        for group, rule, change, *rest in snapshot["active"]:
            self.state.active[group, rule] = ActiveAlert(StateChange(*change), *rest)
        self._settle(SavedCells(**{name: np.array(column) for name, column in snapshot["cells"].items()}))


def _clock(at: Instant) -> int:
    """The gateway's time by which groups wait, ms: the listening clock, counted from 1, since 0 is no time."""
    return at.listening + 1


def stamp_of(change: int, at: Instant) -> int:
    """The wall time (ms) of a change at a time of the groups' clock."""
    return _wall(at) - (_clock(at) - change)


def _wall(at: Instant) -> int:
    return _clock(at) if at.wall is None else at.wall

"""The evaluator: readings and time in, transitions of alerts out.

    Frame ─▶ Inputs: rows by device, late rows set aside
               └▶ segments: values beyond the lowest threshold of each (column, sign)
                    └▶ busy cells ─▶ one segmented scan for all rules
                                       └▶ where a latch switched: SingleAlert ─▶ TransitionBuilder ─▶ Transition

A cell at rest and below its threshold costs nothing; Python objects are made only for alerts that change. Several
readings of a device in one frame give the same transitions as one frame each. No clock is read: `tick` is given the
listening clock, and a device's now is its newest accepted time plus the listening time since it was last heard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from edge_gateway.records.alerts import Transition
from edge_gateway.rules.alerts.assignment import RuleAssignment, reconcile
from edge_gateway.rules.alerts.latch_cells import SavedCells
from edge_gateway.rules.alerts.presence import end_lost_waits
from edge_gateway.rules.alerts.released import released
from edge_gateway.rules.alerts.reload import (
    carried_over,
    ended_by,
    judge_by_limits,
    kept_ranges,
    successors,
)
from edge_gateway.rules.alerts.rule_state import Ages, AlertKey, Instant, RuleState
from edge_gateway.rules.alerts.single_alert import AlertEvent
from edge_gateway.rules.alerts.state_machine import ActiveAlert, StateChange
from edge_gateway.rules.alerts.step import evaluate_frame
from edge_gateway.rules.alerts.timers import advance_time
from edge_gateway.rules.alerts.transition_builder import TransitionBuilder
from edge_gateway.rules.alerts.transitions import (
    acknowledged,
    firing_subjects,
    listed_alert,
    reminders,
    transitions_from_readings,
    transitions_from_time,
)
from edge_gateway.rules.columns.record_rules import Records
from edge_gateway.rules.groups import telling
from edge_gateway.rules.groups.alerts import GroupAlerts
from edge_gateway.rules.language.ruleset import RuleSet
from edge_gateway.rules.muting.inhibition import Inhibition
from edge_gateway.rules.muting.verdicts import Muting

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from edge_gateway.columns.frame import Frame, IntColumn
    from edge_gateway.rules.columns.registry_view import RegistryView
    from edge_gateway.rules.muting.acknowledgements import Acknowledgement
    from edge_gateway.rules.muting.subject import AlertSubject
    from fleet_wire.control_messages import AlertCause


class Evaluator:
    """All rules over all devices.

    Call `add_records` and then `evaluate` for each frame, `tick` as the listening clock advances, `reload` when the
    rules change. Deterministic: the same calls give the same transitions and the same state, bit for bit.
    """

    def __init__(
        self,
        rules: RuleSet,
        registry: RegistryView,
        ages: Ages = Ages(),  # noqa: B008 - immutable
    ) -> None:
        self._registry = registry
        self._ages = ages
        self.muting = Muting()
        """What mutes alerts, of devices and of groups."""
        self.muting.inhibition = Inhibition(rules.inhibits)
        self._builder = TransitionBuilder(registry, self.muting)
        self._listening = 0
        self._ticked = 0
        self._pending: list[Transition] = []
        self._build(rules)
        self._groups = GroupAlerts(rules.group_alerts, self._state, rules.zones, self.muting)
        self._at = Instant(0)

    def _build(self, rules: RuleSet) -> None:
        self.rules = rules
        groups = rules.group_alerts
        self._state = RuleState.initial(rules.alerts, self._registry, self._ages, rules.zones, groups)
        self._records = Records(rules.records, self._registry, self._ages.lookback)
        self._assignment = RuleAssignment(self._state)

    def begin(self, record: int, monotonic_ms: int = 0) -> None:
        """Note the number of the journal record that the next calls belong to: the ids of alerts follow from it."""
        self._builder.record = self._groups.builder.record = record
        self.muting.monotonic = monotonic_ms

    # --- for those who look, and change nothing

    @property
    def state(self) -> RuleState:
        return self._state

    @property
    def records(self) -> Records:
        return self._records

    @property
    def groups(self) -> GroupAlerts:
        return self._groups

    @property
    def newest_tick(self) -> Instant:
        """The moment of the last tick, by which groups are shown."""
        return self._at

    @property
    def unit_mismatches(self) -> Mapping[AlertKey, str]:
        """Why a rule that selects a device does not run on it, by (device number, rule number)."""
        return self._assignment.unit_mismatches

    @property
    def listening(self) -> int:
        """The listening clock (ms) as of the newest frame or tick."""
        return max(self._listening, self._ticked)

    def copied(self, registry: RegistryView) -> Evaluator:
        """A copy with all its state, over a registry of the same devices."""
        copy = Evaluator(RuleSet(), registry, self._ages)
        copy.restore(self.snapshot())
        return copy

    # --- readings and time

    def add_records(self, frame: Frame) -> Frame:
        """Add the metrics that record rules derive from a frame; the same frame if there are none."""
        return self._records.extend(frame)

    def evaluate(self, frame: Frame, listening_ms: int | None = None) -> list[Transition]:
        """Evaluate a frame; the transitions by order of arrival, then by rule.

        `listening_ms` is the listening clock at the frame's arrival, the last tick's by default.
        """
        moved = self._follow_registry()
        self._listening = self._ticked if listening_ms is None else listening_ms
        self.muting.listening = self.listening
        if not frame.rows:
            return moved
        numbers = self._state.program.number_of
        owing = {numbers[name] for _, name in self._builder.told.owed}
        result = evaluate_frame(self._state, frame, self._listening, owing)
        return moved + transitions_from_readings(self._state, self._builder, result, frame)

    def tick(
        self,
        listening_ms: int,
        wall_ms: int | None = None,
        *,
        trusted: bool = True,
        groups: bool = True,
    ) -> list[Transition]:
        """Let time pass: `for`, `keep_firing_for`, `no_data` and `repeat`, each stamped with the time it was due.

        `wall_ms` is the wall clock: of devices that have sent nothing, and of groups, there is no other time. If it is
        `trusted`, readings are as old as it says. `groups`: whether to look at groups of devices, too. A tick that
        returns nothing leaves the snapshot unchanged, unless groups or muting `moved`.
        """
        self._ticked = max(self._ticked, listening_ms)
        self.muting.listening = self.listening
        self.muting.pass_time()
        moved = self._follow_registry()
        at = Instant(self._ticked, wall_ms, trusted)
        events, missed = advance_time(self._state, at)
        for device, metric in sorted(missed):
            self._records.lose(device, [metric])
            lost = self._state.inputs.lose(device, self._state.program.watched(metric))
            events += end_lost_waits(self._state, device, lost, self._ticked)
        self._at = at
        of_groups = self._groups.changes(at) if groups else self._groups.rest()
        return [
            *moved,
            *transitions_from_time(self._state, self._builder, events, at=at),
            *self._groups.transitions(of_groups, at),
            *self.release("time", at),
        ]

    def release(self, cause: AlertCause, at: Instant) -> list[Transition]:
        """Tell what was withheld and is muted no more, because of time or an operator; call `tick` for time."""
        if not self.muting.stale:
            return []
        self.muting.stale = False
        of_devices = released(self._state, self._builder, cause, at.listening)
        return of_devices + telling.released(self._groups, cause, at)

    def acknowledge(self, given: Acknowledgement, at: Instant) -> Transition | None:
        """Acknowledge an alert of a device or a group; the transition that says so, None if it does not fire."""
        active = self._state.active.items()
        key = next((key for key, each in active if each.id == given.alert and each.firing), None)
        if key is None:
            return telling.acknowledge(self._groups, given, at)
        return acknowledged(self._state, self._builder, key, given, at.listening)

    def remind(self, wanted: Container[str], at: Instant) -> list[Transition]:
        """The alerts with these ids that fire, once more as they are now: the event `reminder`, without a notice."""
        of_devices = reminders(self._state, self._builder, wanted, at.listening)
        return of_devices + telling.reminders(self._groups, wanted, at)

    def birth(self, device: int, metrics: Iterable[str], boot: int, listening_ms: int) -> None:
        """Take in a device's birth, which names these metrics: their silence counts from here.

        Another boot than before loses the values that count while the device is online.
        """
        self._state.make_room()
        self._state.expected.birth(device, metrics, listening_ms)
        self._records.start(device, boot)
        lost = self._state.inputs.start(device, boot)
        self._pending += self._transitions(end_lost_waits(self._state, device, lost, listening_ms))

    def expect(self, device: int, metrics: Iterable[str], listening_ms: int) -> None:
        """Expect these metrics of a device that need not have been born; their silence counts from the first time."""
        self._state.make_room()
        self._state.expected.expect(device, metrics, listening_ms)

    def gone(self, device: int, listening_ms: int) -> None:
        """Take in that a device went offline: it loses the values that count while it is online."""
        self._state.make_room()
        self._records.lose(device)
        lost = self._state.inputs.lose(device)
        self._pending += self._transitions(end_lost_waits(self._state, device, lost, listening_ms))

    def hear(self, devices: IntColumn, listening_ms: int) -> None:
        """Note that devices sent readings whose times are not known yet.

        Their now stays at the newest reading, so that they are not silent, and no wait ends that those may end.
        """
        self._state.make_room()
        self._state.newest.heard[devices] = listening_ms

    def rewind(self, devices: IntColumn, back_to: IntColumn, oldest: IntColumn, listening_ms: int) -> None:
        """Follow clocks that stepped back: the devices' now at `listening_ms` becomes `back_to` (ms).

        What waits, fires or cools down keeps its durations, but no reading so far comes to stand after `oldest` (ms),
        the oldest sample that is read next: an alert would end before it began. Ranges start anew.
        """
        self._state.make_room()
        now, newest = self._state.now(listening_ms)[devices], self._state.inputs.cursor[devices]
        by = np.minimum(back_to - now, oldest - newest)
        self._state.shift(devices, by)
        self._records.rewind(devices, by)
        self._builder.shift(dict(zip(devices.tolist(), by.tolist(), strict=True)))

    def forget(self, devices: IntColumn) -> None:
        """Forget retired devices. Their rules must be gone: call `evaluate` or `tick` after they retired."""
        self._state.forget(devices)
        self._records.forget(devices)
        self._builder.forget(devices)

    def texts(self) -> set[int]:
        """Codes of all strings in use by rules and their state."""
        state = self._state
        constants = state.program.symbols.constants
        return constants | state.inputs.texts() | state.histories.texts() | self._records.texts()

    def _follow_registry(self) -> list[Transition]:
        """Apply what changed in the registry; the resulting transitions, and those still to be returned."""
        pending, self._pending = self._pending, []
        if self._registry.version != self._assignment.registry_version:
            self.muting.stale = True  # a silence may not select a device any more
        found = pending + self._transitions(reconcile(self._state, self._assignment.follow_registry()))
        self._groups.follow()
        return found

    def _transitions(self, events: list[AlertEvent]) -> list[Transition]:
        return transitions_from_time(self._state, self._builder, events)

    # --- active alerts

    def firing(self) -> list[Transition]:
        """The firing alerts as last reported, by device and rule."""
        return [each for each in self.active_alerts() if each.state == "firing"]

    def firing_ids(self) -> list[str]:
        """The ids of the firing alerts, of devices and groups."""
        active = (*self._state.active.values(), *self._groups.state.active.values())
        return [each.id for each in active if each.firing]

    def active_alerts(self) -> list[Transition]:
        """The pending and firing alerts as last reported, by device and rule, then those of groups."""
        active = sorted(self._state.active.items())
        found = [listed_alert(self._state, self._builder, *key, alert) for key, alert in active]
        return found + self._groups.active_alerts(self._at._replace(listening=self.listening))

    def idle_rules(self) -> list[str]:
        """Rules that select a device but do not run on it, as `device: reason`."""
        of_groups = self._groups.membership.unit_mismatches
        mismatches = [*sorted(self.unit_mismatches.items()), *sorted(of_groups.items())]
        names = self._registry.device_name
        return [*(f"{names[device]}: {why}" for (device, _), why in mismatches), *self._records.measured()]

    # --- reload

    def reload(self, rules: RuleSet, at: Instant | None = None) -> list[Transition]:
        """Replace the rules at a moment, by default as the listening clock last was.

        A rule is the same if its name is; `reload.Fate` says what it keeps of its state.
        """
        at = at or Instant(self.listening)
        read_before = (*self._state.rules, *self.rules.group_alerts)
        pending = self._follow_registry()
        old, old_records = self._state, self._records
        following = successors(old.rules, rules.alerts)
        ended = self._transitions(ended_by(old, following))
        saved = carried_over(old.cells.extract(old.cells.all_busy()), following)
        self._build(rules)
        state = self._state
        state.newest = old.newest
        state.expected.take_over(old.expected)
        state.active = {
            (device, following[number].number): each for (device, number), each in old.active.items()
        }
        state.inputs.take_over(old.inputs)
        read_now = (*state.rules, *rules.group_alerts)
        state.histories.take_over(old.histories, kept_ranges(read_before, read_now))
        self._records.take_over(old_records)
        names = {rule.name for rule in state.rules}
        self._builder.forget_rules(lambda name: name not in names, old.inputs.cursor)
        self._assignment.follow_registry()
        judge_by_limits(state, state.cells.insert(saved))
        of_groups = self._groups.reload(rules.group_alerts, state, rules.zones, at)
        self.muting.replace_inhibits(rules.inhibits, self.firing_subjects(at))
        found = pending + ended + self._transitions(reconcile(state, sorted(state.active), "reload"))
        return found + of_groups

    def firing_subjects(self, at: Instant | None = None) -> list[AlertSubject]:
        """The alerts that fire, as silences and inhibits see them; `at` as for `reload`."""
        of_groups = telling.firing(self._groups, at or Instant(self.listening))
        return [*firing_subjects(self._state, self._builder), *of_groups]

    # --- snapshots

    def snapshot(self) -> dict[str, Any]:
        """The rules and all state, as plain data and arrays."""
        state = self._state
        state.make_room()
        devices = self._registry.devices
        busy = state.cells.all_busy()
        saved = state.cells.save(busy, state.cells.device_at(busy))
        order = np.lexsort((saved.key, saved.rule, saved.device))
        return {
            "rules": self.rules.to_plain(),
            "known": self._assignment.registry_version,
            "listening": self._listening,
            "newest": state.newest.snapshot(devices),
            "expected": state.expected.snapshot(devices),
            "inputs": state.inputs.snapshot(devices),
            "histories": state.histories.snapshot(),
            "records": self._records.snapshot(),
            "cells": {name: column[order] for name, column in saved._asdict().items()},
            "standings": [
                [*key, list(each.change), each.notified_at, each.id, each.stamp]
                for key, each in sorted(state.active.items())
            ],
            "builder": self._builder.snapshot(),
            "muting": self.muting.snapshot(),
            "groups": self._groups.snapshot(),
            "owed": [msgspec.to_builtins(each) for each in self._pending],
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Restore rules and state. The registry must have been restored to the same moment."""
        rules = RuleSet.from_plain(snapshot["rules"])
        self._build(rules)
        state, self.muting.inhibition = self._state, Inhibition(rules.inhibits)
        for device, rule, change, *rest in snapshot["standings"]:
            state.active[device, rule] = ActiveAlert(StateChange(*change), *rest)
        self._builder.restore(snapshot["builder"])
        self.muting.restore(snapshot["muting"])
        self._listening = self._ticked = snapshot["listening"]
        state.make_room()
        state.inputs.restore(snapshot["inputs"])
        state.histories.restore(snapshot["histories"])
        self._records.restore(snapshot["records"])
        state.newest.restore(snapshot["newest"])
        state.expected.restore(snapshot["expected"])
        self._pending = msgspec.convert(snapshot["owed"], list[Transition])
        self._assignment.follow_registry()
        saved = SavedCells(**{name: np.array(column) for name, column in snapshot["cells"].items()})
        cells = state.cells.insert(saved)
        self._groups = GroupAlerts(self.rules.group_alerts, state, self.rules.zones, self.muting)
        self._groups.restore(snapshot["groups"])
        if snapshot["known"] != self._assignment.registry_version:
            judge_by_limits(state, cells)
            self._pending += self._transitions(reconcile(state, sorted(state.active)))

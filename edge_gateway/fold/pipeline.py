"""The fold: (state, input) -> effects. Pure: no clock, no socket, no file.

    Batch ─▶ by_topic ─┬─ foreign ────▶ quarantine
                       ├─ statuses ───▶ Registry: births, tag versions, wills
                       ├─ acks ───────▶ CommandQueue
                       └─ telemetry ──▶ Admission: decode ▶ dedup ▶ time ▶ values ──▶ Frame
                                             │                                         │
                        receipts ◀───────────┘                 derived metrics added ──┤
                                                                                       │
                                 late values ◀── Windows ◀─────────────────────────────┴──▶ Evaluator
                                                    │ close, a budget of rows a batch        │ transitions
                                                    ▼                                        ▼
                                             closed windows, every tier           alerts, notices, CommandQueue
    Tick ───▶ silence, `for`, expiry, receipts        Reload, silences, acknowledgements ───▶ Evaluator
    Forget ─▶ Registry          Remind ─▶ alerts, for the store alone
    Trim ───▶ Windows: what the history may have given up

The same inputs give the same state and effects, bit for bit. One thing is decided at this program's pace: when windows
leave, and in which pieces. So that is an input of a replay, and no other state depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from edge_gateway.columns.frame import Frame, IntColumn
from edge_gateway.fleet.admission import Admission
from edge_gateway.fleet.arrivals.receipts import Due
from edge_gateway.fleet.decoders.diagnosis import diagnosed
from edge_gateway.fleet.devices.births import Needed
from edge_gateway.fleet.limits import Refusal
from edge_gateway.fleet.registry import Registry
from edge_gateway.fleet.value_checks import units_of
from edge_gateway.fold.by_topic import by_topic
from edge_gateway.fold.closed_windows import for_store
from edge_gateway.fold.command_queue import CommandQueue
from edge_gateway.fold.completeness import Completeness, note_history
from edge_gateway.fold.effects import Effects
from edge_gateway.fold.inventory import expect, names_in, unexpected
from edge_gateway.fold.late_values import late_states, late_values, merged_nowhere
from edge_gateway.fold.messages import (
    Message,
    alert_messages,
    command_messages,
    notice_message,
    receipt_message,
)
from edge_gateway.fold.operations import end_silences, operate, remind
from edge_gateway.fold.pending_command import CommandWork
from edge_gateway.fold.statuses import Statuses, refuse
from edge_gateway.records import store_effects as stored
from edge_gateway.records.alerts import Transition
from edge_gateway.records.closings import Closings
from edge_gateway.records.inputs import (
    Acknowledge,
    AddSilence,
    Batch,
    ClockConfirmed,
    ClockUnsure,
    ClockUntrusted,
    EndSilence,
    Forget,
    Input,
    Moment,
    Reload,
    Remind,
    StateLost,
    Tick,
    Trim,
    Undelivered,
)
from edge_gateway.rules.alerts.evaluator import Evaluator
from edge_gateway.rules.alerts.rule_state import Instant
from edge_gateway.rules.language.ruleset import RuleSet
from edge_gateway.windows.closed import Closed
from edge_gateway.windows.late import Late, LateReadings
from edge_gateway.windows.open_windows import Windows
from fleet_wire.control_messages import decode_ack
from fleet_wire.telemetry import MalformedMessage
from fleet_wire.topics import DeviceTopic

CLOSE_ROWS = 4_096
"""Rows of closing windows that a batch or tick may take out of the log, however small it is …"""
CLOSE_SHARE = 4
"""… and as many a reading that came, if that is more: a close never stalls a batch, and never falls behind."""
FOLD: Final = 12
"""Version of the fold: goes up whenever it makes something else of the same inputs, or records hold that otherwise.

A record is folded again by its own version only. When the form of the state changes, `checkpoint.FORMAT` goes up.
"""
MOST_RETIRED = 500
"""Devices that one tick may retire."""
PUBLISHED = frozenset({"firing", "resolved"})
STATEFUL = ("registry", "admission", "windows", "rules", "commands", "completeness")


@dataclass(slots=True)
class Pipeline:
    """All state of the gateway that must survive a restart, and the one way to change it: `fold`.

    Attributes:
        gateway: its id, part of alert topics.
        retire_after: silence, in ms of the listening clock, after which a device is forgotten.
    """

    gateway: str
    registry: Registry
    admission: Admission
    windows: Windows
    rules: Evaluator
    commands: CommandQueue
    retire_after: int
    completeness: Completeness = field(default_factory=Completeness)
    _site_left: bool = False
    """Whether the state was restored with devices of a site that left; the next input ends what they have open."""

    def fold(self, given: Input, recorded: Closings | None = None, *, number: int = 0) -> Effects:
        """Take in one input and return its effects.

        Args:
            given: the input.
            recorded: in a replay, what left the open windows with it; None to decide that.
            number: that of the journal record that the input goes into.
        """
        self.rules.begin(number, given.moment.monotonic)
        self.windows.begin_input(recorded, self.registry.numbering)
        effects = Effects(given.moment.wall, given.moment.at_least, given.moment.aged)
        site_left, self._site_left = self._site_left, False
        if site_left:
            self._end_departed(effects)
        match given:
            case Batch():
                self._batch(given, effects)
            case Tick():
                self._tick(given, effects)
            case Reload():
                rules = RuleSet.from_plain(given.rules)
                at = Instant(given.moment.listening, given.moment.wall, given.moment.trusted)
                self._take_transitions(self.rules.reload(rules, at), given.moment, effects)
                self._note_needed()
                expect(self.registry, self.rules, rules.inventory, given.moment.listening)
                effects.urgent = True
            case ClockUntrusted() | ClockUnsure():
                self._doubt_clock(given, effects)
            case ClockConfirmed() | StateLost() | Trim():
                note_history(given, self.completeness, self.registry, self.windows.ever, effects)
            case Undelivered():
                self._undelivered(given, effects)
            case Remind():
                effects.alerts.extend(remind(self.rules, given))
                effects.changed = bool(effects.alerts)
            case Forget() | AddSilence() | EndSilence() | Acknowledge():
                transitions = operate(self.rules, self.admission, given, effects)
                self._take_transitions(transitions, given.moment, effects)
                effects.urgent = True
        effects.closings = self.windows.closings
        effects.changed |= site_left or bool(effects.closings)
        return effects

    def close_recorded(self, moment: Moment, recorded: Closings) -> Effects:
        """Let leave what is recorded of an input that was folded in parts."""
        self.windows.begin_input(recorded)
        effects = Effects(moment.wall, moment.at_least, moment.aged)
        self._close(0, effects)
        return effects

    def _batch(self, batch: Batch, effects: Effects) -> None:
        self.registry.set_clock(batch.moment.listening)
        parts = by_topic(batch, self.registry)
        if parts.foreign:
            self._foreign(batch, parts.foreign, effects)
        statuses = Statuses(self.admission, self.windows, self.rules)
        for topic, payload, just_sent in parts.statuses:
            statuses.take(topic, payload, batch.moment, effects, just_sent=just_sent)
        for topic, payload in parts.acks:
            self._ack(topic, payload, effects)
        before = self.registry.version
        arrived = self._telemetry(batch, parts.telemetry, effects) if parts.telemetry else 0
        if self.registry.version != before:
            effects.births_wanted = self.admission.registered(self.registry.changed_devices(before))
        self._close(arrived, effects)
        self._advance_commands(batch.moment, effects)

    def _foreign(self, batch: Batch, positions: list[int], effects: Effects) -> None:
        """Quarantine deliveries of sites that are not this gateway's; they can be replayed where they belong."""
        self.admission.refuse_foreign(batch, positions)
        effects.foreign = [batch.topics[position] for position in positions]
        for position in positions:
            if payload := batch.payloads[position]:
                effects.quarantine(batch.topics[position], payload, Refusal.FOREIGN_SITE.value)

    def _end_departed(self, effects: Effects) -> None:
        """Close the windows and end the commands of devices whose site left; `_retire` forgets the devices."""
        self._receipts(self.admission.receipts.final(self.registry.departed), effects)
        self.windows.close_all_of(self.registry.departed)
        ended = self.commands.abandon(lambda site: not self.registry.owns(site), effects.at)
        self._take_commands(ended, effects)

    def _telemetry(self, batch: Batch, positions: list[int], effects: Effects) -> int:
        """Take in telemetry; return the number of its readings."""
        admitted = self.admission.admit(batch, positions)
        if admitted.needy is not None:
            effects.held = admitted.needy.held
            self.windows.hear(admitted.needy.heard, batch.moment.listening)
            self.rules.hear(admitted.needy.heard, batch.moment.listening)
        self.windows.begin(admitted.frame.device, self.registry.device_name)
        if admitted.not_known is not None:
            effects.not_known = merged_nowhere(admitted.not_known, self.registry, self.windows.every_ms[0])
        for position, reason in admitted.quarantined:
            effects.quarantine(batch.topics[position], batch.payloads[position], reason)
        arrived = 0
        for lap in admitted.laps:
            if len(lap.stepped):
                self.windows.rewind(lap.stepped)
                self.rules.rewind(lap.stepped, lap.back_to, lap.oldest, batch.moment.listening)
            arrived += self._readings(lap.frame, batch.moment, effects)
        return arrived

    def _readings(self, part: Frame, moment: Moment, effects: Effects) -> int:
        """Hand readings to windows and rules; return their number. No device's clock steps back within `part`."""
        frame = self.rules.add_records(part)
        late, closed = self.windows.add(frame, listening_ms=moment.listening, trusted=moment.trusted)
        self._late(late, frame, effects)
        self._store(closed, effects)
        self._take_transitions(self.rules.evaluate(frame, moment.listening), moment, effects)
        return len(frame.row) + len(frame.state_row)

    def _ack(self, topic: DeviceTopic, payload: bytes, effects: Effects) -> None:
        try:
            ack = decode_ack(payload)
        except MalformedMessage as error:
            refuse(self.admission, topic, payload, diagnosed(payload, str(error)), effects)
            return
        self.admission.watch.accepted(*topic)
        self._take_commands(self.commands.acknowledge(topic.device, ack, effects.at), effects)

    def _late(self, late: Late, frame: Frame, effects: Effects) -> None:
        """Leave readings of closed windows to the store, which corrects the stored rows."""
        if len(late.numbers):
            numbers = late_values(late.numbers, self._late_versions(late.numbers), frame)
            effects.late = stored.both(effects.late, numbers)
        if len(late.states):
            states = late_states(late.states, self._late_versions(late.states))
            effects.late_states = stored.both(effects.late_states, states)

    def _late_versions(self, late: LateReadings) -> IntColumn:
        """Count late readings, but for derived ones; return the tag version of each one's base window."""
        derived = [self.registry.metric(rule.name) for rule in self.rules.rules.records]
        measured = ~np.isin(self.registry.series_metric[late.series], derived)
        merged = late.tiers > 0
        self.admission.accounting.late_merged(late.device[measured & merged])
        self.admission.accounting.too_late(late.device[measured & ~merged])
        return self.registry.tag_versions(late.device, late.ts - late.ts % self.windows.every_ms[0])

    def _note_needed(self) -> None:
        """Set which facts of a birth the registry keeps: those that the rules in force or the store need."""
        rules = self.rules.rules
        tags = rules.tags | frozenset(self.registry.forwarded)
        units = rules.unit_metrics | units_of(self.admission.policy.metrics).keys()
        self.registry.needed = Needed(tags, units)

    def _tick(self, given: Tick, effects: Effects) -> None:
        moment = given.moment
        retired, ended = self._retire(moment), end_silences(self.rules, moment, effects)
        transitions = self.rules.tick(
            moment.listening, moment.wall, trusted=moment.trusted, groups=given.groups
        )
        self._take_transitions(transitions, moment, effects)
        self._clear(retired)
        self._reclaim(moment.listening, effects)
        silent = self.windows.tick(moment.listening)
        self._close(0, effects)
        receipts = self.admission.receipts_due(moment.listening)
        self._receipts([due for due in receipts if self.registry.is_live(due.device)], effects)
        self._advance_commands(moment, effects)
        effects.changed = bool(len(retired) or transitions or ended or silent)
        effects.changed |= self.rules.muting.moved or self.rules.groups.moved
        effects.changed |= effects.reclaimed or self.admission.receipts.any_due
        effects.changed |= bool(effects.windows or effects.states or effects.urgent)

    def _receipts(self, receipts: Sequence[Due], effects: Effects) -> None:
        for due in receipts:
            name, site = self.registry.device_name[due.device], self.registry.device_site[due.device]
            effects.outgoing.append(receipt_message(site, name, due.boot, due.stored))

    def _retire(self, moment: Moment) -> IntColumn:
        """Retire devices without open windows that were silent for long or whose site left, up to MOST_RETIRED.

        Their alerts end with the rules' next tick.
        """
        silent = unexpected(self.registry, self.registry.silent(moment.listening, self.retire_after))
        if len(silent):
            silent = silent[~self.windows.has_open(silent)][:MOST_RETIRED]
            self.admission.retire(silent)
        return silent

    def _clear(self, retired: IntColumn) -> None:
        """Clear the state under the numbers of retired devices, whose alerts have ended, for their next owners."""
        if len(retired):
            self.commands.forget(self.registry.device_name[device] for device in retired.tolist())
            self.windows.forget(retired, self.registry.device_name)
            self.rules.forget(retired)

    def _reclaim(self, listening: int, effects: Effects) -> None:
        """Free the numbers of series, metrics and texts that nothing refers to, from time to time."""
        if not self.registry.worth_reclaiming(listening):
            return
        held = self.completeness.also_in_use(self.windows.in_use())
        gone = self.admission.reclaim(listening, held.series, held.texts | self.rules.texts())
        effects.reclaimed, effects.gone_texts = True, gone.texts

    def _take_transitions(self, transitions: Sequence[Transition], moment: Moment, effects: Effects) -> None:
        """Turn transitions into retained alerts, notices and commands; commit at once where there are any."""
        if not transitions:
            return
        effects.urgent = True
        effects.alerts.extend(transitions)
        for transition in transitions:
            if transition.state in PUBLISHED:
                effects.outgoing.extend(alert_messages(self.gateway, transition))
        own = [transition for transition in transitions if self.registry.owns(transition.site)]
        effects.outgoing.extend(notice_message(transition) for transition in own if transition.notify)
        self._take_commands(self.commands.add(own, moment), effects)
        self._advance_commands(moment, effects)

    def _advance_commands(self, moment: Moment, effects: Effects) -> None:
        if self.commands.busy:
            self._take_commands(self.commands.advance(moment), effects)

    def _take_commands(self, work: CommandWork, effects: Effects) -> None:
        """Publish and journal what the command queue did; commit at once."""
        if work:
            effects.urgent = True
            effects.commands.extend(work.changes)
            effects.outgoing.extend(command_messages(work))

    def _doubt_clock(self, given: ClockUntrusted | ClockUnsure, effects: Effects) -> None:
        """Expire or doubt the pending commands, whose age is unknown or not sure."""
        if isinstance(given, ClockUnsure):
            effects.changed = self.commands.doubt(given.moment)
        else:
            self._take_commands(self.commands.expire_unknown(given.moment.wall), effects)

    def _undelivered(self, given: Undelivered, effects: Effects) -> None:
        """Take note of a refused command; the device's next one may go."""
        work = self.commands.undelivered(
            given.device, given.command, given.why, given.moment.wall, for_good=given.for_good
        )
        self._take_commands(work, effects)
        self._advance_commands(given.moment, effects)
        effects.changed = effects.urgent

    def _close(self, arrived: int, effects: Effects) -> None:
        """Close windows that are due, within the budget for `arrived` readings."""
        self._store(self.windows.close(max(CLOSE_ROWS, CLOSE_SHARE * arrived)), effects)

    def _store(self, closed: Closed, effects: Effects) -> None:
        if closed:
            judged_by = self.completeness.whole_from, self.registry, self.windows.ever
            effects.windows.extend(for_store(closed.numbers, *judged_by))
            effects.states.extend(for_store(closed.states, *judged_by))

    def restart_messages(self) -> list[Message]:
        """Return what may not have reached the broker before a crash: firing alerts and unconfirmed commands."""
        alerts = [message for alert in self.rules.firing() for message in alert_messages(self.gateway, alert)]
        own = [sent for sent in self.commands.to_send_again() if self.registry.owns(sent.site)]
        return [*alerts, *command_messages(CommandWork(again=own))]

    def snapshot(self) -> dict[str, Any]:
        """Return the whole state as a tree of copies, for a checkpoint."""
        return {name: getattr(self, name).snapshot() for name in STATEFUL}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over the state of a `snapshot`."""
        for name in STATEFUL:
            getattr(self, name).restore(state[name])
        self._note_needed()
        self.registry.expected = names_in(self.rules.rules.inventory)
        self._site_left = bool(len(self.registry.departed))

"""The fold: (state, input) -> effects. Pure: no clock, no socket, no file.

    Batch ─▶ by topic ─┬─ of a site that is not this gateway's ──▶ quarantine
                       ├─ statuses ──▶ registry: births, tag versions, wills
                       ├─ acks ──────▶ commands
                       └─ telemetry ─▶ admission: decode ▶ dedup ▶ time ▶ values ──▶ Frame
                                            │                                         │
                       receipts ◀───────────┘               records: derived metrics ─┤
                                                                                      │
                                 late values ◀── windows ◀────────────────────────────┴──▶ rules ─▶ transitions
                                                    │ close, a fixed budget of rows                     │
                                                    ▼                                                   ▼
                                             closed rows, every tier                    alerts, notices, commands
    Tick ────▶ silence, `for`, expiry, receipts        Reload ───▶ rules        Forget ───▶ registry

The same inputs give the same effects and the same state, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from edge_gateway.columns.frame import Frame, IntColumn
from edge_gateway.fleet.admission import Admission
from edge_gateway.fleet.arrivals.receipts import Due
from edge_gateway.fleet.decoders.diagnosis import diagnosed
from edge_gateway.fleet.decoders.status import Unreadable, read_status
from edge_gateway.fleet.devices.births import Needed
from edge_gateway.fleet.limits import Refusal
from edge_gateway.fleet.registry import Registry
from edge_gateway.fold.commands import CommandQueue, CommandWork
from edge_gateway.fold.effects import Effects, told_of
from edge_gateway.fold.outgoing import (
    Message,
    alert_messages,
    command_message,
    notice_message,
    receipt_message,
)
from edge_gateway.records import store_effects as stored
from edge_gateway.records.inputs import (
    Batch,
    ClockUntrusted,
    Forget,
    Input,
    Moment,
    Reload,
    StateLost,
    Tick,
    Undelivered,
)
from edge_gateway.records.transition import Transition
from edge_gateway.rules.alerts.evaluator import Evaluator
from edge_gateway.rules.language.ruleset import RuleSet
from edge_gateway.windows.closed import Closed
from edge_gateway.windows.late import Late, LateReadings
from edge_gateway.windows.open_windows import Windows
from fleet_wire import control_messages
from fleet_wire.telemetry import MalformedMessage
from fleet_wire.topics import ACK, STATUS, DeviceTopic, parse_device_topic

ALWAYS = -(1 << 62)
CLOSE_ROWS = 4_096
CLOSE_SHARE = 4
MOST_RETIRED = 500
PUBLISHED = frozenset({"firing", "resolved"})
STATEFUL = ("registry", "admission", "windows", "rules", "commands")


@dataclass(slots=True)
class Pipeline:
    """All state of the gateway that must survive, and the one way to change it: `fold`."""

    gateway: str
    registry: Registry
    admission: Admission
    windows: Windows
    rules: Evaluator
    commands: CommandQueue
    retire_after: int
    """Silence, in ms of the listening clock, after which a device is forgotten."""
    complete_from: int = ALWAYS
    _hands_over: bool = False
    """Whether devices left with their site since the last input; what is open of them ends with the next one."""

    def fold(self, given: Input) -> Effects:
        """Take one input in, and say what follows."""
        effects = Effects(at=given.moment.wall)
        left, self._hands_over = self._hands_over, False
        if left:
            self._hand_over(effects)
        match given:
            case Batch():
                self._batch(given, effects)
            case Tick():
                self._tick(given.moment, effects)
            case Reload():
                self._decided(self.rules.reload(RuleSet.from_plain(given.rules)), given.moment, effects)
                self._note_needed()
                effects.urgent = True
            case ClockUntrusted():
                self._commanded(self.commands.distrust(given.moment.wall), effects)
            case StateLost():
                self.complete_from = effects.frozen = given.moment.wall
            case Undelivered():
                self._undelivered(given, effects)
            case Forget():
                self.admission.forget(given.device, given.metric)
                effects.urgent = True
        effects.changed |= left
        return effects

    def refold(self, given: Input, led_to: stored.StoreEffects) -> None:
        """Take in an input that a program of another pace folded; windows close as they did then."""
        self.windows.recorded = told_of(led_to)
        try:
            self.fold(given)
        finally:
            self.windows.recorded = None

    def _batch(self, batch: Batch, effects: Effects) -> None:
        self.registry.set_clock(batch.moment.listening)
        parts = _by_kind(batch, self.registry)
        if parts.foreign:
            self._foreign(batch, parts.foreign, effects)
        for topic, payload in parts.statuses:
            self._status(topic, payload, effects)
        for topic, payload in parts.acks:
            self._ack(topic, payload, effects)
        before = self.registry.version
        arrived = self._telemetry(batch, parts.telemetry, effects) if parts.telemetry else 0
        if self.registry.version != before:
            effects.births_wanted = self.admission.watch.registered(self.registry.changed_devices(before))
        self._close(arrived, effects)
        self._advance_commands(batch.moment, effects)

    def _foreign(self, batch: Batch, positions: list[int], effects: Effects) -> None:
        """Keep what is of sites that are not this gateway's: its readings are real, and count where they belong."""
        self.admission.refuse_foreign(batch, positions)
        effects.foreign = [batch.topics[position] for position in positions]
        for position in positions:
            if batch.payloads[position]:
                topic, payload = batch.topics[position], batch.payloads[position]
                self._quarantine(topic, payload, Refusal.FOREIGN_SITE.value, effects)

    def _hand_over(self, effects: Effects) -> None:
        """End what is open of devices whose site left: windows close, commands end; `_leave` retires them then."""
        self._receipts(self.admission.receipts.final(self.registry.departed), effects)
        self.windows.close_all_of(self.registry.departed)
        ended = self.commands.abandon(lambda site: not self.registry.owns(site), effects.at)
        self._commanded(ended, effects)

    def _telemetry(self, batch: Batch, positions: list[int], effects: Effects) -> int:
        """Returns how many readings are in the telemetry."""
        admitted = self.admission.admit(batch, positions)
        effects.held = admitted.held
        for position, reason in admitted.quarantined:
            self._quarantine(batch.topics[position], batch.payloads[position], reason, effects)
        arrived = 0
        for stepped, part in admitted.laps:
            if len(stepped):
                self._rewind(stepped)
            arrived += self._read(part, batch.moment, effects)
        return arrived

    def _read(self, part: Frame, moment: Moment, effects: Effects) -> int:
        """Readings for windows and rules, counted; none of their clocks steps back among them."""
        frame = self.rules.records(part)
        late, closed = self.windows.add(frame, listening_ms=moment.listening, trusted=moment.trusted)
        self._late(late, effects)
        self._store(closed, effects)
        self._decided(self.rules.evaluate(frame, moment.listening), moment, effects)
        return len(frame.row) + len(frame.state_row)

    def _status(self, topic: DeviceTopic, payload: bytes, effects: Effects) -> None:
        """A birth or a will. An empty payload clears what the broker retains: then nothing is said any more."""
        if not payload:
            self.registry.status_cleared(topic.site, topic.device)
            return
        device, status = self.registry.device(topic.site, topic.device), read_status(payload)
        if isinstance(device, Refusal):
            self._refuse(topic, payload, str(device), effects)
        elif isinstance(status, Unreadable):
            self.registry.presence.unreadable(device, offline=status.offline)
            self._refuse(topic, payload, status.reason, effects)
        else:
            self.admission.watch.accepted(*topic)
            self._said(device, status)

    def _said(self, device: int, status: control_messages.Status) -> None:
        self.registry.presence.heard(device)
        if isinstance(status, control_messages.Birth):
            self.registry.birth(device, status, self.windows.next_start(device))
            if self.admission.birth(device, status):
                self._rewind(np.array([device], np.int64))
        else:
            self.registry.presence.gone(device)

    def _rewind(self, devices: IntColumn) -> None:
        """The devices' clocks stepped back: what they say now is later than what they said before."""
        self.windows.rewind(devices)
        self.rules.rewind(devices)

    def _ack(self, topic: DeviceTopic, payload: bytes, effects: Effects) -> None:
        try:
            ack = control_messages.decode_ack(payload)
        except MalformedMessage as error:
            self._refuse(topic, payload, diagnosed(payload, str(error)), effects)
            return
        self.admission.watch.accepted(*topic)
        self._commanded(
            self.commands.acknowledge(topic.device, ack.id, ack.outcome, ack.detail, effects.at), effects
        )

    def _refuse(self, topic: DeviceTopic, payload: bytes, reason: str, effects: Effects) -> None:
        """Quarantine a status or an ack."""
        self.admission.watch.quarantined(*topic, reason)
        self._quarantine(_text(topic), payload, reason, effects)

    def _quarantine(self, topic: str, payload: bytes, reason: str, effects: Effects) -> None:
        effects.quarantined.append(stored.Quarantined(topic, payload, reason, effects.at))

    def _late(self, late: Late, effects: Effects) -> None:
        """Values whose window is closed go to the store, which corrects what it holds."""
        if len(late.numbers):
            found, versions = late.numbers, self._late_versions(late.numbers)
            values = (found.series, versions, found.ts, found.value, found.quality, found.tiers)
            effects.late = stored.both(effects.late, stored.LateValues(*values))
        if len(late.states):
            found, versions = late.states, self._late_versions(late.states)
            states = (found.series, versions, found.ts, found.code, found.tiers)
            effects.late_states = stored.both(effects.late_states, stored.LateStates(*states))

    def _late_versions(self, late: LateReadings) -> IntColumn:
        derived = [self.registry.metric(rule.name) for rule in self.rules.rules.records]
        measured = ~np.isin(self.registry.series_metric[late.series], derived)
        merged = late.tiers != 0
        self.admission.accounting.late_merged(late.device[measured & merged])
        self.admission.accounting.too_late(late.device[measured & ~merged])
        return self.registry.tag_versions(late.device, late.ts - late.ts % self.windows.every_ms[0])

    def _note_needed(self) -> None:
        """Tell the registry which of a birth's facts the rules in force need."""
        rules = self.rules.rules
        tags = rules.tags | frozenset(self.registry.forwarded)
        self.registry.needed = Needed(tags, rules.unit_metrics)

    def _tick(self, moment: Moment, effects: Effects) -> None:
        gone = self._leave(moment)
        transitions = self.rules.tick(moment.listening)
        self._decided(transitions, moment, effects)
        self._forget(gone)
        self._reclaim(moment.listening, effects)
        silent = self.windows.tick(moment.listening)
        self._close(0, effects)
        receipts = self.admission.receipts_due(moment.listening)
        self._receipts([due for due in receipts if self.registry.is_live(due.device)], effects)
        self._advance_commands(moment, effects)
        effects.changed = bool(
            len(gone)
            or transitions
            or silent
            or effects.reclaimed
            or self.admission.receipts.any_due
            or effects.windows
            or effects.states
            or effects.commands
        )

    def _receipts(self, receipts: Sequence[Due], effects: Effects) -> None:
        for due in receipts:
            name, site = self.registry.device_name[due.device], self.registry.device_site[due.device]
            effects.outgoing.append(receipt_message(site, name, due.boot, due.upto, due.missing))

    def _leave(self, moment: Moment) -> IntColumn:
        """Retire some devices that left or were silent for long, and of which nothing is open; their alerts end."""
        silent = self.registry.silent(moment.listening, self.retire_after)
        if len(silent):
            silent = silent[~self.windows.has_open(silent)][:MOST_RETIRED]
            self.admission.retire(silent)
            self.commands.forget(self.registry.device_name[device] for device in silent.tolist())
        return silent

    def _forget(self, retired: IntColumn) -> None:
        """Begin anew under the numbers of retired devices, now that the rules have left them."""
        if len(retired):
            self.windows.forget(retired)
            self.rules.forget(retired)

    def _reclaim(self, listening: int, effects: Effects) -> None:
        """Free series, metrics and texts that nothing refers to any more; what finds no room needs theirs."""
        if not self.registry.worth_reclaiming(listening):
            return
        held = self.windows.in_use()
        gone = self.admission.reclaim(listening, held.series, held.texts | self.rules.texts())
        effects.reclaimed, effects.gone_texts = True, gone.texts

    def _decided(self, transitions: Sequence[Transition], moment: Moment, effects: Effects) -> None:
        """Transitions become retained alerts, notices and commands."""
        if not transitions:
            return
        effects.urgent = True
        effects.alerts.extend(transitions)
        for transition in transitions:
            if transition.state in PUBLISHED:
                effects.outgoing.extend(alert_messages(self.gateway, transition))
        own = [transition for transition in transitions if self.registry.owns(transition.site)]
        for transition in own:
            if transition.notify and not transition.backlog:
                effects.outgoing.append(notice_message(transition))
        self._commanded(self.commands.take(own, moment.wall), effects)
        self._advance_commands(moment, effects)

    def _advance_commands(self, moment: Moment, effects: Effects) -> None:
        if self.commands.busy:
            self._commanded(self.commands.advance(moment.wall, trusted=moment.trusted), effects)

    def _commanded(self, work: CommandWork, effects: Effects) -> None:
        if work:
            effects.urgent = True
            effects.commands.extend(work.events)
            effects.outgoing.extend(map(command_message, work.send))

    def _undelivered(self, given: Undelivered, effects: Effects) -> None:
        """A command that did not come to the broker waits or ends, and makes room for the next of its device."""
        work = self.commands.undelivered(
            given.device, given.command, given.why, given.moment.wall, for_good=given.for_good
        )
        self._commanded(work, effects)
        self._advance_commands(given.moment, effects)
        effects.changed = bool(effects.commands)

    def _close(self, arrived: int, effects: Effects) -> None:
        """Close what is due: a budget of rows for the readings that came, so that a close never stalls a batch."""
        self._store(self.windows.close(max(CLOSE_ROWS, CLOSE_SHARE * arrived)), effects)

    def _store(self, closed: Closed, effects: Effects) -> None:
        for tier, rows in closed.numeric:
            tails = {row: tail.pack() for row, tail in closed.tails_of(tier).items()}
            effects.windows.extend(self._closed_windows(tier, rows, tails))
        for tier, rows in closed.states:
            effects.states.append(stored.ClosedStates(tier, rows, self._versions(rows)))

    def _closed_windows(
        self, tier: int, rows: np.ndarray[Any, Any], tails: dict[int, bytes]
    ) -> Iterator[stored.ClosedWindows]:
        """Windows that a former life began, whose state is lost, stay apart from whole ones."""
        partial = rows["start"] < self.complete_from
        for apart in (False, True) if partial.any() else (False,):
            places = np.flatnonzero(partial == apart)
            if len(places):
                kept = {new: tails[old] for new, old in enumerate(places.tolist()) if old in tails}
                yield stored.ClosedWindows(tier, rows[places], self._versions(rows[places]), kept, apart)

    def _versions(self, rows: np.ndarray[Any, Any]) -> IntColumn:
        """The tag version each row's window was opened with."""
        return self.registry.tag_versions(self.registry.series_device[rows["series"]], rows["start"])

    def restart_messages(self) -> list[Message]:
        """What may not have reached the broker before a crash: firing alerts, and commands nobody confirmed."""
        alerts = [message for alert in self.rules.firing() for message in alert_messages(self.gateway, alert)]
        own = [order for order in self.commands.in_flight() if self.registry.owns(order.site)]
        commands = map(command_message, own)
        return [*alerts, *(replace(command, doubtful=True) for command in commands)]

    def snapshot(self) -> dict[str, Any]:
        """The whole state, as copies."""
        parts = {name: getattr(self, name).snapshot() for name in STATEFUL}
        return {**parts, "complete_from": self.complete_from}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Become what `snapshot` saw."""
        for name in STATEFUL:
            getattr(self, name).restore(state[name])
        self._note_needed()
        self.complete_from = state["complete_from"]
        self._hands_over = bool(len(self.registry.departed))


@dataclass(frozen=True, slots=True)
class ByKind:
    """A batch by what its topics are; telemetry, and what is of foreign sites, as positions."""

    statuses: list[tuple[DeviceTopic, bytes]] = field(default_factory=list)
    acks: list[tuple[DeviceTopic, bytes]] = field(default_factory=list)
    telemetry: list[int] = field(default_factory=list)
    foreign: list[int] = field(default_factory=list)


def _by_kind(batch: Batch, registry: Registry) -> ByKind:
    """Sort a batch by topic. What is neither status nor ack is judged by admission, topic and all."""
    parts, known = ByKind(), registry.device_of_topic
    for position, topic in enumerate(batch.topics):
        if topic in known:
            parts.telemetry.append(position)
            continue
        if registry.is_foreign(topic):
            parts.foreign.append(position)
            continue
        parsed = parse_device_topic(topic)
        if parsed is not None and parsed.kind == STATUS:
            parts.statuses.append((parsed, batch.payloads[position]))
        elif parsed is not None and parsed.kind == ACK:
            parts.acks.append((parsed, batch.payloads[position]))
        else:
            parts.telemetry.append(position)
    return parts


def _text(topic: DeviceTopic) -> str:
    return f"fleet/v1/{topic.site}/{topic.device}/{topic.kind}"

"""The front half of the fold for telemetry and births: deliveries in, a Frame out.

    topics, payloads ─▶ decode ─▶ hold ─▶ stamp ─▶ dedup ─▶ clocks ─▶ check values ─▶ Frame
                          │        │        │        │        │            │
                          │        │        │        │        │            └─ bad, refused (counted)
                          │        │        │        │        └─ steps back (counted): the frame is cut there
                          │        │        │        └─ duplicates (counted), conflicts (quarantined), not known
                          │        │        └─ stamped (counted)
                          │        └─ held until the gateway's clock is trusted, at most as many as may be: heard
                          └─ quarantined

Everything here depends only on earlier calls and the arguments: no clock, no socket, no file.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_gateway.columns.frame import BoolColumn, Frame, IntColumn
from edge_gateway.fleet.accounting import NO_DEVICE, Accounting, bad_text
from edge_gateway.fleet.arrivals.boot_mark import CONFLICT, DUPLICATE, NEW, NO_BOOT, NOT_KNOWN
from edge_gateway.fleet.arrivals.clocks import Clocks
from edge_gateway.fleet.arrivals.contents import digest, digests
from edge_gateway.fleet.arrivals.receipts import Due, Receipts
from edge_gateway.fleet.arrivals.sequences import Sequences, Verdicts
from edge_gateway.fleet.decoders import native
from edge_gateway.fleet.decoders.bad_values import BadValues, joined
from edge_gateway.fleet.decoders.decoded import NO_FLOOR, Decoded, Messages, only, renumbered
from edge_gateway.fleet.devices.decommissioned import Decommissioned
from edge_gateway.fleet.devices.reclaiming import Reclaimed
from edge_gateway.fleet.laps import ClockSteps, Lap, cut_laps, follow_clocks
from edge_gateway.fleet.limits import Refusal
from edge_gateway.fleet.needy import Needy, set_aside
from edge_gateway.fleet.registry import Registry
from edge_gateway.fleet.stamp_clock import StampClock
from edge_gateway.fleet.timestamps import NO_TIME, Stamped, TimeLimits, believed, stamp
from edge_gateway.fleet.value_checks import MetricPolicy, ValueChecks
from edge_gateway.fleet.watch.clock_vote import ClockVote, Poll
from edge_gateway.fleet.watch.deliveries import DeliveryWatch
from edge_gateway.fleet.watch.mostly_bad import MostlyBad
from edge_gateway.records.inputs import Batch, Moment
from fleet_wire.control_messages import Birth, encode_birth
from fleet_wire.topics import ACK, STATUS

SEQUENCE_CONFLICT = "sequence_conflict"
REFUSED = 3
"""Fate of a message whose sequence number is no repeat but whose content is invalid; the other fates are verdicts."""


class RefusedDelivery(NamedTuple):
    """A delivery for the quarantine: its position in the batch, and why."""

    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """What became of one batch."""

    frame: Frame
    quarantined: list[RefusedDelivery]
    """In arrival order."""
    needy: Needy | None
    """Messages that got no time; None while the gateway's clock is believed."""
    laps: list[Lap]
    """The frame, cut where device clocks stepped back."""
    stamped: BoolColumn
    """Which rows of the frame were stamped with their arrival."""
    not_known: Frame | None = None
    """The values of messages that may have counted before: they count nowhere."""


@dataclass(frozen=True, slots=True)
class AdmissionPolicy:
    """What gateway.yaml says about values and times. Readings older than `max_reading_age` (ms) are backlog."""

    metrics: Mapping[str, MetricPolicy] = field(default_factory=dict)
    time: TimeLimits = field(default_factory=TimeLimits)
    max_reading_age: int = 300_000


class Admission:
    """Owns the state of arriving messages: sequences, receipts, value checks, accounting, and problems of devices."""

    def __init__(self, registry: Registry, policy: AdmissionPolicy) -> None:
        self.registry = registry
        self.policy = policy
        self.sequences = Sequences()
        self.clocks = Clocks(policy.time.max_step_back)
        self.receipts = Receipts(self.sequences)
        self.stamps = StampClock()
        self.values = ValueChecks(registry, policy.metrics)
        self.accounting = Accounting()
        self.watch = DeliveryWatch(registry, policy.max_reading_age)
        self.vote = ClockVote(policy.time)
        self.mostly_bad = MostlyBad()
        self.decommissioned = Decommissioned()

    # --- telemetry

    def admit(self, batch: Batch, positions: Sequence[int] | None = None) -> Admitted:
        """Admit the telemetry of a batch; `positions`, ascending, says where it is (None: everywhere)."""
        at = range(len(batch.topics)) if positions is None else positions
        topics, payloads = [batch.topics[place] for place in at], [batch.payloads[place] for place in at]
        decoded = renumbered(native.decode(self.registry, topics, payloads), at)
        needy, decoded = self._without_needy(decoded, batch)
        message, wall = decoded.samples.message, batch.moment.wall
        times = stamp(decoded.samples.ts, wall, self.policy.time, trusted=needy is None)
        own = believed(times, message)
        verdicts = self._judge(batch, decoded, own)
        self.registry.presence.seen(decoded.messages.device, wall)
        if needy is not None:
            self.registry.presence.seen(needy.heard, wall)
        fate = _fates(decoded, verdicts)
        self._count_messages(decoded, fate, batch.qos0)
        new = fate == NEW
        times, clocks = self._follow_clocks(batch, decoded, verdicts, new, times)
        frame, bad, stamped = self._frame(decoded, new, times, clocks.at, wall)
        self._count_values(frame, bad)
        self.accounting.count("stamped", frame.device[stamped])
        laps = cut_laps(frame, decoded.messages.device, message[new[message]], clocks)
        quarantined = _quarantined(decoded, fate)
        self.watch.observe(batch, decoded, fate, own, quarantined)
        not_known = self._not_known(decoded, fate == NOT_KNOWN, times, wall)
        return Admitted(frame, quarantined, needy, laps, stamped, not_known)

    def _judge(self, batch: Batch, decoded: Decoded, own: IntColumn) -> Verdicts:
        """Tell new messages from repeats; `own` is the newest time of its own that each has."""
        messages = decoded.messages
        self._recall(messages.device)
        said = digests(batch.payloads, messages.index, own == NO_TIME)
        verdicts = self.sequences.accept(messages.device, messages.boot, messages.seq, own, said)
        if batch.again:
            again = np.isin(messages.index, batch.again)
            verdicts.verdict[again & np.isin(verdicts.verdict, (DUPLICATE, NOT_KNOWN))] = NEW
        self.receipts.note(messages.device, messages.boot, verdicts)
        self._apply_floors(messages, verdicts.verdict)
        return verdicts

    def _follow_clocks(
        self, batch: Batch, decoded: Decoded, verdicts: Verdicts, new: BoolColumn, times: Stamped
    ) -> tuple[Stamped, ClockSteps]:
        """Return the times with their final stamps, and where devices' clocks stepped back."""
        messages, message, moment = decoded.messages, decoded.samples.message, batch.moment
        live = new & ~np.isin(messages.index, batch.again) if batch.again else new
        times, begin = self.stamps.settle(times, message, live, messages.device, moment)
        return times, follow_clocks(
            self.clocks, verdicts, new, times, message, begin=begin, listening=moment.listening
        )

    def refuse_foreign(self, batch: Batch, positions: Sequence[int]) -> None:
        """Count deliveries of sites this gateway does not own; statuses and acks do not count as messages."""
        messages = [at for at in positions if not batch.topics[at].endswith((STATUS, ACK))]
        of_qos0 = set(batch.qos0).intersection(messages)
        for name, many in (("received", messages), ("quarantined", messages), ("qos0", of_qos0)):
            self.accounting.count(name, np.full(len(many), NO_DEVICE, np.int64))
        for _ in positions:
            self.registry.refuse(Refusal.FOREIGN_SITE)

    def poll_clock(self, moment: Moment) -> Poll:
        """Return what the fleet's clocks say of the gateway's."""
        return self.vote.poll(moment, self.registry.presence.online_devices)

    def votes(self, moment: Moment) -> bool:
        """Return whether messages that need the gateway's time wait for the outcome of a vote."""
        return self.vote.is_open(moment, self.registry.presence.online_devices)

    def _without_needy(self, decoded: Decoded, batch: Batch) -> tuple[Needy | None, Decoded]:
        """Set aside messages that need a clock which is not believed: not trusted, or voted on; None if it is."""
        moment = batch.moment
        self.vote.observe(decoded.messages.device, decoded.messages.ts, moment)
        asks = self.vote.asks(moment, self.registry.presence.online_devices, room=batch.may_hold > 0)
        if moment.trusted and not asks:
            return None, decoded
        refuse = self.vote.disputed or not moment.trusted
        return set_aside(decoded, batch, self.policy.time, refuse=refuse)

    def _apply_floors(self, messages: Messages, verdict: NDArray[np.int8]) -> None:
        """Close holes below the floors that messages carry.

        A device still holds the message it is sending, so a floor never exceeds the message's own seq.
        """
        said = (messages.floor != NO_FLOOR) & (verdict != CONFLICT)
        if said.any():
            floor = np.minimum(messages.floor[said], messages.seq[said])
            self.sequences.floors(messages.device[said], messages.boot[said], floor)

    def _count_messages(self, decoded: Decoded, fate: NDArray[np.int8], qos0: Sequence[int]) -> None:
        device, count = decoded.messages.device, self.accounting.count
        rejected = np.array([one.device for one in decoded.rejected], np.int64)
        for of in (device, rejected):
            count("received", of)
        count("quarantined", rejected)
        if not fate.any():  # NEW is 0: every message is new
            count("new", device)
        else:
            count("new", device[fate == NEW])
            count("duplicate", device[fate == DUPLICATE])
            count("not_known", device[fate == NOT_KNOWN])
            count("quarantined", device[fate >= CONFLICT])
            count("conflicts", device[fate == CONFLICT])
        if len(qos0):
            count("qos0", device[np.isin(decoded.messages.index, qos0)])
            count("qos0", rejected[np.isin([one.index for one in decoded.rejected], qos0)])

    # --- values

    def _frame(
        self, decoded: Decoded, chosen: BoolColumn, times: Stamped, at: IntColumn, arrival: int
    ) -> tuple[Frame, BadValues, BoolColumn]:
        """Return the good values of chosen messages as a frame, the bad ones, and which of its rows are stamped."""
        if not chosen.all():
            kept = chosen[decoded.samples.message]
            times, at = Stamped(times.ts[kept], times.stamped[kept]), at[kept]
            decoded = only(decoded, chosen)
        messages, message = decoded.messages, decoded.samples.message
        checked = self.values.check(decoded.numbers, decoded.states, times.ts)
        frame = Frame(
            arrival=arrival,
            device=messages.device[message],
            boot=messages.boot[message],
            seq=messages.seq[message],
            ts=times.ts,
            at=at,
            backlog=times.ts < arrival - self.policy.max_reading_age,
            row=checked.numbers.row,
            series=checked.numbers.series,
            value=checked.numbers.value,
            quality=checked.numbers.quality,
            state_row=checked.states.row,
            state_series=checked.states.series,
            state_code=checked.states.code,
        )
        self.registry.table.use(frame.series)
        if len(frame.state_series):
            self.registry.table.use(frame.state_series)
        return frame, joined([decoded.bad, checked.bad]), times.stamped

    def _not_known(self, decoded: Decoded, chosen: BoolColumn, times: Stamped, arrival: int) -> Frame | None:
        """Return the values of messages that are not known; None if there is no such message."""
        if not chosen.any():
            return None
        frame, bad, _ = self._frame(decoded, chosen, times, times.ts, arrival)
        for rows in (frame.row, frame.state_row, bad.row):
            self.accounting.count("values_not_known", frame.device[rows])
        return frame

    def _count_values(self, frame: Frame, bad: BadValues) -> None:
        count, rows = self.accounting.count, len(frame.device)
        good = np.bincount(frame.row, minlength=rows)
        if len(frame.state_row):
            good += np.bincount(frame.state_row, minlength=rows)
        count("values", frame.device, good)
        count("accepted", frame.device, good)
        if len(bad.row) or self.mostly_bad:
            device = frame.device[bad.row]
            count("values", device)
            self.accounting.bad_values(device, bad)
            self.mostly_bad.count(frame.device, good, device, bad)

    # --- births, receipts, and what is known of a device

    def is_past(self, device: int, birth: Birth) -> bool:
        """Whether a birth came before, and that of another boot since: a late copy, which says nothing."""
        moved_on = self.clocks.has_moved_on(device, birth.boot)
        return moved_on and self.sequences.was_born(device, birth.boot, digest(encode_birth(birth)))

    def birth(self, device: int, birth: Birth, *, just_sent: bool = False) -> None:
        """Apply a birth's boot, time, floor and next seq.

        One that was `just_sent`, and is no copy the broker kept or sends again, may say that the device was erased.
        """
        time = NO_TIME if birth.ts is None or birth.ts < self.policy.time.earliest else birth.ts
        self._recall(np.array([device], np.int64))
        if birth.boot not in self.sequences.boots(device):
            self.registry.reopen_kinds(device)
        born = digest(encode_birth(birth))
        anew = self.sequences.birth(
            device, birth.boot, birth.floor, birth.next, born=born, just_sent=just_sent
        )
        self.clocks.birth(device, birth.boot, time, anew=anew)
        self.receipts.birth(device)

    def _recall(self, devices: IntColumn) -> None:
        """Take up what stayed of devices that were retired and are back, before anything of theirs is judged."""
        self.sequences.make_room(int(devices.max(initial=-1)) + 1)
        for device in set(devices[self.sequences.boot[devices] == NO_BOOT].tolist()):
            self.sequences.forgotten.recall(device, self.registry.device_name[device])

    def receipts_due(self, now: int) -> list[Due]:
        """Return the receipts to send at `now` (ms of the listening clock); they count as sent."""
        return self.receipts.due(now)

    def retire(self, devices: IntColumn) -> None:
        """Forget devices that are gone; their counts stay in the fleet's totals."""
        self.receipts.forget(devices)
        self.sequences.retire({device: self.registry.device_name[device] for device in devices.tolist()})
        self.clocks.forget(devices)
        self.accounting.forget(devices)
        self.watch.forget(devices)
        self.stamps.forget(devices)
        self.vote.forget(devices)
        self.mostly_bad.forget(devices)
        self.values.forget(self.registry.retire(devices))

    def registered(self, devices: IntColumn) -> bool:
        """Note devices that were let in with telemetry; whether to ask the broker for their births."""
        self.decommissioned.unmark(self.registry.device_name[device] for device in devices.tolist())
        return self.watch.registered(devices)

    def forget(self, device: str, metric: str | None) -> None:
        """Forget a metric of a device, or all of its metrics if None; of a publisher that is no device, its trouble.

        The device's sequences stay until it is retired, so that messages it repeats meanwhile are recognised. A
        whole device is marked, so that its retained status does not bring it back.
        """
        number = self.registry.find(device)
        if number is None:
            self.watch.troubles.forget(device)
            return
        if metric is None:
            boots = self.sequences.boots(number)
            self.decommissioned.mark(device, boots[-1] if boots else None)
            self.registry.presence.expire(number)
            self.sequences.make_room(number + 1)
            self.sequences.conflicted[number] = False
        self.registry.table.release_metrics(number, metric)
        self.mostly_bad.forget(np.array([number], np.int64))

    def reclaim(self, now: int, open_series: BoolColumn, used_texts: Collection[int]) -> Reclaimed:
        """Free unused series, metrics and texts; see `Registry.reclaim`."""
        gone = self.registry.reclaim(now, open_series, used_texts)
        self.values.forget(gone.series)
        self.accounting.forget_metrics(gone.metrics)
        self.mostly_bad.forget_metrics(gone.metrics)
        return gone

    def describe(self, device: int) -> dict[str, Any]:
        """Return everything known about a device as plain data: times in ms, gaps as (boot, from, to)."""
        registry, sequences = self.registry, self.sequences
        boots = sequences.boots(device)
        stored = sequences.stored(device, boots[-1]) if boots else None
        return {
            "device": registry.device_name[device],
            "site": registry.device_site[device],
            "type": registry.type(device),
            "tags": dict(registry.tags(device)),
            "position": registry.position(device),
            "online": registry.presence.online(device),
            "last_seen": registry.presence.last_seen(device) or None,
            "boot": boots[-1] if boots else None,
            "top_seq": stored.upto if stored else None,
            "gaps": sequences.gaps(device),
            "counters": {
                **self.accounting.of(device),
                **sequences.counters(device),
                **self.clocks.counters(device),
            },
            "bad": {
                bad_text(metric, reason, registry.metric_names): count
                for _, metric, reason, count in self.accounting.bad(device)
            },
        }

    def snapshot(self) -> dict[str, Any]:
        return {name: getattr(self, name).snapshot() for name in _PARTS}

    def restore(self, state: dict[str, Any]) -> None:
        for name in _PARTS:
            getattr(self, name).restore(state[name])


_PARTS = (
    *("sequences", "clocks", "receipts", "stamps", "values", "accounting", "mostly_bad", "watch", "vote"),
    "decommissioned",
)


def _fates(decoded: Decoded, verdicts: Verdicts) -> NDArray[np.int8]:
    """Return what becomes of each message: its verdict, or REFUSED."""
    fate = verdicts.verdict.copy()
    fate[[message for message in decoded.refused if fate[message] in {NEW, NOT_KNOWN}]] = REFUSED
    return fate


def _quarantined(decoded: Decoded, fate: NDArray[np.int8]) -> list[RefusedDelivery]:
    found = [RefusedDelivery(one.index, one.reason) for one in decoded.rejected]
    index = decoded.messages.index
    for message in np.flatnonzero(fate >= CONFLICT).tolist():
        reason = SEQUENCE_CONFLICT if fate[message] == CONFLICT else decoded.refused[message]
        found.append(RefusedDelivery(int(index[message]), reason))
    return sorted(found)

"""The front half of the fold for telemetry and births: deliveries in, a Frame out.

    topics, payloads ─▶ decode ─▶ hold ─▶ dedup ─▶ stamp ─▶ check values ─▶ Frame
                          │        │        │         │          │
                          │        │        │         │          └─ bad, refused (counted)
                          │        │        │         └─ stamped (counted)
                          │        │        └─ duplicates (counted), conflicts (quarantined)
                          │        └─ held until the clock is trusted
                          └─ quarantined

Everything here depends only on earlier calls and the arguments: no clock, no socket, no file.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_gateway.columns.frame import BoolColumn, Frame, IntColumn, part
from edge_gateway.fleet.accounting import NO_DEVICE, Accounting, bad_text
from edge_gateway.fleet.arrivals.boot_mark import CONFLICT, DUPLICATE, NEW
from edge_gateway.fleet.arrivals.receipts import Due, Receipts
from edge_gateway.fleet.arrivals.sequences import Sequences
from edge_gateway.fleet.decoders import native
from edge_gateway.fleet.decoders.bad_values import BadValues, joined
from edge_gateway.fleet.decoders.decoded import NO_FLOOR, Decoded, Messages, only
from edge_gateway.fleet.devices.reclaiming import Reclaimed
from edge_gateway.fleet.limits import Refusal
from edge_gateway.fleet.registry import Registry
from edge_gateway.fleet.stamp_clock import StampClock
from edge_gateway.fleet.timestamps import NO_TIME, Stamped, TimeLimits, believed, needs_stamp, stamp
from edge_gateway.fleet.value_checks import MetricPolicy, ValueChecks
from edge_gateway.fleet.watch.deliveries import DeliveryWatch
from edge_gateway.fleet.watch.mostly_bad import MostlyBad
from edge_gateway.records.inputs import Batch, Moment
from fleet_wire.control_messages import Birth
from fleet_wire.topics import ACK, STATUS

SEQUENCE_CONFLICT = "sequence_conflict"
LAPS = 16
"""Clock steps followed within one batch; further steps of a device belong to the last lap."""
REFUSED = 3
"""Fate of a message whose sequence number is new but whose content is invalid; the other fates are verdicts."""


class RefusedDelivery(NamedTuple):
    """A delivery for the quarantine: its position in the batch, and why."""

    position: int
    reason: str


class Lap(NamedTuple):
    """A part of a frame. Before it is read, watermarks and rule state of the devices in `stepped` (ascending) reset."""

    stepped: IntColumn
    frame: Frame


@dataclass(frozen=True, slots=True)
class Admitted:
    """What became of one batch."""

    frame: Frame
    quarantined: list[RefusedDelivery]
    """In arrival order."""
    held: list[int]
    """Positions of deliveries that wait for a trusted clock. They left no trace: admit them again."""
    laps: list[Lap]
    """The frame, cut where device clocks stepped back."""
    stamped: BoolColumn
    """Which rows of the frame were stamped with their arrival."""


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
        self.receipts = Receipts(self.sequences)
        self.stamps = StampClock()
        self.values = ValueChecks(registry, policy.metrics)
        self.accounting = Accounting()
        self.watch = DeliveryWatch(registry, policy.max_reading_age)
        self.mostly_bad = MostlyBad()

    # --- telemetry

    def admit(self, batch: Batch, positions: Sequence[int] | None = None) -> Admitted:
        """Admit the telemetry of a batch; `positions`, ascending, says where it is (None: everywhere)."""
        at = range(len(batch.topics)) if positions is None else positions
        topics = [batch.topics[position] for position in at]
        payloads = [batch.payloads[position] for position in at]
        decoded = native.decode(self.registry, topics, payloads)
        _renumber(decoded, at)
        held, decoded = ([], decoded) if batch.moment.trusted else self._hold(decoded)
        messages = decoded.messages
        times = stamp(decoded.samples.ts, batch.moment.wall, self.policy.time, trusted=batch.moment.trusted)
        own = believed(times, decoded.samples.message)
        verdicts = self.sequences.accept(messages.device, messages.boot, messages.seq, own)
        if batch.again:
            known = np.isin(messages.index, batch.again) & (verdicts.verdict == DUPLICATE)
            verdicts.verdict[known] = NEW
        self.receipts.note(messages.device, messages.boot, verdicts)
        self._apply_floors(messages, verdicts.verdict)
        self.registry.presence.seen(messages.device, batch.moment.wall)
        fate = verdicts.verdict.copy()
        fate[[message for message in decoded.refused if fate[message] == NEW]] = REFUSED
        self._count_messages(decoded, fate, batch.qos0)
        new = fate == NEW
        times, steps = self._stamped(decoded, new, times, batch.moment)
        steps = np.union1d(verdicts.steps, steps) if len(steps) else verdicts.steps
        frame, stamped = self._frame(decoded, new, times, batch.moment.wall)
        cut = _laps(frame, messages.device, decoded.samples.message[new[decoded.samples.message]], steps)
        quarantined = _quarantined(decoded, fate)
        self.watch.observe(batch, decoded, fate, own, quarantined)
        return Admitted(frame, quarantined, held, cut, stamped)

    def refuse_foreign(self, batch: Batch, positions: Sequence[int]) -> None:
        """Count deliveries of sites this gateway does not own; statuses and acks do not count as messages."""
        messages = [at for at in positions if not batch.topics[at].endswith((STATUS, ACK))]
        of_qos0 = set(batch.qos0).intersection(messages)
        for name, many in (("received", messages), ("quarantined", messages), ("qos0", of_qos0)):
            self.accounting.count(name, np.full(len(many), NO_DEVICE, np.int64))
        for _ in positions:
            self.registry.refuse(Refusal.FOREIGN_SITE)

    def _hold(self, decoded: Decoded) -> tuple[list[int], Decoded]:
        """Set aside messages that need the arrival as time while the gateway's clock is not trusted."""
        wait = np.zeros(len(decoded.messages.index), np.bool_)
        wait[decoded.samples.message[needs_stamp(decoded.samples.ts, self.policy.time)]] = True
        wait[list(decoded.refused)] = False
        return decoded.messages.index[wait].tolist(), only(decoded, ~wait)

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
            count("quarantined", device[fate >= CONFLICT])
            count("conflicts", device[fate == CONFLICT])
        if len(qos0):
            count("qos0", device[np.isin(decoded.messages.index, qos0)])
            count("qos0", rejected[np.isin([one.index for one in decoded.rejected], qos0)])

    def _stamped(
        self, decoded: Decoded, new: BoolColumn, times: Stamped, moment: Moment
    ) -> tuple[Stamped, IntColumn]:
        """Return the times with the final stamps, and the messages with which a device begins again, ascending."""
        message = decoded.samples.message
        rows = np.flatnonzero(times.stamped & new[message]) if times.stamped.any() else _NONE
        if not len(rows):
            return times, _NONE
        device = decoded.messages.device[message[rows]]
        stamps = self.stamps.stamp(device, moment.wall, moment.monotonic)
        ts = times.ts.copy()
        ts[rows] = stamps.ts
        stepped = rows[stamps.stepped]
        devices, first = np.unique(device[stamps.stepped], return_index=True)
        self.sequences.steps[devices] += 1
        return Stamped(ts, times.stamped), np.sort(message[stepped[first]])

    # --- values

    def _frame(
        self, decoded: Decoded, new: BoolColumn, times: Stamped, arrival: int
    ) -> tuple[Frame, BoolColumn]:
        """Return the accepted values of new messages as a frame, and which of its rows are stamped."""
        if not new.all():
            kept = new[decoded.samples.message]
            times = Stamped(times.ts[kept], times.stamped[kept])
            decoded = only(decoded, new)
        messages, message = decoded.messages, decoded.samples.message
        checked = self.values.check(decoded.numbers, decoded.states, times.ts)
        frame = Frame(
            arrival=arrival,
            device=messages.device[message],
            boot=messages.boot[message],
            seq=messages.seq[message],
            ts=times.ts,
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
        self._count_values(frame, joined([decoded.bad, checked.bad]))
        self.accounting.count("stamped", frame.device[times.stamped])
        return frame, times.stamped

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

    def birth(self, device: int, birth: Birth) -> bool:
        """Apply a birth's boot, floor and next seq; return whether the device's clock stepped back.

        It did if the boot is new and its birth is older than the newest message of the boot before.
        """
        time = NO_TIME if birth.ts is None else birth.ts
        if birth.boot not in self.sequences.boots(device):
            self.registry.reopen_kinds(device)
        stepped = self.sequences.birth(device, birth.boot, birth.floor, birth.next, time)
        self.receipts.birth(device)
        return stepped

    def receipts_due(self, now: int) -> list[Due]:
        """Return the receipts to send at `now` (ms of the listening clock); they count as sent."""
        return self.receipts.due(now)

    def retire(self, devices: IntColumn) -> None:
        """Forget devices that are gone; their counts stay in the fleet's totals."""
        self.receipts.forget(devices)
        self.sequences.forget(devices)
        self.accounting.forget(devices)
        self.watch.forget(devices)
        self.stamps.forget(devices)
        self.mostly_bad.forget(devices)
        self.values.forget(self.registry.retire(devices))

    def forget(self, device: str, metric: str | None) -> None:
        """Forget a metric of a device, or all of its metrics if None; an unknown device is ignored.

        The device's sequences stay until it is retired, so that messages it repeats meanwhile are recognised.
        """
        number = self.registry.find(device)
        if number is None:
            return
        if metric is None:
            self.registry.presence.expire(number)
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
        top, _ = (sequences.stored(device, boots[-1]) if boots else None) or (None, [])
        return {
            "device": registry.device_name[device],
            "site": registry.device_site[device],
            "type": registry.type(device),
            "tags": dict(registry.tags(device)),
            "position": registry.position(device),
            "online": registry.presence.online(device),
            "last_seen": registry.presence.last_seen(device) or None,
            "boot": boots[-1] if boots else None,
            "top_seq": top,
            "gaps": sequences.gaps(device),
            "counters": {**self.accounting.of(device), **sequences.counters(device)},
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


_PARTS = ("sequences", "receipts", "stamps", "values", "accounting", "mostly_bad", "watch")
_NONE: IntColumn = np.empty(0, np.int64)


def _renumber(decoded: Decoded, at: Sequence[int]) -> None:
    """Replace positions among the telemetry by positions in the whole batch."""
    decoded.messages.index = np.array(at, np.int64)[decoded.messages.index]
    for one in decoded.rejected:
        one.index = at[one.index]


def _laps(frame: Frame, device: IntColumn, message: IntColumn, steps: IntColumn) -> list[Lap]:
    """Cut a frame so that within a part no clock steps back.

    Args:
        frame: the rows of new messages.
        device: device of each message.
        message: message of each row of the frame.
        steps: messages whose device clock had stepped back, ascending.
    """
    if not len(steps):
        return [Lap(steps, frame)]
    lap = np.zeros(len(device), np.int64)
    for place in steps.tolist():
        lap[place:] += device[place:] == device[place]
    lap = np.minimum(lap, LAPS)
    stepped = [np.unique(device[steps[lap[steps] == number]]) for number in range(int(lap.max()) + 1)]
    return [Lap(devices, part(frame, lap[message] == number)) for number, devices in enumerate(stepped)]


def _quarantined(decoded: Decoded, fate: NDArray[np.int8]) -> list[RefusedDelivery]:
    found = [RefusedDelivery(one.index, one.reason) for one in decoded.rejected]
    index = decoded.messages.index
    for message in np.flatnonzero(fate >= CONFLICT).tolist():
        reason = SEQUENCE_CONFLICT if fate[message] == CONFLICT else decoded.refused[message]
        found.append(RefusedDelivery(int(index[message]), reason))
    return sorted(found)

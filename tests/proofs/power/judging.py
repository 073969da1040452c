"""What a gateway had promised at a moment, and whether its spool after a power cut keeps it.

promised: the record of each message with a PUBACK, and of each published command, alert and receipt
kept:     recovery succeeds, finds no damage, reaches that record or a later one, and state, store and the points the
          database has or will get are exactly those of the record reached
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import mqtt5

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.recovery.startup import Startup, recover_spool
from edge_gateway.status.clock import MachineClock
from tests.proofs.power.disk_trace import Wire
from tests.proofs.power.reference import Message, Points, Reference, Stored, settle, state_digest

SPOOL = "spool"
DEVICES = "fleet/"
"""The prefix of devices' topics; other acknowledged messages are the gateway's own or the broker's."""


@dataclass(slots=True)
class Promises:
    """The newest record that anything was promised of, by place in the trace."""

    lines: list[int] = field(default_factory=list)
    records: list[int] = field(default_factory=list)
    acknowledged: int = 0
    published: int = 0
    unrecorded: list[Message] = field(default_factory=list)
    """Messages that were acknowledged and are in no record."""

    def add(self, line: int, record: int) -> None:
        self.lines.append(line)
        self.records.append(max(record, self.records[-1] if self.records else 0))

    def before(self, line: int) -> int:
        """Return the newest record that was promised before a place in the trace."""
        place = bisect_left(self.lines, line)
        return self.records[place - 1] if place else 0


def promises_of(wires: Iterable[Wire], reference: Reference, broker: str) -> Promises:
    """Return what was promised by the packets sent to the broker."""
    promises = Promises()
    links: dict[str, _BrokerConnection] = {}
    for wire in wires:
        if not wire.connection.endswith(f"->{broker}"):
            continue
        link = links.setdefault(wire.connection, _BrokerConnection())
        for acknowledged, message in link.take(wire):
            if message in (reference.received if acknowledged else reference.sent):
                promises.add(wire.line, (reference.received if acknowledged else reference.sent)[message])
                promises.acknowledged += acknowledged
                promises.published += not acknowledged
            elif acknowledged and message[0].startswith(DEVICES):
                promises.unrecorded.append(message)
    return promises


@dataclass(slots=True)
class _BrokerConnection:
    """One connection to the broker: incomplete packets, and deliveries without a PUBACK."""

    arriving: bytes = b""
    leaving: bytes = b""
    open: deque[tuple[int, Message]] = field(default_factory=deque)

    def take(self, wire: Wire) -> Iterator[tuple[bool, Message]]:
        """Yield the messages that these bytes acknowledge (True) or publish (False)."""
        if wire.sent:
            packets, self.leaving = _packets(self.leaving + wire.data)
        else:
            packets, self.arriving = _packets(self.arriving + wire.data)
        for packet in packets:
            if isinstance(packet, mqtt5.PublishPacket):
                message = (packet.topic, bytes(packet.payload or b""))
                if wire.sent:
                    yield False, message
                elif packet.packet_id:
                    self.open.append((packet.packet_id, message))
            elif isinstance(packet, mqtt5.PubAckPacket) and wire.sent:
                yield True, self._acknowledged(packet.packet_id)

    def _acknowledged(self, packet_id: int) -> Message:
        """Remove and return the oldest delivery of this packet id: PUBACKs are sent in the order of arrival."""
        place = next(place for place, (number, _) in enumerate(self.open) if number == packet_id)
        _, message = self.open[place]
        del self.open[place]
        return message


def _packets(data: bytes) -> tuple[list[mqtt5.Packet], bytes]:
    packets = []
    view = memoryview(data)
    while view:
        try:
            packet, size = mqtt5.read(view)
        except IndexError:
            break
        packets.append(packet)
        view = view[size:]
    return packets, bytes(view)


@dataclass(slots=True)
class Verdict:
    """The result of recovering one image; `broken` holds (what, sentence)."""

    seconds: float = 0.0
    record: int = 0
    lost: int = 0
    double: int = 0
    alerts_lost: int = 0
    alerts_repeated: int = 0
    broken: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Judge:
    """Recovers spools and compares them with the reference."""

    config: GatewayConfig
    gateway: str
    reference: Reference

    def judge(self, place: Path, promised: int, taken: Points, *, twice: bool = False) -> Verdict:
        """Recover the spool in `place`, which changes it, and compare.

        Args:
            promised: the newest record that anything was promised of.
            taken: the points the database had at the cut.
            twice: recover a second time.
        """
        verdict, points = Verdict(), taken.copy()
        for _ in range(1 + twice):
            try:
                self._recover(place / SPOOL, promised, points, verdict)
            except Exception as error:  # any exception in recovery is a finding
                verdict.broken.append(("recovery raised", f"{type(error).__name__}: {error}"))
            if verdict.broken:
                break
        return verdict

    def _recover(self, place: Path, promised: int, points: Points, verdict: Verdict) -> None:
        place.mkdir(exist_ok=True)
        started = time.perf_counter()
        found = recover_spool(place, self.config, self.gateway, MachineClock())
        verdict.seconds, verdict.record = time.perf_counter() - started, found.number
        try:
            self._compare(found, place, promised, points, verdict)
        finally:
            found.journal.close()
            found.store.close()

    def _compare(self, found: Startup, place: Path, promised: int, points: Points, verdict: Verdict) -> None:
        verdict.broken += [(f"found {code}", text) for code, text in found.findings]
        if not found.whole:
            verdict.broken.append(("not whole", f"record {found.number}"))
        if found.number < promised:
            verdict.lost += self._messages(found.number, promised)
            verdict.broken.append(("promise missed", f"record {found.number}, and {promised} was promised"))
        known = self.reference.known.get(found.number)
        if known is None:
            verdict.broken.append(("invented", f"record {found.number}, which was never written"))
            return
        if state_digest(found.state.pipeline) != known.state:
            verdict.broken.append(("state differs", f"at record {found.number}"))
        self._compare_stored(settle(found.store, place, points), known.stored, found.number, verdict)

    def _messages(self, after: int, upto: int) -> int:
        return sum(after < record <= upto for record in self.reference.received.values())

    def _compare_stored(self, stored: Stored, known: Stored, record: int, verdict: Verdict) -> None:
        verdict.lost += max(0, known.readings - stored.readings)
        verdict.double += max(0, stored.readings - known.readings)
        verdict.alerts_lost += len(known.alert_steps - stored.alert_steps)
        verdict.alerts_repeated += len(stored.alert_steps - known.alert_steps)
        differing = [name for name, digest in known.tables.items() if stored.tables[name] != digest]
        if differing:
            verdict.broken.append(("store differs", f"{', '.join(differing)} at record {record}"))
        if stored.points != known.points:
            verdict.broken.append(("points differ", f"what the database has or is sent, at record {record}"))

"""One simulated device: what it numbers, holds and answers. It owns no task and no timer.

::

    make ─▶ outbox ─▶ session ─▶ broker          command ─▶ memory ─▶ behaviour ─▶ signal, ack
              ▲ not connected: kept, sent later     receipt ─▶ outbox: let go, or send again
"""

from __future__ import annotations

import zlib
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from fleet_sim.devices.commands import CommandMemory, Decision
from fleet_sim.devices.outbox import Outbox, Resend
from fleet_wire.control_messages import (
    Ack,
    Birth,
    Command,
    MalformedMessage,
    decode_command,
    decode_receipt,
    encode_ack,
    encode_birth,
)
from fleet_wire.packets import topic_field
from fleet_wire.topics import ACK, COMMAND, RECEIPT, STATUS, TELEMETRY, device_topic

if TYPE_CHECKING:
    import mqtt5

    from fleet_sim.devices.world import DeviceGroup, Identity, SessionLike, World
    from fleet_sim.plan import Behaviour

__all__ = ["Device"]

FAILURE = 0x80
"""MQTT 5: reason codes from here on are failures."""
MOST_BIRTHS = 8
"""A device remembers its latest births, to tell another client's from its own."""
MOST_UNACKED = 100
"""Messages in flight to the broker; further ones wait in the device's buffer."""


class Device:
    """A device in the run.

    `index` is its place in the run, `row` its place in its group. `alive`: it runs and measures; `started`: it has been
    connected; `online`: it is connected.
    """

    __slots__ = (
        "alive", "announced", "births", "earlier", "group", "identity", "index", "memory", "online", "outbox", "row",
        "session", "skew_ms", "started", "telemetry", "world",
    )  # fmt: skip

    def __init__(
        self, world: World, group: DeviceGroup, identity: Identity, *, index: int, row: int, boot: int
    ) -> None:
        self.world = world
        self.group = group
        self.identity = identity
        self.index = index
        self.row = row
        self.telemetry = topic_field(device_topic(identity.site, identity.id, TELEMETRY))
        self.outbox = Outbox(boot, group.room, group.drop)
        self.memory = CommandMemory()
        self.session: SessionLike | None = None
        self.earlier: tuple[Outbox, ...] = ()
        self.online = False
        self.alive = True
        self.started = False
        self.skew_ms = 0.0
        self.births: tuple[bytes, ...] = ()
        self.announced = False

    # Sending

    def emit(self, seq: int, payload: bytes, now_us: int) -> bool:
        """Send a new message, or keep it if it cannot be sent now; return whether it was sent."""
        outbox = self.outbox
        if not self.online or outbox.unacked >= MOST_UNACKED:
            self.keep(seq, payload)
            return False
        self._publish(outbox, seq, payload, now_us)
        return True

    def keep(self, seq: int, payload: bytes) -> None:
        """Put a message into the buffer to be sent later."""
        if self.online:
            self.world.draining.setdefault(self.index, monotonic())
        for lost in self.outbox.store(seq, payload):
            self.world.counters.lost += 1
            self.world.drops.extend((self.index, self.outbox.boot, lost))

    def forward(self, seq: int, payload: bytes) -> None:
        """Send a message that was held back, or keep it."""
        if self.online:
            self.send_later(self.outbox, seq, payload)
        else:
            self.keep(seq, payload)

    def send_later(self, outbox: Outbox, seq: int, payload: bytes, *, again: bool = False) -> None:
        """Publish a message some time after it was made, and record that in a line of the ledger."""
        now_us = self.world.now_us()
        self.world.sends.extend((self.index, outbox.boot, seq, now_us, int(again)))
        self.world.counters.resent += again
        self._publish(outbox, seq, payload, now_us)

    def repeat(self, payload: bytes) -> None:
        """Publish a message a second time, as faulty devices do."""
        if self.session is not None and self.online:
            self.world.counters.duplicated += 1
            self.session.publish(self.topic(TELEMETRY), payload, qos=self.group.qos)

    def emit_damaged(self, seq: int, payload: bytes, damaged: bytes) -> None:
        """Publish damaged bytes in place of a message.

        The device believes it sent; only a receipt that names the message missing makes it send the true one.
        """
        if self.session is None or not self.online:
            self.keep(seq, payload)
            return
        self.world.counters.damaged += 1
        self.outbox.sent(seq, payload)
        done = partial(self._damaged_acked, self.outbox, seq)
        self.session.publish_plain(self.telemetry, damaged, done)

    @staticmethod
    def _damaged_acked(outbox: Outbox, seq: int, _code: int) -> None:
        outbox.acked(seq)

    def drain(self, most: int) -> int:
        """Send up to `most` messages from the buffer, oldest first; return how many still wait."""
        for outbox in (*self.earlier, self.outbox):
            while most > 0 and self.online and outbox.unacked < MOST_UNACKED:
                message = outbox.take_unsent()
                if message is None:
                    break
                self.send_later(outbox, message.seq, message.payload)
                most -= 1
        return self.waiting

    @property
    def waiting(self) -> int:
        """Messages that were never sent."""
        return self.outbox.unsent + sum(outbox.unsent for outbox in self.earlier)

    @property
    def unacked(self) -> int:
        """Messages that were sent and have no PUBACK."""
        return self.outbox.unacked + sum(outbox.unacked for outbox in self.earlier)

    @property
    def kept(self) -> int:
        """Messages that have a PUBACK and no receipt."""
        return self.outbox.kept + sum(outbox.kept for outbox in self.earlier)

    def _publish(self, outbox: Outbox, seq: int, payload: bytes, now_us: int) -> None:
        assert self.session is not None
        outbox.sent(seq, payload)
        self.world.counters.published += 1
        if self.group.qos == 0:
            self.session.publish(self.topic(TELEMETRY), payload, qos=0)
            outbox.acked(seq)
            self.world.counters.forgotten += 1
            return
        self.session.publish_plain(self.telemetry, payload, partial(self._acked, outbox, seq, now_us))

    def _acked(self, outbox: Outbox, seq: int, sent_us: int, code: int) -> None:
        world = self.world
        now_us = world.now_us()
        world.acks.extend((self.index, outbox.boot, seq, now_us, code))
        counters = world.counters
        if code >= FAILURE:
            outbox.refused(seq)
            counters.refused += 1
            counters.refusals[code] = counters.refusals.get(code, 0) + 1
            return
        outbox.acked(seq)
        counters.acked += 1
        counters.ack_us.append(now_us - sent_us)

    # Connecting and restarting

    def birth(self, *, holding: bool = True) -> bytes:
        """Return the status message of a device that has just connected, or holds nothing any more."""
        identity, outbox = self.identity, self.outbox
        return encode_birth(
            Birth(
                type=identity.type,
                tags=dict(identity.tags),
                metrics=dict(self.group.metrics),
                lat=identity.lat,
                lon=identity.lon,
                boot=outbox.boot,
                floor=outbox.floor if holding else outbox.next,
                next=outbox.next,
                ts=self.world.now_ms() + round(self.skew_ms),
            )
        )

    def connected(self) -> None:
        """Publish the retained birth; live telemetry then goes before anything from the buffer."""
        assert self.session is not None
        self.online = True
        self.started = True
        self._announce(self.birth())

    def _announce(self, birth: bytes) -> None:
        assert self.session is not None
        self.births = (*self.births[1 - MOST_BIRTHS :], birth)
        self.session.publish(self.topic(STATUS), birth, retain=True, on_ack=self._announced)

    def _announced(self, code: int) -> None:
        self.announced = self.announced or code < FAILURE

    def is_foreign(self, birth: bytes) -> bool:
        """Say whether a birth on this device's topic is another client's.

        Before the broker has one of its own, it may be of an earlier run.
        """
        return self.announced and birth not in self.births

    def give_up(self) -> None:
        """Announce that what is not sent by now will never come, or a gateway would wait for it forever."""
        if self.session is not None and self.online:
            self._announce(self.birth(holding=False))

    def restart(self, boot: int, *, keep: bool) -> None:
        """Start again with a new boot; with `keep` what is held survives, else only the commands' memory."""
        if keep:
            self.earlier = tuple(outbox for outbox in (*self.earlier, self.outbox) if outbox.held)
        else:
            self.world.counters.lost += self.waiting
            self.world.counters.forgotten += self.unacked
            self.earlier = ()
        self.outbox = Outbox(boot, self.group.room, self.group.drop)
        self.memory.restart(self.world.now_ms())

    def topic(self, kind: str) -> str:
        return device_topic(self.identity.site, self.identity.id, kind)

    # Receiving

    def received(self, epoch: int, packets: list[mqtt5.PublishPacket]) -> None:
        """Take what arrived in one read. A command is remembered before its delivery is acknowledged."""
        deliveries = []
        for packet in packets:
            if packet.topic.endswith(COMMAND):
                self._command(packet.payload or b"")
            elif packet.topic.endswith(RECEIPT):
                self._receipt(packet.payload or b"")
            if packet.packet_id:
                deliveries.append(packet.packet_id)
        if deliveries and self.session is not None:
            self.session.ack(epoch, deliveries)

    def _receipt(self, payload: bytes) -> None:
        world = self.world
        try:
            receipt = decode_receipt(payload)
        except MalformedMessage:
            world.counters.malformed += 1
            return
        world.counters.receipts += 1
        named = sum(last - first + 1 for first, last in receipt.missing)
        world.counters.missing += named
        world.receipts.extend((self.index, receipt.boot, receipt.upto, min(named, 2**63 - 1), world.now_us()))
        for outbox in (*self.earlier, self.outbox):
            if outbox.boot == receipt.boot:
                for message in outbox.receipt(receipt.upto, receipt.missing, world.now_ms()):
                    self._again(outbox, message)
        if self.earlier:
            self.earlier = tuple(outbox for outbox in self.earlier if outbox.held)

    def _again(self, outbox: Outbox, message: Resend) -> None:
        if self.online:
            self.send_later(outbox, message.seq, message.payload, again=True)
        else:
            outbox.sent(message.seq, message.payload)
            outbox.acked(message.seq)

    def _command(self, payload: bytes) -> None:
        now_us = self.world.now_us()
        try:
            command = decode_command(payload)
        except MalformedMessage:
            self.world.counters.malformed += 1
            return
        if command.kind == "alert":
            self._notice(command, now_us)
            return
        self.world.counters.commands += 1
        decision = self.memory.take(command)
        self._note_command(command, decision, now_us)
        if decision is Decision.EXECUTE:
            behaviour = self.group.commands.get(command.name) or self.group.commands.get("*")
            delay = _latency(behaviour, command.id) if behaviour else 0.0
            self.world.loop.call_later(delay, self._execute, command, behaviour, self.outbox.boot, now_us)
        elif decision is Decision.REPEAT and self.memory.answer is not None:
            self._answer(self.memory.answer, now_us)

    def _notice(self, command: Command, now_us: int) -> None:
        self.world.counters.notices += 1
        alert = command.alert
        self.world.ledger.note(
            "notice", device=self.index, id=command.id, at=now_us,
            **({} if alert is None else {
                "alert": alert.id, "rule": alert.rule, "level": alert.level, "state": alert.state,
                "subject": alert.subject, "boot": alert.boot, "seq": alert.seq,
            }),
        )  # fmt: skip

    def _note_command(self, command: Command, decision: Decision, now_us: int) -> None:
        alert = command.alert
        self.world.ledger.note(
            "command", device=self.index, id=command.id, n=command.n, name=command.name, args=dict(command.args),
            decision=decision.value, at=now_us, alert=alert.id if alert else None, rule=alert.rule if alert else None,
            boot=alert.boot if alert else None, seq=alert.seq if alert else None,
        )  # fmt: skip

    def _execute(self, command: Command, behaviour: Behaviour | None, boot: int, received_us: int) -> None:
        if boot != self.outbox.boot or not self.alive:
            return
        outcome, detail = self._effect(command, behaviour)
        ack = Ack(id=command.id, outcome=outcome, n=self.memory.n, detail=detail, ts=self.world.now_ms())
        self.world.counters.executed += outcome == "done"
        self.world.ledger.note(
            "executed", device=self.index, id=command.id, n=command.n, outcome=outcome, at=self.world.now_us()
        )
        self.memory.answered(ack)
        self._answer(ack, received_us)

    def _effect(self, command: Command, behaviour: Behaviour | None) -> tuple[Any, str]:
        if behaviour is None:
            return "rejected", f"unknown command {command.name}"
        if behaviour.outcome != "done":
            return behaviour.outcome, ""
        wanted = [argument for argument in behaviour.settings.values() if isinstance(argument, str)]
        absent = [argument for argument in wanted if argument not in command.args]
        if absent:
            return "rejected", f"{command.name} needs the argument {absent[0]}"
        try:
            for setting, argument in behaviour.settings.items():
                value = command.args[argument] if isinstance(argument, str) else argument
                self.group.apply(self, setting, value)
        except (ValueError, TypeError) as problem:
            return "failed", str(problem)
        return "done", ""

    def _answer(self, ack: Ack, received_us: int) -> None:
        if self.session is not None and self.online:
            done = partial(self._answered, ack.id, received_us)
            self.session.publish(self.topic(ACK), encode_ack(ack), on_ack=done)

    def _answered(self, command: str, received_us: int, _code: int) -> None:
        now_us = self.world.now_us()
        self.world.counters.command_ack_us.append(now_us - received_us)
        self.world.ledger.note("answered", device=self.index, id=command, at=now_us)


def _latency(behaviour: Behaviour, command: str) -> float:
    """Seconds a command takes: the mean and up to the jitter to either side, the same for the same id."""
    swing = 2.0 * (zlib.crc32(command.encode()) / 2**32) - 1.0
    return max(0.0, behaviour.takes_ms + behaviour.jitter_ms * swing) / 1000.0

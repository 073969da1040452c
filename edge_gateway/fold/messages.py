"""The messages the gateway publishes: alerts, notices, commands and receipts as the wire has them.

They are sent once the record that caused them is on disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from msgspec import structs

from edge_gateway.fleet.arrivals.marks import StoredRange
from edge_gateway.fold.pending_command import CommandWork, PendingCommand
from edge_gateway.records.alerts import NO_READING, Transition
from fleet_wire import control_messages, topics


class MessageKind(StrEnum):
    """What a message is called where the operator reads that the broker refuses it."""

    STATUS = "statuses"
    ALERT = "alerts"
    COMMAND = "commands"
    RECEIPT = "receipts"
    REPLY = "replies"


@dataclass(frozen=True, slots=True)
class Message:
    """One publish.

    Attributes:
        expires_at: monotonic ms, as in `Moment`, from which on it must not be delivered; None: never.
        send_by: monotonic ms from which on it must not be sent; None: never.
        fleeting: dropped where the queue is full or the connection ends, because the next one replaces it.
        doubtful: an earlier attempt may have reached the broker, whose answer was lost.
    """

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    expires_at: int | None = None
    send_by: int | None = None
    correlation: bytes | None = None
    fleeting: bool = False
    doubtful: bool = False

    def lapsed(self, now: int) -> bool:
        """Whether it must not be sent any more at `now`, monotonic ms."""
        return any(until is not None and now >= until for until in (self.expires_at, self.send_by))

    @property
    def kind(self) -> MessageKind:
        """The kind, by the topic."""
        levels = self.topic.split("/")
        is_alert = levels[0] == "edge" and levels[3] == "alerts"
        return MessageKind.ALERT if is_alert else _BY_LAST_LEVEL[levels[-1]]


_BY_LAST_LEVEL = {
    topics.STATUS: MessageKind.STATUS,
    topics.COMMAND: MessageKind.COMMAND,
    topics.RECEIPT: MessageKind.RECEIPT,
    topics.REPLY: MessageKind.REPLY,
}


_ALERT_FIELDS = tuple(field.name for field in structs.fields(control_messages.Alert))


def alert_on_the_wire(transition: Transition) -> control_messages.Alert:
    """Return the alert that the retained message, notices and commands carry.

    That of a device that has sent nothing names no reading.
    """
    fields = {name: getattr(transition, name) for name in _ALERT_FIELDS}
    if transition.boot == NO_READING:
        fields["boot"] = fields["seq"] = None
    return control_messages.Alert(**fields)


def alert_messages(gateway: str, transition: Transition) -> list[Message]:
    """Return the retained alert; one that resolved is sent and then cleared by an empty payload."""
    subject = transition.subject
    level = subject if topics.is_level(subject) else topics.group_level(subject)
    topic = topics.alert_topic(gateway, transition.site, level, transition.rule)
    payload = control_messages.encode_alert(alert_on_the_wire(transition))
    alert = Message(topic, payload, retain=transition.state == "firing")
    return [alert] if transition.state != "resolved" else [alert, Message(topic, b"", retain=True)]


def notice_message(transition: Transition) -> Message:
    """Return the notice of an alert to its device; it has no `n` and is not acknowledged."""
    notice = control_messages.Command(
        id=transition.id,
        kind="alert",
        name=transition.rule,
        alert=alert_on_the_wire(transition),
        ts=transition.at,
    )
    topic = topics.device_topic(transition.site, transition.subject, topics.COMMAND)
    return Message(topic, control_messages.encode_command(notice), correlation=transition.id.encode())


def command_message(pending: PendingCommand, *, doubtful: bool = False) -> Message:
    """Return a numbered command, which the broker drops when it expires; `doubtful`: an earlier start sent it."""
    command = control_messages.Command(
        id=pending.id,
        n=pending.n,
        kind="command",
        name=pending.intent.name,
        args=pending.intent.args,
        alert=alert_on_the_wire(pending.alert),
        ts=pending.sent_at,
    )
    return Message(
        topics.device_topic(pending.site, pending.device, topics.COMMAND),
        control_messages.encode_command(command),
        expires_at=pending.expires_at,
        send_by=pending.send_by,
        correlation=pending.id.encode(),
        doubtful=doubtful,
    )


def command_messages(work: CommandWork) -> list[Message]:
    """Return the commands that a step of the queue sends."""
    again = [command_message(pending, doubtful=True) for pending in work.again]
    return [*map(command_message, work.send), *again]


def receipt_message(site: str, device: str, boot: int, stored: StoredRange) -> Message:
    """Return the receipt of what is stored of a boot; a lost one is replaced by the next."""
    receipt = control_messages.Receipt(
        boot=boot, since=stored.since, upto=stored.upto, missing=stored.missing
    )
    return Message(
        topics.device_topic(site, device, topics.RECEIPT),
        control_messages.encode_receipt(receipt),
        qos=0,
        fleeting=True,
    )

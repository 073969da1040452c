"""Messages the gateway publishes once the record that caused them is on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from edge_gateway.fold.alert_wire import alert_of
from edge_gateway.fold.command_queue import PendingCommand
from edge_gateway.records.alerts import Transition
from fleet_wire import control_messages, topics


class Kind(StrEnum):
    """What a message is to whoever hears that the broker refuses it."""

    STATUS = "statuses"
    ALERT = "alerts"
    COMMAND = "commands"
    RECEIPT = "receipts"
    REPLY = "replies"


@dataclass(frozen=True, slots=True)
class Message:
    """One publish. `expires_at` in wall milliseconds; what cannot wait for its place in the queue is `fleeting`.

    `doubtful`: an earlier try may have reached the broker, though nobody heard its answer.
    """

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    expires_at: int | None = None
    correlation: bytes | None = None
    fleeting: bool = False
    doubtful: bool = False

    @property
    def kind(self) -> Kind:
        """Told by the topic."""
        levels = self.topic.split("/")
        is_alert = levels[0] == "edge" and levels[3] == "alerts"
        return Kind.ALERT if is_alert else _BY_LAST_LEVEL[levels[-1]]


_BY_LAST_LEVEL = {
    topics.STATUS: Kind.STATUS,
    topics.COMMAND: Kind.COMMAND,
    topics.RECEIPT: Kind.RECEIPT,
    topics.REPLY: Kind.REPLY,
}


def alert_messages(gateway: str, transition: Transition) -> list[Message]:
    """The retained alert; after a resolve an empty one takes its place."""
    topic = topics.alert_topic(gateway, transition.site, transition.subject, transition.rule)
    alert = Message(
        topic, control_messages.encode_alert(alert_of(transition)), retain=transition.state == "firing"
    )
    return [alert] if transition.state != "resolved" else [alert, Message(topic, b"", retain=True)]


def notice_message(transition: Transition) -> Message:
    """The alert notice to the device itself: it has no `n` and is not acknowledged."""
    notice = control_messages.Command(
        id=transition.id,
        n=None,
        kind="alert",
        name=transition.rule,
        args={},
        alert=alert_of(transition),
        ts=transition.at,
    )
    topic = topics.device_topic(transition.site, transition.subject, topics.COMMAND)
    return Message(topic, control_messages.encode_command(notice), correlation=transition.id.encode())


def command_message(order: PendingCommand) -> Message:
    """A numbered command; the broker drops it when it expires."""
    command = control_messages.Command(
        id=order.id,
        n=order.n,
        kind="command",
        name=order.name,
        args=order.args,
        alert=msgspec.convert(order.alert, control_messages.Alert),
        ts=order.sent_at,
    )
    return Message(
        topics.device_topic(order.site, order.device, topics.COMMAND),
        control_messages.encode_command(command),
        expires_at=order.expires_at,
        correlation=order.id.encode(),
    )


def receipt_message(
    site: str, device: str, boot: int, upto: int, missing: Sequence[tuple[int, int]]
) -> Message:
    """What is stored of a device's readings; a lost one is made good by the next."""
    receipt = control_messages.Receipt(
        boot=boot, upto=upto, missing=[(first, last) for first, last in missing]
    )
    return Message(
        topics.device_topic(site, device, topics.RECEIPT),
        control_messages.encode_receipt(receipt),
        qos=0,
        fleeting=True,
    )

"""What the gateway publishes: each message is one of the contract, and says everything the transition knows."""

from __future__ import annotations

from typing import Any

import pytest

from edge_gateway.fleet.arrivals.marks import StoredRange
from edge_gateway.fold.messages import (
    Message,
    MessageKind,
    alert_messages,
    alert_on_the_wire,
    command_message,
    notice_message,
    receipt_message,
)
from edge_gateway.fold.pending_command import NEVER, PendingCommand
from edge_gateway.records.alerts import NO_READING, CommandIntent
from edge_gateway.records.inputs import Moment
from fleet_wire import control_messages, topics
from tests.gateway.records.transitions import WALL, too_warm

INTENT = CommandIntent("fan", "fan", {"speed": 3}, expires_ms=60_000)
ALERT_TOPIC = "edge/v1/gw/alerts/berlin/frz-1/TooWarm"
COMMAND_TOPIC = "fleet/v1/berlin/frz-1/command"
WIRE = control_messages.Alert(
    id="a1",
    group="cold",
    rule="TooWarm",
    level="critical",
    state="firing",
    event="firing",
    cause="reading",
    site="berlin",
    subject="frz-1",
    metric="temperature",
    value=-9.5,
    limit=-12.0,
    at=WALL,
    boot=3,
    seq=7,
    labels={"line": "L1"},
    annotations={"summary": "too warm"},
)
TEXTS: dict[str, Any] = {"labels": {"line": "L1"}, "annotations": {"summary": "too warm"}}


def test_the_alert_on_the_wire_has_what_the_contract_names_and_nothing_of_the_gateways_own() -> None:
    told = too_warm(**TEXTS, backlog=True, notify=True, commands=(INTENT,))
    assert alert_on_the_wire(told) == WIRE


def test_the_alert_of_a_device_that_has_sent_nothing_names_no_reading() -> None:
    told = alert_on_the_wire(too_warm(boot=NO_READING, seq=NO_READING))
    assert (told.boot, told.seq) == (None, None)


def test_a_firing_alert_is_retained_until_an_empty_message_clears_it() -> None:
    (firing,) = alert_messages("gw", too_warm(**TEXTS))
    assert (firing.topic, firing.retain, firing.kind) == (ALERT_TOPIC, True, MessageKind.ALERT)
    assert control_messages.decode_alert(firing.payload) == WIRE
    resolved, cleared = alert_messages("gw", too_warm(state="resolved", event="resolved"))
    assert (resolved.topic, resolved.retain) == (ALERT_TOPIC, False)
    assert control_messages.decode_alert(resolved.payload).state == "resolved"
    assert cleared == Message(ALERT_TOPIC, b"", retain=True)


def test_an_alert_without_a_value_says_none() -> None:
    (message,) = alert_messages("gw", too_warm(value=None, limit=None))
    alert = control_messages.decode_alert(message.payload)
    assert (alert.value, alert.limit) == (None, None)


def test_a_notice_carries_the_alert_and_no_number() -> None:
    message = notice_message(too_warm(**TEXTS))
    assert (message.topic, message.kind, message.correlation) == (COMMAND_TOPIC, MessageKind.COMMAND, b"a1")
    assert control_messages.decode_command(message.payload) == control_messages.Command(
        id="a1", kind="alert", name="TooWarm", alert=WIRE, ts=WALL
    )


def test_a_command_carries_its_number_its_alert_and_when_the_broker_drops_it() -> None:
    pending = PendingCommand.of(
        too_warm(**TEXTS, commands=(INTENT,)), INTENT, Moment(WALL, 0, monotonic=7), 1, 9
    )
    pending.n, pending.sent_at = 8, WALL + 5
    message = command_message(pending)
    assert (message.topic, message.kind) == (COMMAND_TOPIC, MessageKind.COMMAND)
    assert (message.expires_at, message.send_by) == (60_007, NEVER)
    assert message.correlation == pending.id.encode()
    assert control_messages.decode_command(message.payload) == control_messages.Command(
        id=pending.id, n=8, kind="command", name="fan", args={"speed": 3}, alert=WIRE, ts=WALL + 5
    )


def test_a_message_lapses_when_it_expires_or_its_reading_is_too_old() -> None:
    for message in (Message("t", b"", expires_at=7, send_by=9), Message("t", b"", expires_at=9, send_by=7)):
        assert [message.lapsed(now) for now in (6, 7)] == [False, True]
    assert not Message("t", b"").lapsed(NEVER)


def test_a_receipt_may_be_lost() -> None:
    message = receipt_message("berlin", "frz-1", 4, StoredRange(2, 99, [(3, 5)]))
    assert (message.qos, message.fleeting, message.kind) == (0, True, MessageKind.RECEIPT)
    assert control_messages.decode_receipt(message.payload) == control_messages.Receipt(
        boot=4, since=2, upto=99, missing=[(3, 5)]
    )


@pytest.mark.parametrize(
    ("topic", "kind"),
    [
        (topics.gateway_status_topic("gw"), MessageKind.STATUS),
        (topics.operator_reply_topic("gw"), MessageKind.REPLY),
        ("edge/v1/gw/alerts/berlin/command/receipt", MessageKind.ALERT),
        (topics.device_topic("berlin", "alerts", topics.COMMAND), MessageKind.COMMAND),
    ],
)
def test_the_topic_tells_what_a_message_is(topic: str, kind: MessageKind) -> None:
    assert Message(topic, b"").kind is kind

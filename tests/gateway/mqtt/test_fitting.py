"""Shortened messages are valid, as complete as fits, and never larger than `packet_size` says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mqtt5
import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from edge_gateway.fold.messages import Message, MessageKind
from edge_gateway.mqtt.fitting import fit, packet_size
from fleet_wire import control_messages
from fleet_wire.control_messages import Alert, Command, OperatorReply, Receipt

SCHEMA = json.loads((Path(__file__).parents[3] / "schemas" / "gateway-status.schema.json").read_text())
SAMPLE = json.loads((Path(__file__).parent / "a_status.json").read_text())


def alert() -> Alert:
    return Alert(
        id="a1",
        group="g",
        rule="TooWarm",
        level="critical",
        state="firing",
        event="firing",
        cause="reading",
        site="berlin",
        subject="frz-1",
        value=-5.0,
        at=1_760_000_000_000,
        labels={"team": "cold" * 20},
        annotations={"summary": "x" * 1_000},
    )


def alert_message() -> Message:
    return Message(
        "edge/v1/gw/alerts/berlin/frz-1/TooWarm", control_messages.encode_alert(alert()), retain=True
    )


def command_message(args: dict[str, Any] | None = None) -> Message:
    command = Command(
        id="c1", n=7, kind="command", name="cool", args=args or {"to": -22}, alert=alert(), ts=1
    )
    return Message(
        "fleet/v1/berlin/frz-1/command",
        control_messages.encode_command(command),
        expires_at=60_000,
        correlation=b"c1",
    )


def status_message() -> Message:
    return Message("edge/v1/gw/status", control_messages.encode_gateway_status(SAMPLE), retain=True)


def receipt_message(missing: list[tuple[int, int]]) -> Message:
    receipt = Receipt(boot=2**62, upto=10**9, missing=missing)
    return Message(
        "fleet/v1/berlin/frz-1/receipt", control_messages.encode_receipt(receipt), qos=0, fleeting=True
    )


@pytest.mark.parametrize(
    "message",
    [alert_message(), command_message(), status_message(), receipt_message([])],
    ids=lambda one: one.kind,
)
def test_the_size_is_never_below_that_of_the_packet(message: Message) -> None:
    packet = mqtt5.PublishPacket(
        message.topic,
        message.payload,
        qos=mqtt5.QoS.AT_LEAST_ONCE,
        packet_id=65_535,
        retain=message.retain,
        message_expiry_interval=None if message.expires_at is None else 60,
        correlation_data=message.correlation,
    ).write()
    assert 0 <= packet_size(message) - len(packet) <= 8


@pytest.mark.parametrize("most", [4_000, 2_000, 1_500, 1_000, 600, 450])
def test_a_shortened_status_is_valid_names_what_it_lacks_and_fits(most: int) -> None:
    shorter = fit(status_message(), most)
    assert shorter is not None
    assert packet_size(shorter) <= most
    said = msgpack.unpackb(shorter.payload)
    Draft202012Validator(SCHEMA).validate(json.loads(json.dumps(said)))
    assert said["state"] == SAMPLE["state"]
    assert said["nonce"] == SAMPLE["nonce"]
    whole = packet_size(status_message()) <= most
    assert bool(said.get("left_out")) is not whole


def test_a_status_loses_the_bulky_parts_first() -> None:
    lacking = [
        msgpack.unpackb(shorter.payload).get("left_out", [])
        for most in range(packet_size(status_message()), 200, -50)
        if (shorter := fit(status_message(), most)) is not None
    ]
    assert lacking == sorted(lacking, key=lambda one: (one[:1] == ["rest"], len(one)))
    assert lacking[0] == []
    assert lacking[1][0] == "gaps.ranges"
    assert lacking[-1] == ["rest", "problems"]


def test_an_alert_loses_annotations_then_labels_and_keeps_its_identity() -> None:
    whole = packet_size(alert_message())
    said = [
        control_messages.decode_alert(one.payload)
        for most in (whole, whole - 1, 200)
        if (one := fit(alert_message(), most)) is not None
    ]
    assert [(bool(one.annotations), bool(one.labels)) for one in said] == [
        (True, True),
        (False, True),
        (False, False),
    ]
    assert {(one.id, one.state, one.value) for one in said} == {("a1", "firing", -5.0)}


def test_a_command_keeps_its_arguments_and_id_or_is_not_sent() -> None:
    shorter = fit(command_message(), 150)
    assert shorter is not None
    said = control_messages.decode_command(shorter.payload)
    assert (said.n, said.args, said.alert) == (7, {"to": -22}, None)
    assert (shorter.correlation, shorter.expires_at) == (b"c1", 60_000)
    assert fit(command_message({"text": "x" * 500}), 400) is None


def test_a_reply_says_that_it_was_too_long() -> None:
    reply = OperatorReply(id="r1", ok=True, detail="x" * 5_000)
    shorter = fit(Message("edge/v1/gw/reply", control_messages.encode_operator_reply(reply)), 300)
    assert shorter is not None
    said = control_messages.decode_operator_reply(shorter.payload)
    assert (said.id, said.ok) == ("r1", True)
    assert "max_packet_size" in said.detail


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=64), st.integers(60, 1_500)
)
def test_a_shorter_receipt_says_nothing_that_the_whole_one_does_not(
    steps: list[tuple[int, int]], most: int
) -> None:
    missing, at = [], 0
    for gap, length in steps:
        missing.append((at + gap, at + gap + length))
        at = missing[-1][1] + 1
    shorter = fit(receipt_message(missing), most)
    if shorter is None:
        return
    assert packet_size(shorter) <= most
    said, lacking = (
        control_messages.decode_receipt(shorter.payload),
        {seq for first, last in missing for seq in range(first, last + 1)},
    )
    named = {seq for first, last in said.missing for seq in range(first, last + 1)}
    spoken_of = min(said.upto, at + 10)
    assert {seq for seq in range(spoken_of + 1) if seq in lacking} == {
        seq for seq in named if seq <= spoken_of
    }


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"no message"])
def test_a_malformed_message_is_not_shortened(payload: bytes) -> None:
    for topic in ("edge/v1/gw/status", "fleet/v1/a/b/command", "fleet/v1/a/b/receipt", "edge/v1/gw/reply"):
        assert fit(Message(topic, payload), 10) is None


def test_every_topic_the_gateway_writes_has_its_kind() -> None:
    kinds = {
        "edge/v1/gw/status": MessageKind.STATUS,
        "edge/v1/gw/alerts/_/_gateway/status": MessageKind.ALERT,
        "edge/v1/gw/alerts/berlin/command/receipt": MessageKind.ALERT,
        "edge/v1/gw/reply": MessageKind.REPLY,
        "fleet/v1/berlin/alerts/command": MessageKind.COMMAND,
        "fleet/v1/berlin/frz-1/receipt": MessageKind.RECEIPT,
    }
    assert {topic: Message(topic, b"").kind for topic in kinds} == kinds

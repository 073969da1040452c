"""Shrink messages for a broker with a small maximum packet size, by leaving parts out in a fixed order.

status    long lists and texts, one after the other; finally everything but the gateway's state
alert     annotations, then labels
command   details of its alert; never its name, arguments and id
receipt   the last missing ranges, with `upto` lowered accordingly
reply     its detail

Nothing is truncated: the result is a valid message of the contract, or there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import msgspec

from edge_gateway.fold.messages import Message, MessageKind
from edge_gateway.status.report import ShortStatus
from fleet_wire import control_messages
from fleet_wire.payload import MalformedMessage

ENVELOPE = 1 + 4 + 2 + 2 + 4
"""Bytes of a PUBLISH beside topic, payload and properties, at most: type, remaining length, topic length, packet id,
property length."""
EXPIRY, CORRELATION = 5, 3
"""Bytes of the message expiry property, and of correlation data beside the data itself."""
KEPT_TEXT = 60
REST = "rest"
"""In `left_out`: every field that `SHORT` does not name."""
SHORT = tuple(name for name in ShortStatus.__struct_fields__ if name != "left_out")


def packet_size(message: Message) -> int:
    """Return an upper bound of the PUBLISH packet's size in bytes."""
    properties = EXPIRY if message.expires_at is not None else 0
    if message.correlation is not None:
        properties += CORRELATION + len(message.correlation)
    return ENVELOPE + properties + len(message.topic.encode()) + len(message.payload)


def fit(message: Message, most: int) -> Message | None:
    """Return the most complete form of a message that fits `most` bytes; None if even the smallest does not."""
    if packet_size(message) <= most:
        return message
    for payload in _shorter(message):
        shorter = replace(message, payload=payload)
        if packet_size(shorter) <= most:
            return shorter
    return None


def _shorter(message: Message) -> Iterator[bytes]:
    """Yield ever smaller payloads."""
    if not message.payload:
        return
    try:
        yield from _SHORTER[message.kind](message.payload)
    except MalformedMessage:
        return


def _statuses(payload: bytes) -> Iterator[bytes]:
    status = control_messages.decode_gateway_status(payload)
    left_out: list[str] = []
    for name, reduce in _REDUCTIONS.items():
        reduce(status)
        left_out.append(name)
        yield control_messages.encode_gateway_status({**status, "left_out": left_out})
    short = {name: status[name] for name in SHORT if name in status}
    yield control_messages.encode_gateway_status({**short, "left_out": [REST]})
    yield control_messages.encode_gateway_status({**short, "problems": [], "left_out": [REST, "problems"]})


def _without_ranges(status: dict[str, Any]) -> None:
    status["gaps"] = {**status["gaps"], "ranges": []}


def _without_definitions(status: dict[str, Any]) -> None:
    status["definitions"] = dict.fromkeys(status["definitions"], "")


def _without_rule_problems(status: dict[str, Any]) -> None:
    status["rules"] = {**status["rules"], "problems": []}


def _with_short_texts(status: dict[str, Any]) -> None:
    status["problems"] = [{**one, "text": one["text"][:KEPT_TEXT]} for one in status["problems"]]


_REDUCTIONS: dict[str, Callable[[dict[str, Any]], None]] = {
    "gaps.ranges": _without_ranges,
    "definitions": _without_definitions,
    "metrics": lambda status: status.update(metrics={}),
    "rules.problems": _without_rule_problems,
    "counters": lambda status: status.update(counters={}),
    "problems.text": _with_short_texts,
}
"""What is left out of a status, least important first."""


def _alerts(payload: bytes) -> Iterator[bytes]:
    yield from map(control_messages.encode_alert, _with_less_detail(control_messages.decode_alert(payload)))


def _with_less_detail(alert: control_messages.Alert) -> Iterator[control_messages.Alert]:
    yield msgspec.structs.replace(alert, annotations={})
    yield msgspec.structs.replace(alert, annotations={}, labels={})


def _commands(payload: bytes) -> Iterator[bytes]:
    command = control_messages.decode_command(payload)
    if command.alert is not None:
        for alert in [*_with_less_detail(command.alert), None]:
            yield control_messages.encode_command(msgspec.structs.replace(command, alert=alert))


def _receipts(payload: bytes) -> Iterator[bytes]:
    """Drop ranges from the end and lower `upto` to before the first dropped one; without ranges yield nothing."""
    receipt = control_messages.decode_receipt(payload)
    for kept in range(len(receipt.missing) - 1, -1, -1):
        upto = receipt.missing[kept][0] - 1
        if upto >= 0:
            shorter = msgspec.structs.replace(receipt, upto=upto, missing=receipt.missing[:kept])
            yield control_messages.encode_receipt(shorter)


def _replies(payload: bytes) -> Iterator[bytes]:
    reply = control_messages.decode_operator_reply(payload)
    detail = "the answer is larger than the broker takes: see max_packet_size"
    yield control_messages.encode_operator_reply(msgspec.structs.replace(reply, detail=detail))


_SHORTER: dict[MessageKind, Callable[[bytes], Iterator[bytes]]] = {
    MessageKind.STATUS: _statuses,
    MessageKind.ALERT: _alerts,
    MessageKind.COMMAND: _commands,
    MessageKind.RECEIPT: _receipts,
    MessageKind.REPLY: _replies,
}

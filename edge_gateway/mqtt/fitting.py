"""Messages for a broker that takes only small packets: what can be spared is left out, in a fixed order.

status    lists and texts that are long, one after the other; in the end only that the gateway is there
alert     annotations, then labels
command   what it tells of its alert; never its own name, arguments and number
receipt   the later ranges, and it then speaks of less
reply     its detail

Nothing here is cut in the middle: what comes out is a message of the contract, or there is none.
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
"""Bytes of a PUBLISH beside topic, payload and properties: type, length, length of the topic, packet id, and the length
of the properties."""
EXPIRY, CORRELATION = 5, 3
KEPT_TEXT = 60
REST = "rest"
"""Stands in `left_out` for everything that `SHORT` does not name."""
SHORT = tuple(name for name in ShortStatus.__struct_fields__ if name != "left_out")


def packet_size(message: Message) -> int:
    """Bytes of the PUBLISH at most."""
    properties = EXPIRY if message.expires_at is not None else 0
    if message.correlation is not None:
        properties += CORRELATION + len(message.correlation)
    return ENVELOPE + properties + len(message.topic.encode()) + len(message.payload)


def fit(message: Message, most: int) -> Message | None:
    """The message as a packet of at most `most` bytes, as whole as it can be; None where nothing is left to spare."""
    if packet_size(message) <= most:
        return message
    for payload in _shorter(message):
        shorter = replace(message, payload=payload)
        if packet_size(shorter) <= most:
            return shorter
    return None


def _shorter(message: Message) -> Iterator[bytes]:
    """Payloads that say less and less."""
    if not message.payload:
        return
    try:
        yield from _SHORTER[message.kind](message.payload)
    except MalformedMessage:
        return


def _statuses(payload: bytes) -> Iterator[bytes]:
    status = control_messages.decode_gateway_status(payload)
    left_out: list[str] = []
    for name, spare in _REDUCTIONS.items():
        spare(status)
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
"""What a status can do without, dearest last."""


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
    """Speak of the readings before a range that is not named; without a range there is nothing to spare."""
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

"""Births, commands, acks, alerts, receipts and operators' requests: everything on the wire except readings.

Each message is a frozen record with an `encode_…` and a `decode_…`. Decoders raise nothing but MalformedMessage.
On the wire fields with their default are left out; unknown keys are ignored, so that a later version can add some.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from fleet_wire.payload import (
    MAX_REPORT,
    Counter,
    Identity,
    Line,
    MalformedMessage,
    Name,
    Scalar,
    Text,
    Time,
    Word,
)
from fleet_wire.payload import decode as _decode
from fleet_wire.payload import encode as _encode

__all__ = [
    "MAX_MISSING",
    "NO_CHANGE",
    "Ack",
    "Alert",
    "AlertCause",
    "AlertEvent",
    "Birth",
    "Command",
    "Death",
    "MalformedMessage",
    "MetricInfo",
    "OperatorReply",
    "OperatorRequest",
    "Receipt",
    "decode_ack",
    "decode_alert",
    "decode_command",
    "decode_gateway_status",
    "decode_operator_reply",
    "decode_operator_request",
    "decode_receipt",
    "decode_status",
    "encode_ack",
    "encode_alert",
    "encode_birth",
    "encode_command",
    "encode_death",
    "encode_gateway_status",
    "encode_operator_reply",
    "encode_operator_request",
    "encode_receipt",
]

MAX_MISSING = 64
"""Ranges in one receipt; the next receipt names further ones."""

Level = Literal["critical", "warning", "info"]
AlertState = Literal["inactive", "pending", "firing", "resolved"]
AlertEvent = Literal[
    "pending",
    "firing",
    "escalated",
    "deescalated",
    "resolved",
    "no_data",
    "repeat",
    "released",
    "reminder",
    "acknowledged",
]
"""What happened. The last four change nothing: a notice that is sent again, one that was owed or withheld, a point that
InfluxDB gets again, and that somebody has seen the alert. Whoever counts alerts passes over them (`NO_CHANGE`)."""
AlertCause = Literal[
    "reading",
    "time",
    "no_data",
    "expired",
    "schedule",
    "reload",
    "removed",
    "moved",
    "retired",
    "operator",
]
"""Why it happened."""
NO_CHANGE: Final = frozenset({"repeat", "released", "reminder", "acknowledged"})
Outcome = Literal["done", "rejected", "failed"]
Tags = Annotated[dict[Name, Annotated[str, Meta(max_length=128)]], Meta(max_length=32)]
Arguments = Annotated[dict[Name, Scalar], Meta(max_length=64)]
Labels = Annotated[dict[Word, Line], Meta(max_length=32)]
Annotations = Annotated[dict[Word, Text], Meta(max_length=16)]
Range = tuple[Counter, Counter]


class MetricInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a birth says about one metric. `min` and `max` are what the sensor can measure.

    `kind` says whether its values are numbers or states (texts and booleans). Without it, a unit or any of the four
    limits implies numbers.
    """

    unit: Annotated[str, Meta(max_length=32)] | None = None
    label: Annotated[str, Meta(max_length=128)] | None = None
    min: float | None = None
    max: float | None = None
    warning: float | None = None
    critical: float | None = None
    kind: Literal["number", "state"] | None = None


class Birth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="state", tag="online"):
    """A device is online.

    `next` is the seq of its next new message, so that losses at the end show; `floor` is the lowest it still holds.
    """

    type: Annotated[str, Meta(min_length=1, max_length=64)]
    tags: Tags = {}
    metrics: Annotated[dict[Name, MetricInfo], Meta(max_length=256)] = {}
    lat: Annotated[float, Meta(ge=-90, le=90)] | None = None
    lon: Annotated[float, Meta(ge=-180, le=180)] | None = None
    boot: Counter
    floor: Counter = 0
    next: Counter = 0
    ts: Time | None = None


class Death(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="state", tag="offline"):
    """A device is offline: published by the broker as the device's will, or by the device when it leaves."""

    ts: Time | None = None


class Alert(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One transition of an alert.

    `was` is the level before it, of an alert that fired then. A wait that ends before its alert fires has the event
    `resolved` and the state `inactive`. (boot, seq) identify the newest reading that it rests on, if there is one;
    `value` and `limit` are there where a value was read. `suppressed` names what muted its notice; `acked`: somebody
    has acknowledged the alert.
    """

    id: Identity
    group: Identity
    rule: Identity
    level: Level
    was: Level | None = None
    state: AlertState
    event: AlertEvent
    cause: AlertCause
    site: Word
    subject: Annotated[str, Meta(min_length=1, max_length=1_000)]
    metric: Word | None = None
    value: Scalar = None
    limit: Scalar = None
    at: Time
    boot: Counter | None = None
    seq: Counter | None = None
    labels: Labels = {}
    annotations: Annotations = {}
    suppressed: Annotated[tuple[Line, ...], Meta(max_length=128)] = ()
    acked: bool = False


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A gateway's command to a device, or, with kind "alert", a notice of an alert.

    `id` is also the MQTT correlation data. A command has `n`, which grows per device; a notice has none and is not
    acked.
    """

    id: Identity
    n: Counter | None = None
    kind: Literal["alert", "command"]
    name: Word
    args: Arguments = {}
    alert: Alert | None = None
    ts: Time | None = None

    def __post_init__(self) -> None:
        if self.kind == "command" and self.n is None:
            raise ValueError("a command needs n")
        if self.kind == "alert" and self.n is not None:
            raise ValueError("a notice carries no n")


class Ack(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The outcome of a command, from the device.

    `n` is the highest number it holds. A command whose number is not above it is not executed; the device then repeats
    the ack of its newest command, and the gateway goes on above `n`.
    """

    id: Identity
    outcome: Outcome
    n: Counter | None = None
    detail: Line = ""
    ts: Time | None = None


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of `boot` from `from` to `upto` is stored, except for `missing`; all bounds are inclusive.

    Of messages below `from` nothing is known any more.
    """

    boot: Counter
    since: Counter = msgspec.field(default=0, name="from")
    upto: Counter
    missing: Annotated[list[Range], Meta(max_length=MAX_MISSING)] = []


class OperatorRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An authorised operator's request to a gateway, such as reload, report or forget."""

    id: Identity
    do: Word
    args: Annotated[dict[Word, Any], Meta(max_length=64)] = {}


class OperatorReply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The gateway's answer to the request with this id."""

    id: Identity
    ok: bool
    detail: Any = None


Status = Birth | Death
_STATUS: msgspec.msgpack.Decoder[Status] = msgspec.msgpack.Decoder(Status)
_COMMAND = msgspec.msgpack.Decoder(Command)
_ACK = msgspec.msgpack.Decoder(Ack)
_ALERT = msgspec.msgpack.Decoder(Alert)
_RECEIPT = msgspec.msgpack.Decoder(Receipt)
_REQUEST = msgspec.msgpack.Decoder(OperatorRequest)
_REPLY = msgspec.msgpack.Decoder(OperatorReply)
_ANY_MAP = msgspec.msgpack.Decoder(dict[str, Any])


def _encoded(message: msgspec.Struct) -> bytes:
    return _encode(msgspec.to_builtins(message))


def encode_birth(birth: Birth) -> bytes:
    return _encoded(birth)


def encode_death(death: Death = Death()) -> bytes:  # noqa: B008 - frozen
    return _encoded(death)


def decode_status(payload: bytes) -> Status:
    return _decode(_STATUS, payload)


def encode_command(command: Command) -> bytes:
    return _encoded(command)


def decode_command(payload: bytes) -> Command:
    return _decode(_COMMAND, payload)


def encode_ack(ack: Ack) -> bytes:
    return _encoded(ack)


def decode_ack(payload: bytes) -> Ack:
    return _decode(_ACK, payload)


def encode_alert(alert: Alert) -> bytes:
    return _encoded(alert)


def decode_alert(payload: bytes) -> Alert:
    return _decode(_ALERT, payload)


def encode_receipt(receipt: Receipt) -> bytes:
    return _encoded(receipt)


def decode_receipt(payload: bytes) -> Receipt:
    receipt = _decode(_RECEIPT, payload)
    if any(first > last for first, last in receipt.missing):
        raise MalformedMessage("a missing range ends before it begins")
    return receipt


def encode_operator_request(request: OperatorRequest) -> bytes:
    return _encoded(request)


def decode_operator_request(payload: bytes) -> OperatorRequest:
    return _decode(_REQUEST, payload)


def encode_operator_reply(reply: OperatorReply) -> bytes:
    return _encode(msgspec.to_builtins(reply), most=MAX_REPORT)


def decode_operator_reply(payload: bytes) -> OperatorReply:
    return _decode(_REPLY, payload, most=MAX_REPORT)


def encode_gateway_status(status: dict[str, Any]) -> bytes:
    """Encode a gateway's status; its shape is defined by its own JSON Schema, not here."""
    return _encode({"v": 1, **status}, most=MAX_REPORT)


def decode_gateway_status(payload: bytes) -> dict[str, Any]:
    status = _decode(_ANY_MAP, payload, most=MAX_REPORT)
    if status.get("v") != 1:
        raise MalformedMessage("not a gateway status of version 1")
    return status

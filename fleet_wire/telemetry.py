"""Readings on the wire: one msgpack map per message, with short keys, because thousands per second cross a radio."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from fleet_wire.payload import MAX_PAYLOAD, MAX_TIME, Counter, MalformedMessage, Time, decode, encode

__all__ = [
    "MAX_METRICS",
    "MAX_PAYLOAD",
    "MAX_SAMPLES",
    "MAX_STEP",
    "TELEMETRY_DECODER",
    "MalformedMessage",
    "Telemetry",
    "decode_telemetry",
    "encode_telemetry",
    "is_metric_name",
]

MAX_METRICS = 256
"""Metrics in one sample."""
MAX_SAMPLES = 1_000
"""Further samples in one message."""
MAX_STEP = 2**40
"""Milliseconds a further sample may lie after `ts` (34 years): ts + step never leaves int64."""

Values = Annotated[dict[str, Any], Meta(max_length=MAX_METRICS)]
Sample = tuple[Annotated[int, Meta(ge=0, le=MAX_STEP)], Values]

_is_metric_name = re.compile(r"[a-z][a-z0-9_]{0,63}").fullmatch


class Telemetry(msgspec.Struct, gc=False):
    """One telemetry message; its envelope is checked, its values are not.

    `m` and the maps in `s` hold anything msgpack can say under a text key. A NaN, a list, a misspelt metric name or a
    quality outside 0 to 1 costs that value, never the message, so the gateway judges them. An absent `v` means 1.
    """

    boot: Counter
    seq: Counter
    m: Values
    v: Literal[1] = 1
    ts: Time | None = None
    floor: Counter | None = None
    q: Annotated[dict[str, float], Meta(max_length=MAX_METRICS)] | None = None
    s: Annotated[list[Sample], Meta(max_length=MAX_SAMPLES)] | None = None


TELEMETRY_DECODER: msgspec.msgpack.Decoder[Telemetry] = msgspec.msgpack.Decoder(Telemetry)
"""The bare decoder, for decoding thousands at once; it raises more than MalformedMessage, see `decode`."""


def is_metric_name(text: str) -> bool:
    """Return whether the text may name a metric: a lower-case letter, then up to 63 of a-z 0-9 _."""
    return _is_metric_name(text) is not None


def decode_telemetry(payload: bytes) -> Telemetry:
    """Decode and check one message; MalformedMessage says what is wrong."""
    message = decode(TELEMETRY_DECODER, payload)
    if message.s and message.ts is not None and message.ts + max(step for step, _ in message.s) > MAX_TIME:
        raise MalformedMessage("a sample's time is past 2100")
    return message


def encode_telemetry(
    boot: int,
    seq: int,
    ts: int | None,
    m: Mapping[str, Any],
    *,
    floor: int | None = None,
    q: Mapping[str, float] | None = None,
    s: Sequence[tuple[int, Mapping[str, Any]]] | None = None,
) -> bytes:
    """Encode one message without absent keys, the others always in the order v boot seq ts floor m q s.

    The same arguments give the same bytes. ValueError: the message is longer than MAX_PAYLOAD.
    """
    message: dict[str, Any] = {"v": 1, "boot": boot, "seq": seq}
    if ts is not None:
        message["ts"] = ts
    if floor is not None:
        message["floor"] = floor
    message["m"] = m
    if q is not None:
        message["q"] = q
    if s is not None:
        message["s"] = s
    return encode(message)

"""Say what a malformed payload looks like, so that its sender knows what to fix."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from fleet_config.problems import quoted
from fleet_wire.payload import MAX_PAYLOAD
from fleet_wire.printable import printable

EXPECTED_FORMAT: Final = "expected MessagePack"
EXPECTED_TIME: Final = "expected milliseconds since 1970 as an integer"
_UNITS: Final = (
    ("seconds", 10**9),
    ("milliseconds", 10**12),
    ("microseconds", 10**15),
    ("nanoseconds", 10**18),
)
"""Units of a time, and about what September 2001 is in each."""
_UP_TO_2100: Final = 4.2
"""The end of 2100 divided by September 2001, rounded up."""
_SHOWN: Final = 40
_COMPRESSED: Final = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x78\x9c", "zlib"),
    (b"\x78\x01", "zlib"),
)
_CBOR_MAPS: Final = range(0xA1, 0xC0)
"""First bytes of a CBOR map; in MessagePack they start a text, which is no message."""
_CBOR_TEXTS: Final = range(0x61, 0x78)
_MOST_FIELDS: Final = 64


class _Timed(msgspec.Struct, gc=False):
    ts: Any = None


_TIMED = msgspec.msgpack.Decoder(_Timed)


def diagnosed(payload: bytes, fault: str) -> str:
    """Return why a payload is malformed, safe to print.

    This is `fault`, unless the payload is recognised as another format, or its time as having another unit.
    """
    if len(payload) > MAX_PAYLOAD:
        return printable(fault)
    try:
        time = _TIMED.decode(payload).ts
    except (ValueError, RecursionError):
        return _other_format(payload) or printable(fault)
    return (_wrong_time(time) if fault.startswith("ts: ") else "") or printable(fault)


def unit_of(time: float) -> str:
    """Return the unit in which a number is a time from 2001 to 2100; "" if there is none."""
    fitting = (name for name, in_2001 in _UNITS if in_2001 <= time <= _UP_TO_2100 * in_2001)
    return next(fitting, "")


def _wrong_time(time: object) -> str:
    """Describe what is wrong with the time of a message; "" if it is nothing like a time."""
    shown = printable(time, _SHOWN)
    match time:
        case bool():
            return f"ts is {shown}; {EXPECTED_TIME}"
        case int() | float():
            unit = unit_of(time)
            looks = (
                f"looks like {unit}"
                if unit and unit != "milliseconds"
                else f"is of type {type(time).__name__}"
            )
            return f"ts {shown} {looks}; {EXPECTED_TIME}"
        case str():
            return f"ts is text, {quoted(printable(time, _SHOWN))}; {EXPECTED_TIME}"
        case datetime():
            return f"ts is a timestamp, {shown}; {EXPECTED_TIME}"
        case _:
            return ""


def _other_format(payload: bytes) -> str:
    """Name another format the payload seems to be; "" if none is recognised."""
    if not payload:
        return f"the payload is empty; {EXPECTED_FORMAT}"
    for magic, name in _COMPRESSED:
        if payload.startswith(magic):
            return f"this is compressed ({name}); expected uncompressed MessagePack"
    if _is_cbor(payload):
        return f"this looks like CBOR; {EXPECTED_FORMAT}"
    return _as_text(payload) or (f"this may be protobuf; {EXPECTED_FORMAT}" if _is_protobuf(payload) else "")


def _as_text(payload: bytes) -> str:
    """Describe a payload that is text; "" if it is none."""
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return ""
    if not all(character.isprintable() or character.isspace() for character in text):
        return ""
    try:
        kind = type(msgspec.json.decode(payload))
    except (ValueError, RecursionError):
        return f"this is text, {quoted(printable(text, _SHOWN))}; {EXPECTED_FORMAT}"
    if kind in (dict, list):
        return f"this looks like JSON; {EXPECTED_FORMAT}"
    return f"this is text, {quoted(printable(text, _SHOWN))}; {EXPECTED_FORMAT}"


def _is_cbor(payload: bytes) -> bool:
    """Whether a payload starts like a CBOR map with text keys."""
    if len(payload) < 3 or payload[0] not in _CBOR_MAPS or payload[1] not in _CBOR_TEXTS:  # noqa: PLR2004 - map, key
        return False
    key = payload[2 : 2 + payload[1] - 0x60]
    return len(key) == payload[1] - 0x60 and key.isascii() and key.decode("ascii").isidentifier()


def _is_protobuf(payload: bytes) -> bool:
    """Whether a payload is a sequence of protobuf fields from its first byte to its last."""
    at = fields = 0
    while at < len(payload) and fields < _MOST_FIELDS:
        key, at = _varint(payload, at)
        kind, number = key & 7, key >> 3
        if number == 0 or kind not in (0, 1, 2, 5):
            return False
        value, after = _varint(payload, at) if kind in (0, 2) else (0, at + (8 if kind == 1 else 4))
        at = after + (value if kind == 2 else 0)  # noqa: PLR2004 - wire type LEN
        fields += 1
    return fields > 1 and (at == len(payload) or fields == _MOST_FIELDS)


def _varint(payload: bytes, at: int) -> tuple[int, int]:
    """Return a varint (seven bits a byte) and the position after it; (0, beyond the end) if it does not end."""
    value = shift = 0
    for place in range(at, min(at + 10, len(payload))):
        value |= (payload[place] & 0x7F) << shift
        shift += 7
        if payload[place] < 0x80:  # noqa: PLR2004 - the last byte
            return value, place + 1
    return 0, len(payload) + 1

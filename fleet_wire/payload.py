"""What all payloads of the contract share: limits, value types, encoding and decoding."""

from collections.abc import Mapping
from typing import Annotated, Any, Protocol, TypeVar

import msgpack
from msgspec import Meta

from fleet_wire.plain_reasons import plain_reason
from fleet_wire.printable import printable

MAX_PAYLOAD = 65_536
"""Bytes of a message from or to a device; a longer one is refused before it is decoded."""
MAX_REPORT = 1 << 20
"""Bytes of a gateway's status or reply to an operator."""
MAX_COUNTER = 2**63 - 1
MAX_TIME = 4_102_444_800_000
"""2100-01-01T00:00:00Z in milliseconds since 1970: a time past it comes from a broken clock."""

Counter = Annotated[int, Meta(ge=0, le=MAX_COUNTER)]
Time = Annotated[int, Meta(ge=-(2**63), le=MAX_TIME)]
"""Milliseconds since 1970 UTC. A negative time is well formed; the gateway judges it."""
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,63}\Z")]
Identity = Annotated[str, Meta(min_length=1, max_length=128)]
Word = Annotated[str, Meta(min_length=1, max_length=64)]
Line = Annotated[str, Meta(max_length=1_000)]
Text = Annotated[str, Meta(max_length=16_000)]
Scalar = int | float | bool | str | None

_REASON_LENGTH = 200

M_co = TypeVar("M_co", covariant=True)
M = TypeVar("M")


class MalformedMessage(ValueError):
    """The payload is not a message of the contract; the text is the reason kept with it in quarantine."""


class Decoder(Protocol[M_co]):
    def decode(self, buf: bytes, /) -> M_co: ...


def decode(decoder: Decoder[M], payload: bytes, *, most: int = MAX_PAYLOAD) -> M:
    """Decode with msgspec; MalformedMessage for anything wrong with the payload."""
    if len(payload) > most:
        raise MalformedMessage(f"payload of {len(payload)} bytes is longer than {most}")
    try:
        return decoder.decode(payload)
    except RecursionError:
        raise MalformedMessage("nested too deep") from None
    except ValueError as problem:  # msgspec's own errors and a UnicodeDecodeError are all of this class
        raise MalformedMessage(_reason(problem)) from None


def _reason(problem: ValueError) -> str:
    if isinstance(problem, UnicodeDecodeError):
        return "a text is not UTF-8"
    return printable(plain_reason(str(problem)), _REASON_LENGTH)


def encode(message: Mapping[str, Any], *, most: int = MAX_PAYLOAD) -> bytes:
    """Encode with the msgpack library, which is independent of the decoder.

    ValueError: the message is too long for any receiver.
    """
    payload: bytes = msgpack.packb(message)
    if len(payload) > most:
        raise ValueError(f"a message of {len(payload)} bytes is longer than the {most} allowed")
    return payload

"""Msgpack of every shape, valid or not, encoded by hand from the specification.

https://github.com/msgpack/msgpack/blob/master/spec.md
"""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable, Sequence

import msgpack

Pair = tuple[bytes, bytes]

NAN, INFINITE, MINUS_INFINITE = (b"\xcb" + struct.pack(">d", float(x)) for x in ("nan", "inf", "-inf"))
ODD_NUMBERS = (
    *(NAN, INFINITE, MINUS_INFINITE, b"\xca\x7f\xc0\x00\x00", b"\xca\x7f\x80\x00\x00"),
    *(
        b"\xcb" + struct.pack(">d", one)
        for one in (-0.0, 5e-324, -5e-324, 1e308, -1e308, 1.7e308, 2.0**31, 2.0**53)
    ),
    *(b"\xcb" + struct.pack(">d", one) for one in (1e-300, 2.0**-106, 2.0**-107, 0.1, 1 / 3, -(2.0**31))),
    b"\xcf" + b"\xff" * 8,
    b"\xcf\x80" + b"\x00" * 7,
    b"\xd3\x80" + b"\x00" * 7,
    b"\xd3\x7f" + b"\xff" * 7,
    b"\xd0\x80",
    b"\xff",
    b"\x00",
)
"""Numbers at the edges of what a double, an int64 and an exact sum can hold."""
ODD_TEXTS = (
    *(
        "",
        " ",
        "\x00",
        "\x00\x00",
        "\n",
        "\r\n",
        "\\",
        "a\\",
        "\\n",
        ",",
        "=",
        "a,b c=d",
        '"',
        "'",
        "$",
        "#",
        "+",
    ),
    *(
        "ä",
        "日本語",
        "🧊" * 16,
        "\u202e",
        "\ufeff",
        "\uffff",
        "\u0085",
        "\u2028",
        "x" * 63,
        "x" * 64,
        "x" * 65,
    ),
    *("true", "false", "null", "NaN", "i", "1i", "t", "é" * 64, "\x7f", "\t", "a\tb", "e\u0301", "../../etc"),
    *("x" * 128, "DROP TABLE window;--", "{{ device }}", "%s%n", "\\\\", "\\,", "a=b\\", "unknown", "_field"),
)
"""Texts that some parser, file or protocol may interpret."""
BROKEN_TEXTS = (
    b"\xa2\xff\xfe",
    b"\xa1\x80",
    b"\xa3\xed\xa0\x80",
    b"\xa2\xc0\x80",
    b"\xd9\x04\xf8\x88\x80\x80",
)
"""Texts that are not UTF-8: stray bytes, a surrogate, an overlong NUL, five-byte forms."""
ODD_EXTENSIONS = (
    b"\xd4\x05\x00",
    b"\xd6\xff" + bytes(4),
    b"\xd7\xff" + b"\xff" * 8,
    b"\xc7\x0c\xff" + b"\xff" * 12,
    b"\xc7\x00\x01",
    b"\xd8\x7f" + bytes(16),
    b"\xc7\x0c\xff" + bytes(4) + b"\x80" + bytes(7),
)
LIES = (
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xdc\xff\xff",
)
"""Headers that announce more than follows."""


def text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return bytes([0xA0 | len(raw)]) + raw if len(raw) < 32 else b"\xda" + struct.pack(">H", len(raw)) + raw


def whole(value: int) -> bytes:
    """Encode an integer, limited to what 64 bits can hold."""
    if 0 <= value < 128:
        return bytes([value])
    if value < 0:
        return b"\xd3" + struct.pack(">q", max(value, -(2**63)))
    return b"\xcf" + struct.pack(">Q", min(value, 2**64 - 1))


def real(value: float) -> bytes:
    return b"\xcb" + struct.pack(">d", value)


def table(pairs: Sequence[Pair]) -> bytes:
    """Encode a map; keys may be anything, also twice the same."""
    head = bytes([0x80 | len(pairs)]) if len(pairs) < 16 else b"\xde" + struct.pack(">H", len(pairs))
    return head + b"".join([part for pair in pairs for part in pair])


def row(items: Sequence[bytes]) -> bytes:
    head = bytes([0x90 | len(items)]) if len(items) < 16 else b"\xdc" + struct.pack(">H", len(items))
    return head + b"".join(items)


def blob(value: bytes) -> bytes:
    return b"\xc5" + struct.pack(">H", len(value)) + value


def deep(chance: random.Random) -> bytes:
    """Encode deep nesting, up to the largest payload, in arrays or maps, as values or as keys."""
    depth = chance.choice((10, 60, 500, 1_100, 5_000, 30_000))
    step, end = chance.choice(
        ((b"\x91", b"\xc0"), (b"\x81\xa0", b"\x00"), (b"\x81", b"\x01\x01"), (b"\x92\x00", b"\x01"))
    )
    return step * (depth // len(step)) + end


def anything(chance: random.Random, depth: int = 3) -> bytes:
    """Encode one value of any type."""
    place = chance.randrange(len(_PLAIN) + (4 if depth else 0))
    if place < len(_PLAIN):
        return _PLAIN[place](chance)
    if place < len(_PLAIN) + 2:
        return row([anything(chance, depth - 1) for _ in range(chance.randrange(4))])
    return table(
        [(anything(chance, depth - 1), anything(chance, depth - 1)) for _ in range(chance.randrange(4))]
    )


def _odd_number(chance: random.Random) -> bytes:
    return chance.choice(ODD_NUMBERS)


def _odd_text(chance: random.Random) -> bytes:
    return text(chance.choice(ODD_TEXTS))


_BROKEN = (*BROKEN_TEXTS, *LIES, b"\xc1")
_PLAIN: tuple[Callable[[random.Random], bytes], ...] = (
    _odd_number,
    _odd_number,
    _odd_text,
    _odd_text,
    lambda chance: chance.choice((b"\xc0", b"\xc2", b"\xc3")),
    lambda chance: whole(chance.getrandbits(chance.choice((3, 8, 31, 63, 64)))),
    lambda chance: real(chance.gauss(0, 100)),
    lambda chance: blob(chance.randbytes(chance.randrange(9))),
    lambda chance: chance.choice(ODD_EXTENSIONS),
    lambda chance: chance.choice(_BROKEN),
)


def mutated(chance: random.Random, good: bytes, other: bytes) -> bytes:
    """Damage a payload: flip bits, truncate, splice with another, insert or remove bytes."""
    return chance.choice(_MUTATIONS)(chance, good, chance.randrange(len(good)), other)


def _flipped(chance: random.Random, good: bytes, _place: int, _other: bytes) -> bytes:
    turned = bytearray(good)
    for _ in range(chance.randrange(1, 5)):
        turned[chance.randrange(len(turned))] ^= 1 << chance.randrange(8)
    return bytes(turned)


def _turned(chance: random.Random, good: bytes, place: int, _other: bytes) -> bytes:
    head = chance.choice((0xC0, 0xC1, 0x80, 0x90, 0xCA, 0xCF, 0xD3, 0xDF, 0xFF, 0x7F))
    return good[:place] + bytes([head]) + good[place + 1 :]


_MUTATIONS: tuple[Callable[[random.Random, bytes, int, bytes], bytes], ...] = (
    _flipped,
    _turned,
    lambda _chance, good, place, _other: good[:place],
    lambda chance, good, place, _other: (
        good[:place] + chance.randbytes(chance.randrange(1, 9)) + good[place:]
    ),
    lambda chance, good, place, _other: good[:place] + good[place + chance.randrange(1, 4) :],
    lambda chance, good, place, other: good[:place] + other[chance.randrange(len(other)) :],
    lambda chance, good, _place, _other: good + chance.randbytes(chance.randrange(1, 30)),
    lambda chance, good, place, _other: good[:place] + anything(chance, 1) + good[place + 1 :],
)


def is_a_map(payload: bytes) -> bool | None:
    """Whether another library reads the payload as exactly one map; None if it cannot tell."""
    try:
        return isinstance(
            msgpack.unpackb(payload, raw=True, strict_map_key=False, ext_hook=lambda *_: 0), dict
        )
    except TypeError:
        return None
    except (ValueError, RecursionError, OverflowError, MemoryError) as error:
        # About the content of an extension, which the product does not read.
        return None if re.search("nanoseconds|timestamp", str(error)) else False

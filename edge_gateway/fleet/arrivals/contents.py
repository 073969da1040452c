"""What messages without a time said, by boot: the first few and the newest, as short digests.

A time tells a repeat from a new message under an old number. Without one only the content can: the same number with
another content comes from a device that counts anew under the same boot.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec
import numpy as np

from edge_gateway.columns.frame import BoolColumn, IntColumn
from fleet_wire.telemetry import TELEMETRY_DECODER

FIRST: Final = 8
"""Messages from seq 0 on that are remembered."""
NEWEST: Final = 64
"""Messages with the highest seqs that are remembered besides."""
MOST_SEQ: Final = (1 << 31) - 1
"""Messages above this seq are not remembered, so that seq and digest fit one number."""
_DIGEST_BITS: Final = 32
_DIGEST_MASK: Final = (1 << _DIGEST_BITS) - 1
_NOTHING: Final = -1
_DIGEST_BYTES: Final = _DIGEST_BITS // 8
_encode = msgspec.msgpack.Encoder().encode

Boot = tuple[int, int]
"""Device and boot."""


def digest(content: bytes) -> int:
    """Return the digest of a content: above 0, and below 2^32."""
    return max(1, int.from_bytes(blake2b(content, digest_size=_DIGEST_BYTES).digest(), "big"))


def content_of(payload: bytes) -> bytes:
    """Return what a message says, without boot and seq, which identify it, and its floor, which changes.

    A message that is refused for what it says may not be readable: it says all its bytes.
    """
    try:
        said = TELEMETRY_DECODER.decode(payload)
    except (ValueError, RecursionError):  # what msgspec raises for a payload that is no message
        return payload
    return _encode((said.ts, said.m, said.q, said.s))


def digests(payloads: Sequence[bytes], position: IntColumn, untimed: BoolColumn) -> dict[int, int]:
    """Return digests of the contents of the `untimed` messages, by message; `position` is each one's payload."""
    return {
        message: digest(content_of(payloads[position[message]]))
        for message in np.flatnonzero(untimed).tolist()
    }


class Contents:
    """Digests (32 bits) of the messages without a time of each boot that has any."""

    def __init__(self) -> None:
        self._kept: dict[Boot, IntColumn] = {}
        self._erased: dict[Boot, IntColumn] = {}
        """Of boots that began anew, what was said before."""

    def remember(self, boot: Boot, seq: int, digest: int) -> bool:
        """Remember a message; return whether it says again what this boot said before its device was erased."""
        slots = self._kept.get(boot)
        if slots is None:
            slots = self._kept[boot] = np.full(FIRST + NEWEST, _NOTHING, np.int64)
        place = _place(seq)
        if seq <= MOST_SEQ and seq > int(slots[place]) >> _DIGEST_BITS:
            slots[place] = seq << _DIGEST_BITS | digest
        erased = self._erased.get(boot)
        return erased is not None and _said(erased, seq) == digest

    def differs(self, boot: Boot, seq: int, digest: int) -> bool:
        """Whether a repeated number is known to have come with another content."""
        slots = self._kept.get(boot)
        said = None if slots is None else _said(slots, seq)
        return said is not None and said != digest

    def never_said(self, boot: Boot, seq: int) -> bool:
        """Whether it is known that no message without a time had this number: one that has none is no repeat."""
        if seq > MOST_SEQ:
            return False
        slots = self._kept.get(boot)
        held = _NOTHING if slots is None else int(slots[_place(seq)])
        return held == _NOTHING or held >> _DIGEST_BITS < seq

    def begin_anew(self, boot: Boot) -> None:
        """Start over with a boot whose device was erased."""
        slots = self._kept.pop(boot, None)
        if slots is not None:
            self._erased[boot] = slots

    def forget(self, boot: Boot) -> None:
        """Forget a boot."""
        self._kept.pop(boot, None)
        self._erased.pop(boot, None)

    def snapshot(self) -> dict[str, Any]:
        return {"kept": _table(self._kept), "erased": _table(self._erased)}

    def restore(self, state: dict[str, Any]) -> None:
        self._kept, self._erased = _by_boot(state["kept"]), _by_boot(state["erased"])


def _place(seq: int) -> int:
    return seq if seq < FIRST else FIRST + seq % NEWEST


def _said(slots: IntColumn, seq: int) -> int | None:
    """Return the digest of a message; None if it is not remembered."""
    held = int(slots[_place(seq)])
    return held & _DIGEST_MASK if held != _NOTHING and held >> _DIGEST_BITS == seq else None


def _table(kept: dict[Boot, IntColumn]) -> IntColumn:
    """Return rows of device, boot and slots."""
    rows = [np.append(np.array(boot, np.int64), slots) for boot, slots in sorted(kept.items())]
    return np.concatenate(rows).reshape(len(rows), -1) if rows else np.empty((0, 0), np.int64)


def _by_boot(table: IntColumn) -> dict[Boot, IntColumn]:
    return {(int(row[0]), int(row[1])): row[2:].copy() for row in table}

"""A block of windows as bytes: its keys, and behind them the rest of its rows.

Both are trees of the codec, shuffled and compressed with a checksum. Of neighbouring rows little differs, so columns
are stored as differences: keys from the row before, times from the start of the window, the other figures of a window
from its first value. So a window of one reading costs little more than its value and its time.
"""

import struct
import zlib
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_gateway.records import codec
from edge_gateway.records.tail import Tail
from edge_gateway.records.window_block import Rows, WindowBlock
from edge_gateway.store.row_checksum import with_checksum
from edge_gateway.store.schema import StoreDamaged
from edge_gateway.windows.exact_sum import split

Ints = NDArray[np.int64]

_LIMBS: Final = ("high", "mid", "low")
_LIKE_FIRST: Final = ("min", "max", "last")
"""Figures that equal the first value in a window of one reading."""
_ERRORS: Final = (
    *(codec.UndecodableBytes, msgspec.MsgspecError, struct.error),
    *(AttributeError, IndexError, KeyError, TypeError, ValueError),
)
"""What bytes that are no block may raise, whatever they are."""


class Keys:
    """The keys of a block's rows, ascending by (start, series): columns of start (ms) and series."""

    __slots__ = ("series", "start")

    def __init__(self, start: Ints, series: Ints) -> None:
        self.start = start
        self.series = series

    def __len__(self) -> int:
        return len(self.start)

    def places(self, start: Ints, series: Ints) -> Ints:
        """Return the row of each of these windows; -1 where the block does not hold it."""
        found = np.full(len(start), -1)
        for at in np.unique(start).tolist():
            first, stop = np.searchsorted(self.start, [at, at + 1])
            asked = np.flatnonzero(start == at)
            held = self.series[first:stop]
            place = np.searchsorted(held, series[asked])
            place[place == len(held)] = 0
            same = held[place] == series[asked] if len(held) else np.zeros(len(asked), np.bool_)
            found[asked[same]] = first + place[same]
        return found


class Revised(NamedTuple):
    """Windows, and the revision of each."""

    windows: WindowBlock
    revisions: Ints

    def take(self, places: Ints | slice) -> "Revised":
        """Return some of the windows."""
        return Revised(self.windows.take(places), self.revisions[places])


def encoded(held: Revised) -> tuple[bytes, bytes]:
    """Return keys and body of windows that ascend by (start, series)."""
    rows = held.windows.rows
    keys = codec.encode([_steps(rows["start"]), _steps(rows["series"])], shuffle=True)
    tails = {place: tail.pack() for place, tail in held.windows.tails.items()}
    body = [zlib.crc32(keys), _differences(rows), tails, held.revisions]
    return keys, codec.encode(body, shuffle=True)


def encoded_marks(marks: NDArray[np.bool_]) -> bytes:
    """Return one bit a row, with a checksum."""
    return with_checksum(np.packbits(marks).tobytes())


NONE_CORRECTED: Final = with_checksum(b"")
"""Stands for marks none of which is set."""


def decoded_marks(marks: object, count: int) -> NDArray[np.bool_]:
    """Return the marks of `count` rows; StoreDamaged if they are not what was stored."""
    if marks == NONE_CORRECTED:
        return np.zeros(count, np.bool_)
    bits = marks[:-4] if isinstance(marks, bytes) else b""
    if marks != with_checksum(bits) or len(bits) != -(-count // 8):
        raise StoreDamaged("the marks of a block of windows are not what was stored")
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=count).astype(np.bool_)


def decoded_keys(keys: object) -> Keys:
    """Return the keys of a block; StoreDamaged if they are not what was stored."""
    try:
        start, series = codec.decode(_bytes(keys))
        return Keys(np.cumsum(start), np.cumsum(series))
    except _ERRORS as error:
        raise StoreDamaged(f"the keys of a block of windows cannot be decoded: {error}") from error


def decoded(keys: object, body: object, dtype: np.dtype[Any]) -> Revised:
    """Return the windows; StoreDamaged if keys or body are not what was stored, or not of each other."""
    held = decoded_keys(keys)
    try:
        check, rows, tails, revisions = codec.decode(_bytes(body))
        if (
            check != zlib.crc32(_bytes(keys))
            or rows.dtype != dtype
            or not len(rows) == len(held) == len(revisions)
        ):
            raise ValueError("keys and body are of different blocks")
        rows["start"], rows["series"] = held.start, held.series
        windows = WindowBlock(_restored(rows), {place: Tail.unpack(data) for place, data in tails.items()})
        return Revised(windows, revisions)
    except _ERRORS as error:
        raise StoreDamaged(f"a block of windows cannot be decoded: {error}") from error


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"a {type(value).__name__} in place of bytes")
    return value


def _steps(column: Ints) -> Ints:
    return np.diff(column, prepend=np.int64(0))


def _differences(rows: Rows) -> Rows:
    """Return rows whose columns are differences, without their keys."""
    found = rows.copy()
    found["start"] = found["series"] = 0
    found["last_at"] -= rows["first_at"]
    found["first_at"] -= rows["start"]
    if "count" in (rows.dtype.names or ()):
        _swap(found, rows["first"], -1)
    return found


def _restored(found: Rows) -> Rows:
    """The inverse of `_differences`, in place."""
    found["first_at"] += found["start"]
    found["last_at"] += found["first_at"]
    if "count" in (found.dtype.names or ()):
        _swap(found, found["first"], 1)
    return found


def _swap(rows: Rows, first: NDArray[np.float64], sign: int) -> None:
    """Take the first value out of the other figures, or put it back: its bits out of values, its limbs out of sums."""
    bits = first.copy().view(np.int64)
    for name in _LIKE_FIRST:
        rows[name] = (rows[name].copy().view(np.int64) ^ bits).view(np.float64)
    for name, limb in zip(_LIMBS, split(first.copy()).limbs, strict=True):
        rows[name] += sign * limb

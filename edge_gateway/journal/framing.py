"""How a journal record lies in its file: a checked frame around a body.

    magic "EGJ" + format 1 | kind | length | number | base | CRC-32 | body

`base` is the number of the first record that was not yet durable when this one was written, that is the
first of its commit group. A hole in the numbers at or above the last `base` is a group that was never
synced whole, so nothing of it was acknowledged; a hole below it lost something that was.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Final, NamedTuple

FORMAT: Final = 1
MAGIC: Final = b"EGJ" + bytes([FORMAT])
RECORD: Final = 0
HOLE: Final = 1  # written by a repair: these numbers are lost and known to be; the body is the last of them
LARGEST_BODY: Final = 256 << 20

_HEADER: Final = struct.Struct("<4sB3xIQQ")
_CHECK: Final = struct.Struct("<I")
_LAST: Final = struct.Struct("<Q")
HEADER_BYTES: Final = _HEADER.size + _CHECK.size


class Frame(NamedTuple):
    """One readable frame: where it lies in the file (bytes `start` to `end`) and what it says."""

    start: int
    end: int
    kind: int
    number: int
    last: int
    base: int


@dataclass(frozen=True, slots=True)
class Scan:
    """What a file's bytes hold: readable frames, and unreadable ranges [start, end)."""

    frames: list[Frame]
    unreadable: list[tuple[int, int]]


def encode_frame(number: int, base: int, body: bytes, kind: int = RECORD) -> bytes:
    """Bytes of one frame; ValueError for a body above 256 MiB."""
    if len(body) > LARGEST_BODY:
        raise ValueError(f"a journal record of {len(body)} bytes is above {LARGEST_BODY}")
    header = _HEADER.pack(MAGIC, kind, len(body), number, base)
    return b"".join((header, _CHECK.pack(zlib.crc32(body, zlib.crc32(header))), body))


def encode_hole(first: int, last: int) -> bytes:
    """Bytes of the marker that stands for the lost records `first` to `last`."""
    return encode_frame(first, first, _LAST.pack(last), HOLE)


def newer_format(data: bytes) -> int | None:
    """The format of a file's first frame where it is sound and newer than this program's; the layout is for ever."""
    if len(data) < HEADER_BYTES or data[:3] != MAGIC[:3] or data[3] <= MAGIC[3]:
        return None
    length = _HEADER.unpack_from(data)[2]
    header, body = data[: _HEADER.size], data[HEADER_BYTES : HEADER_BYTES + length]
    (check,) = _CHECK.unpack_from(data, _HEADER.size)
    return data[3] if zlib.crc32(body, zlib.crc32(header)) == check else None


def body_of(data: bytes, frame: Frame) -> bytes:
    return data[frame.start + HEADER_BYTES : frame.end]


def _frame_at(data: memoryview, start: int) -> Frame | None:
    if start + HEADER_BYTES > len(data):
        return None
    magic, kind, length, number, base = _HEADER.unpack_from(data, start)
    body_start = start + HEADER_BYTES
    end = body_start + length
    if magic != MAGIC or kind not in (RECORD, HOLE) or end > len(data):
        return None
    checked = zlib.crc32(data[body_start:end], zlib.crc32(data[start : start + _HEADER.size]))
    if checked != _CHECK.unpack_from(data, start + _HEADER.size)[0]:
        return None
    last = number if kind == RECORD else _LAST.unpack_from(data, body_start)[0]
    return Frame(start, end, kind, number, last, base)


def scan(data: bytes) -> Scan:
    """Read every frame that can be read, looking for the next magic behind what cannot."""
    frames: list[Frame] = []
    unreadable: list[tuple[int, int]] = []
    view = memoryview(data)
    at = good = 0
    while 0 <= at < len(data):
        frame = _frame_at(view, at)
        if frame is None:
            at = data.find(MAGIC, at + 1)
            continue
        if at > good:
            unreadable.append((good, at))
        frames.append(frame)
        at = good = frame.end
    if good < len(data):
        unreadable.append((good, len(data)))
    return Scan(frames, unreadable)

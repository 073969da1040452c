"""The frame around a journal record's body.

    magic "EGJ" + format 1 | kind | length | number | base | CRC-32 | body

`base` is the number of the first record of the commit group, which was the first not yet durable when this one was
written. A gap in the numbers at or above the last `base` is in a group that was never synced whole, so none of it was
acknowledged; a gap below it means that acknowledged records are lost.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Final, NamedTuple

FORMAT: Final = 1
MAGIC: Final = b"EGJ" + bytes([FORMAT])
RECORD: Final = 0
HOLE: Final = 1  # written by a repair in place of lost records; the body is the last of their numbers
LARGEST_BODY: Final = 256 << 20

_HEADER: Final = struct.Struct("<4sB3xIQQ")
_CHECK: Final = struct.Struct("<I")
_LAST: Final = struct.Struct("<Q")
HEADER_BYTES: Final = _HEADER.size + _CHECK.size
SECTOR_BYTES: Final = 512
"""The least a disk writes at once."""


class RecordFrame(NamedTuple):
    """The header of a readable frame that lies at bytes [start, end) of its file.

    `last` is `number`, except in a HOLE, which covers `number` to `last`.
    """

    start: int
    end: int
    kind: int
    number: int
    last: int
    base: int


@dataclass(frozen=True, slots=True)
class Scan:
    """The readable frames of a segment file, and the byte ranges [start, end) that are not readable.

    `damaged` are those of the ranges that no write which never finished can have left (`may_be_unwritten`).
    """

    frames: list[RecordFrame]
    unreadable: list[tuple[int, int]]
    damaged: tuple[tuple[int, int], ...] = ()


def encode_frame(number: int, base: int, body: bytes, kind: int = RECORD) -> bytes:
    """Encode one frame; ValueError if the body is larger than 256 MiB."""
    if len(body) > LARGEST_BODY:
        raise ValueError(f"a journal record of {len(body)} bytes exceeds the limit of {LARGEST_BODY}")
    header = _HEADER.pack(MAGIC, kind, len(body), number, base)
    return b"".join((header, _CHECK.pack(zlib.crc32(body, zlib.crc32(header))), body))


def encode_hole(first: int, last: int) -> bytes:
    """Encode the marker for the lost records `first` to `last`."""
    return encode_frame(first, first, _LAST.pack(last), HOLE)


def newer_format(data: bytes) -> int | None:
    """Return the format of a file's first frame if it is intact and newer than FORMAT. The layout never changes."""
    if len(data) < HEADER_BYTES or data[:3] != MAGIC[:3] or data[3] <= MAGIC[3]:
        return None
    length = _HEADER.unpack_from(data)[2]
    header, body = data[: _HEADER.size], data[HEADER_BYTES : HEADER_BYTES + length]
    (check,) = _CHECK.unpack_from(data, _HEADER.size)
    return data[3] if zlib.crc32(body, zlib.crc32(header)) == check else None


def body_of(data: bytes, frame: RecordFrame) -> bytes:
    return data[frame.start + HEADER_BYTES : frame.end]


def _frame_at(data: memoryview, start: int) -> RecordFrame | None:
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
    return RecordFrame(start, end, kind, number, last, base)


def may_be_unwritten(data: bytes, start: int, end: int) -> bool:
    """Return whether the unreadable bytes [start, end) can be what a write that never finished leaves behind.

    Such a write is at the end of a file that only grows: what did not reach the disk is missing, or is sectors of
    zeros, on every filesystem that shows no stale blocks. A body is compressed and has no such sectors. So bytes that
    are all there, and yet not the frame they should be, were damaged after they were written. Where bytes are missing,
    the two cannot be told apart.
    """
    first = start - start % SECTOR_BYTES
    sectors = (data[max(at, start) : min(at + SECTOR_BYTES, end)] for at in range(first, end, SECTOR_BYTES))
    return _is_cut_short(data, start) or any(not any(sector) for sector in sectors)


def _is_cut_short(data: bytes, start: int) -> bool:
    """Whether a frame begins at `start` that is longer than the file."""
    head = data[start : start + _HEADER.size]
    if len(head) < _HEADER.size:
        return head[: len(MAGIC)] == MAGIC[: len(head)]
    magic, kind, length, _, _ = _HEADER.unpack(head)
    frame = magic == MAGIC and kind in (RECORD, HOLE) and length <= LARGEST_BODY
    return frame and start + HEADER_BYTES + length > len(data)


def scan(data: bytes) -> Scan:
    """Read every intact frame; behind a broken one, go on at the next magic number."""
    frames: list[RecordFrame] = []
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
    damaged = (place for place in unreadable if not may_be_unwritten(data, *place))
    return Scan(frames, unreadable, tuple(damaged))

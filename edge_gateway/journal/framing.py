"""The frame around a journal record's body.

    padding | magic "EGJ" + format 1 | kind | length of the padding | length | number | base | CRC-32 | body

The disk writes whole pages. So a commit group begins at the next page where it would touch one page more otherwise, and
zeros fill its own last page: the next group finds them there, as its padding or in its place. Damage to zeros loses
nothing.

`base` is the number of the first record of the commit group, which was the first not yet durable when this one was
written. A gap in the numbers at or above the last `base` is in a group that was never synced whole, so none of it was
acknowledged; a gap below it means that acknowledged records are lost.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

FORMAT: Final = 1
MAGIC: Final = b"EGJ" + bytes([FORMAT])
RECORD: Final = 0
HOLE: Final = 1  # written by a repair in place of lost records; the body is the last of their numbers
LARGEST_BODY: Final = 256 << 20

_HEADER: Final = struct.Struct("<4sBHxIQQ")
_CHECK: Final = struct.Struct("<I")
_LAST: Final = struct.Struct("<Q")
HEADER_BYTES: Final = _HEADER.size + _CHECK.size
SECTOR_BYTES: Final = 512
"""The least a disk writes at once."""
PAGE_BYTES: Final = 4_096
"""The least the kernel writes at once."""


class RecordFrame(NamedTuple):
    """The header of a readable frame that lies at bytes [start, end) of its file, its body at [body, end).

    The padding is part of it. `last` is `number`, except in a HOLE, which covers `number` to `last`.
    """

    start: int
    body: int
    end: int
    kind: int
    number: int
    last: int
    base: int


@dataclass(frozen=True, slots=True)
class Scan:
    """The readable frames of a segment file, and the byte ranges [start, end) that are not readable.

    `damaged` are those of the ranges that no write which never finished can have left (`may_be_unwritten`).
    Behind `end` zeros fill the last page.
    """

    frames: list[RecordFrame]
    unreadable: list[tuple[int, int]]
    damaged: tuple[tuple[int, int], ...] = ()
    end: int = 0


UNREAD: Final = Scan([], [(0, 1)], ((0, 1),))
"""The scan of a file that the disk does not give: all of it is damaged."""


def filling(end: int) -> int:
    """Return how many bytes there are from `end` to the end of its page."""
    return -end % PAGE_BYTES


def padding(at: int, length: int) -> int:
    """Return how many bytes to skip before `length` bytes at position `at`, so that they touch the fewest pages."""
    room = filling(at)
    beyond = length - room
    return room if room and -(-beyond // PAGE_BYTES) + 1 > -(-length // PAGE_BYTES) else 0


def encode_frame(number: int, base: int, body: bytes, kind: int = RECORD, *, padded: int = 0) -> bytes:
    """Encode one frame, written behind `padded` bytes of padding; ValueError if the body is larger than 256 MiB."""
    if len(body) > LARGEST_BODY:
        raise ValueError(f"a journal record of {len(body)} bytes exceeds the limit of {LARGEST_BODY}")
    header = _HEADER.pack(MAGIC, kind, padded, len(body), number, base)
    return b"".join((header, _CHECK.pack(zlib.crc32(body, zlib.crc32(header))), body))


def encode_group(records: Sequence[tuple[int, bytes]], at: int) -> tuple[int, bytes]:
    """Encode the (number, body) of a commit group for byte `at` of its file; return its padding and its frames."""
    (base, first), *others = records
    skipped = padding(at, sum(HEADER_BYTES + len(body) for _, body in records))
    frames = (encode_frame(number, base, body) for number, body in others)
    return skipped, b"".join((encode_frame(base, base, first, padded=skipped), *frames))


def encode_hole(first: int, last: int) -> bytes:
    """Encode the marker for the lost records `first` to `last`."""
    return encode_frame(first, first, _LAST.pack(last), HOLE)


def newer_format(data: bytes) -> int | None:
    """Return the format of a file's first frame if it is intact and newer than FORMAT. The layout never changes."""
    if len(data) < HEADER_BYTES or data[:3] != MAGIC[:3] or data[3] <= MAGIC[3]:
        return None
    length = _HEADER.unpack_from(data)[3]
    header, body = data[: _HEADER.size], data[HEADER_BYTES : HEADER_BYTES + length]
    (check,) = _CHECK.unpack_from(data, _HEADER.size)
    return data[3] if zlib.crc32(body, zlib.crc32(header)) == check else None


def body_of(data: bytes, frame: RecordFrame) -> bytes:
    return data[frame.body : frame.end]


def _frame_at(data: memoryview, start: int, good: int) -> RecordFrame | None:
    """Return the frame whose magic number is at `start`, if it is intact; what is before `good` is of other frames."""
    if start + HEADER_BYTES > len(data):
        return None
    magic, kind, padded, length, number, base = _HEADER.unpack_from(data, start)
    body_start = start + HEADER_BYTES
    end = body_start + length
    if magic != MAGIC or kind not in (RECORD, HOLE) or end > len(data):
        return None
    checked = zlib.crc32(data[body_start:end], zlib.crc32(data[start : start + _HEADER.size]))
    if checked != _CHECK.unpack_from(data, start + _HEADER.size)[0]:
        return None
    last = number if kind == RECORD else _LAST.unpack_from(data, body_start)[0]
    return RecordFrame(max(good, start - padded), body_start, end, kind, number, last, base)


def may_be_unwritten(data: bytes, start: int, end: int) -> bool:
    """Return whether the unreadable bytes [start, end) can be what a write that never finished leaves behind.

    Such a write is at the end of a file, where zeros or nothing was before. What did not reach the disk is missing, or
    is sectors of zeros, on every filesystem that shows no stale blocks; what a killed process did not write is its end.
    A body is compressed: it has no such sectors, and it ends in a checksum, as the header does. So frames that are all
    there, and yet not what they should be, were damaged after they were written. Where bytes are missing, the two
    cannot be told apart.
    """
    at = start
    while not _is_zeros(data, at, end):
        header_end = min(at + HEADER_BYTES, end)
        if _lacks_a_sector(data, at, header_end) or _lacks_checksum(data, header_end):
            return True
        if not _begins_frame(data, at):
            return False
        stop = _end_of_frame(data, at)
        if stop > len(data) or _lacks_a_sector(data, at, stop):
            return True
        if data[at + len(MAGIC)] == RECORD and _lacks_checksum(data, stop):
            return True
        at = stop
    return at == start


def _lacks_checksum(data: bytes, end: int) -> bool:
    """Whether there are zeros where what ends at `end` has its checksum."""
    return _is_zeros(data, end - _CHECK.size, end)


def _is_zeros(data: bytes, start: int, end: int) -> bool:
    return data.count(0, start, end) == max(0, end - start)


def _end_of_frame(data: bytes, start: int) -> int:
    """Return where the frame at `start` ends, by its header."""
    head = data[start : start + _HEADER.size].ljust(_HEADER.size, b"\0")
    length: int = _HEADER.unpack(head)[3]
    return start + HEADER_BYTES + length


def _begins_frame(data: bytes, start: int) -> bool:
    """Whether a frame may begin at `start`, by its header."""
    head = data[start : start + _HEADER.size]
    if len(head) < _HEADER.size:
        return head[: len(MAGIC)] == MAGIC[: len(head)]
    magic, kind, _, length, _, _ = _HEADER.unpack(head)
    return magic == MAGIC and kind in (RECORD, HOLE) and length <= LARGEST_BODY


def _lacks_a_sector(data: bytes, start: int, end: int) -> bool:
    """Whether what lies of some sector in [start, end) is zeros."""
    first = start - start % SECTOR_BYTES
    return any(
        not any(data[max(at, start) : min(at + SECTOR_BYTES, end)]) for at in range(first, end, SECTOR_BYTES)
    )


def _unreadable(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Return the bytes [start, end) but for the padding of the frame they were: zeros to the page that it begins."""
    page = start + filling(start)
    padded = page < end and data.startswith(MAGIC, page) and _is_zeros(data, start, page)
    return (page if padded else start), end


def _is_filling(data: bytes, start: int) -> bool:
    """Whether there are only zeros behind `start`, none of them beyond its page."""
    return len(data) - start <= filling(start) and _is_zeros(data, start, len(data))


def scan(data: bytes) -> Scan:
    """Read every intact frame; behind a broken one, go on at the next magic number."""
    frames: list[RecordFrame] = []
    unreadable: list[tuple[int, int]] = []
    view = memoryview(data)
    at = good = 0
    while 0 <= at < len(data):
        frame = _frame_at(view, at, good)
        if frame is None:
            at = data.find(MAGIC, at + 1)
            continue
        if frame.start > good:
            unreadable.append(_unreadable(data, good, frame.start))
        frames.append(frame)
        at = good = frame.end
    end = good if _is_filling(data, good) else len(data)
    if good < end:
        unreadable.append(_unreadable(data, good, end))
    damaged = (place for place in unreadable if not may_be_unwritten(data, *place))
    return Scan(frames, unreadable, tuple(damaged), end)

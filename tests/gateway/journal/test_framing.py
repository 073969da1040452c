"""The frame around a journal record, byte by byte."""

from __future__ import annotations

import random
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.journal import framing
from edge_gateway.journal.framing import (
    HEADER_BYTES,
    HOLE,
    MAGIC,
    PAGE_BYTES,
    RECORD,
    SECTOR_BYTES,
    body_of,
    encode_frame,
    encode_group,
    encode_hole,
    filling,
    newer_format,
    padding,
    scan,
)


def test_a_frame_is_read_back_with_its_numbers_and_body() -> None:
    data = encode_frame(7, 5, b"body")
    found = scan(data)
    assert found.unreadable == []
    (frame,) = found.frames
    assert frame == (0, HEADER_BYTES, len(data), RECORD, 7, 7, 5)
    assert body_of(data, frame) == b"body"
    assert len(data) == HEADER_BYTES + 4


def test_the_layout_is_fixed() -> None:
    header = b"EGJ\x01" + struct.pack("<BHxIQQ", 0, 258, 1, 3, 2)
    data = header + struct.pack("<I", zlib.crc32(header + b"x")) + b"x"
    assert encode_frame(3, 2, b"x", padded=258) == data


def test_a_hole_covers_its_range_of_numbers() -> None:
    (frame,) = scan(encode_hole(3, 9)).frames
    assert (frame.kind, frame.number, frame.last, frame.base) == (HOLE, 3, 9, 3)


def test_bytes_between_frames_are_unreadable_and_cost_no_other_frame() -> None:
    first, second = encode_frame(1, 1, b"a"), encode_frame(2, 2, b"b")
    data = b"??" + first + b"EGJ\x01?" + second + b"!"
    found = scan(data)
    assert [frame.number for frame in found.frames] == [1, 2]
    end = 2 + len(first)
    assert found.unreadable == [(0, 2), (end, end + 5), (len(data) - 1, len(data))]


@pytest.mark.parametrize("at", range(HEADER_BYTES + 4))
def test_no_changed_byte_goes_unnoticed(at: int) -> None:
    data = bytearray(encode_frame(1, 1, b"body"))
    data[at] ^= 0x20
    assert scan(bytes(data)).frames == []


@pytest.mark.parametrize("length", range(HEADER_BYTES + 4))
def test_a_cut_frame_is_no_frame(length: int) -> None:
    found = scan(encode_frame(1, 1, b"body")[:length])
    assert (found.frames, found.unreadable) == ([], [(0, length)] if length else [])


def test_an_unknown_kind_is_not_read() -> None:
    assert scan(encode_frame(1, 1, b"", kind=2)).frames == []


def test_a_body_above_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "LARGEST_BODY", 4)
    assert scan(encode_frame(1, 1, b"1234")).frames
    with pytest.raises(ValueError, match="5 bytes exceeds the limit of 4"):
        encode_frame(1, 1, b"12345")


def test_a_newer_format_is_recognised_only_in_an_intact_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = encode_frame(1, 1, b"body")
    monkeypatch.setattr(framing, "MAGIC", MAGIC[:3] + b"\x02")
    newer = encode_frame(1, 1, b"body")
    monkeypatch.undo()
    assert newer_format(newer) == 2
    assert newer_format(newer + ours) == 2
    assert newer_format(ours) is None
    assert newer_format(newer[:-1]) is None
    assert newer_format(newer[: HEADER_BYTES - 1]) is None
    assert newer_format(b"XGJ" + newer[3:]) is None
    assert newer_format(newer[:-1] + b"!") is None


def test_an_empty_body_and_a_frame_behind_a_single_byte_are_read() -> None:
    assert scan(encode_frame(1, 1, b"")).unreadable == []
    assert scan(b"?" + encode_frame(1, 1, b"")).unreadable == [(0, 1)]


BODIES = st.lists(st.binary(min_size=1, max_size=1_500).map(lambda body: b"x" + body), min_size=1)
PLACES = st.integers(0, 3 * PAGE_BYTES)


def pages(begin: int, end: int) -> int:
    return len(range(begin // PAGE_BYTES, -(-end // PAGE_BYTES)))


@given(at=PLACES, length=st.integers(1, 3 * PAGE_BYTES))
def test_padding_goes_to_the_next_page_and_only_where_it_saves_one(at: int, length: int) -> None:
    skipped = padding(at, length)
    fewest = min(pages(begin, begin + length) for begin in range(at, at + PAGE_BYTES))
    assert pages(at + skipped, at + skipped + length) == fewest
    assert skipped == 0 or ((at + skipped) % PAGE_BYTES == 0 and pages(at, at + length) > fewest)


def with_group(file: bytes, bodies: list[bytes], first: int) -> bytes:
    """Return a file with the group of these bodies in it, and zeros to the end of its page."""
    end = scan(file).end
    skipped, group = encode_group(list(enumerate(bodies, first)), end)
    grown = file[:end] + bytes(skipped) + group
    return grown + bytes(filling(len(grown)))


@given(groups=st.lists(BODIES, min_size=1))
def test_zeros_between_groups_and_behind_the_last_are_no_damage(groups: list[list[bytes]]) -> None:
    data, number = b"", 1
    for bodies in groups:
        data = with_group(data, bodies, number)
        number += len(bodies)
    found = scan(data)
    assert len(data) % PAGE_BYTES == 0
    assert (found.unreadable, found.end) == ([], found.frames[-1].end)
    assert [frame.number for frame in found.frames] == list(range(1, number))
    assert [body_of(data, frame) for frame in found.frames] == [body for bodies in groups for body in bodies]
    assert [frame.start for frame in found.frames[1:]] == [frame.end for frame in found.frames[:-1]]


def test_more_zeros_than_a_page_has_room_for_are_a_write_that_never_finished() -> None:
    data = with_group(b"", [b"x"], 1) + bytes(1)
    found = scan(data)
    assert (found.unreadable, found.damaged) == ([(found.frames[0].end, len(data))], ())
    assert scan(bytes(10)).unreadable == [(0, 10)]


CHANGED = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(1, 255)), min_size=1, max_size=40)


@given(before=BODIES, group=BODIES, changed=CHANGED)
def test_damage_to_the_last_group_is_told_from_a_write_that_never_finished(
    before: list[bytes], group: list[bytes], changed: list[tuple[int, int]]
) -> None:
    """Each byte of a frame may change, but none of its sectors becomes zeros, and not its length."""
    group = [body.replace(b"\0", b"0") for body in group]
    data = bytearray(with_group(with_group(b"", before, 1), group, len(before) + 1))
    frame = scan(bytes(data)).frames[-1]
    for at, change in changed:
        place = frame.body + at % (frame.end - frame.body)
        data[place] = data[place] ^ change or 1
    found = scan(bytes(data))
    whole = found.frames[-1:] == [frame]
    assert whole or found.damaged[-1][1] >= frame.end


def test_a_lost_frame_that_ends_with_a_page_is_not_taken_for_padding() -> None:
    first = encode_frame(1, 1, b"x" * 2_000)
    lost = PAGE_BYTES - len(first)
    found = scan(first + bytes(lost) + encode_frame(3, 2, b"z"))
    assert (found.unreadable, found.damaged) == ([(len(first), PAGE_BYTES)], ())


def test_a_frame_moved_to_where_its_padding_is_not_is_read() -> None:
    data = encode_frame(1, 1, b"x") + encode_frame(2, 2, b"y", padded=500)
    found = scan(data)
    assert (len(found.frames), found.unreadable) == (2, [])


@given(before=BODIES, group=BODIES, chance=st.randoms(use_true_random=False))
def test_no_write_that_never_finished_looks_damaged(
    before: list[bytes], group: list[bytes], chance: random.Random
) -> None:
    """A power cut keeps any sectors of the newest write: the others are zeros, or missing at the end."""
    durable = with_group(b"", before, 1)
    end = scan(durable).end
    data = bytearray(with_group(durable, group, len(before) + 1))
    for start in range(end - end % SECTOR_BYTES, len(data), SECTOR_BYTES):
        if chance.random() < 0.5:
            place = slice(max(start, end), start + SECTOR_BYTES)
            data[place] = bytes(len(data[place]))
    cut = chance.choice([len(data), chance.randint(len(durable), len(data))])
    assert scan(bytes(data[:cut])).damaged == ()


@given(before=BODIES, group=BODIES, left=st.integers(0, 1 << 20))
def test_no_write_that_was_killed_looks_damaged(before: list[bytes], group: list[bytes], left: int) -> None:
    """A killed process leaves the beginning of its newest write; behind it are the zeros that filled the page."""
    durable = with_group(b"", before, 1)
    whole = with_group(durable, group, len(before) + 1)
    end, stop = scan(durable).end, scan(whole).end
    cut = end + left % (stop - end)
    torn = next(frame for frame in scan(whole).frames if frame.end > cut)
    if cut <= torn.end - 4:  # a few bytes of a checksum may be zeros anyway
        assert scan(whole[:cut].ljust(len(whole), b"\0")).damaged == ()

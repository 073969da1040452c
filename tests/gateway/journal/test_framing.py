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
    RECORD,
    SECTOR_BYTES,
    body_of,
    encode_frame,
    encode_hole,
    newer_format,
    scan,
)


def test_a_frame_is_read_back_with_its_numbers_and_body() -> None:
    data = encode_frame(7, 5, b"body")
    found = scan(data)
    assert found.unreadable == []
    (frame,) = found.frames
    assert frame == (0, len(data), RECORD, 7, 7, 5)
    assert body_of(data, frame) == b"body"
    assert len(data) == HEADER_BYTES + 4


def test_the_layout_is_fixed() -> None:
    header = b"EGJ\x01" + bytes(4) + struct.pack("<IQQ", 1, 3, 2)
    assert encode_frame(3, 2, b"x") == header + struct.pack("<I", zlib.crc32(header + b"x")) + b"x"


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


@given(before=BODIES, group=BODIES, chance=st.randoms(use_true_random=False))
def test_no_write_that_never_finished_looks_damaged(
    before: list[bytes], group: list[bytes], chance: random.Random
) -> None:
    """A power cut keeps any sectors of the newest write: the others are zeros, or missing at the end."""
    durable = b"".join(encode_frame(number, 1, body) for number, body in enumerate(before, 1))
    first = len(before) + 1
    written = b"".join(encode_frame(number, first, body) for number, body in enumerate(group, first))
    data = bytearray(durable + written)
    for start in range(len(durable) - len(durable) % SECTOR_BYTES, len(data), SECTOR_BYTES):
        if chance.random() < 0.5:
            place = slice(max(start, len(durable)), min(start + SECTOR_BYTES, len(data)))
            data[place] = bytes(len(data[place]))
    cut = chance.choice([len(data), chance.randint(len(durable), len(data))])
    assert scan(bytes(data[:cut])).damaged == ()

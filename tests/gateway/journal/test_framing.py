"""The frame around a journal record, byte by byte."""

from __future__ import annotations

import struct
import zlib

import pytest

from edge_gateway.journal import framing
from edge_gateway.journal.framing import (
    HEADER_BYTES,
    HOLE,
    MAGIC,
    RECORD,
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

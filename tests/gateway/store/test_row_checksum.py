"""A stored window is what was put under its key, or it is nothing."""

from __future__ import annotations

import struct

import pytest

from edge_gateway.store.row_checksum import checked, name_checksum, with_checksum

ROW = struct.pack("<qq", 7, 60_000) + b"the rest of a window"
STORED = with_checksum(ROW)


def test_a_row_comes_back_without_its_checksum() -> None:
    assert len(STORED) == len(ROW) + 4
    assert checked(STORED, 60_000, 7) == ROW


@pytest.mark.parametrize(("start", "series"), [(60_001, 7), (60_000, 8), (7, 60_000)])
def test_a_row_under_another_key_is_not_taken(start: int, series: int) -> None:
    assert checked(STORED, start, series) is None


@pytest.mark.parametrize("at", range(len(STORED)))
def test_no_changed_byte_goes_unnoticed(at: int) -> None:
    data = bytearray(STORED)
    data[at] ^= 1
    assert checked(bytes(data), 60_000, 7) is None


@pytest.mark.parametrize("blob", [None, 7, 1.5, "text", b"", b"123", STORED[:-1], with_checksum(ROW[:15])])
def test_whatever_else_stands_in_the_column_is_no_row(blob: object) -> None:
    assert checked(blob, 60_000, 7) is None


def test_a_row_may_consist_of_its_key_alone() -> None:
    assert checked(with_checksum(ROW[:16]), 60_000, 7) == ROW[:16]


def test_the_checksum_of_names_is_of_each_of_them_in_order_and_of_the_number() -> None:
    names = [("a", "b"), ("b", "a"), ("a", "c"), ("ab", ""), ("ab",)]
    found = {name_checksum(number, *texts) for texts in names for number in (7, 8)}
    assert len(found) == 2 * len(names)
    assert name_checksum(7, "a", "b") in found

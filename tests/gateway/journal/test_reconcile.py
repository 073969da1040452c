"""Which records of a journal's segments count, decided from their scans alone."""

from __future__ import annotations

import pytest

from edge_gateway.journal.framing import encode_frame, encode_hole, scan
from edge_gateway.journal.reconcile import Reconciliation, ScannedSegment, reconcile

SIZE = len(encode_frame(1, 1, b"body"))


def group(*numbers: int, base: int | None = None) -> bytes:
    first = numbers[0] if base is None else base
    return b"".join(encode_frame(number, first, b"body") for number in numbers)


def segment(first: int, data: bytes) -> ScannedSegment:
    return ScannedSegment(first, len(data), scan(data))


def kept(found: Reconciliation) -> list[list[int]]:
    return [[frame.number for frame in plan.frames] for plan in found.plans]


def test_no_segments_hold_nothing() -> None:
    assert reconcile([]) == Reconciliation((), (), 0)


def test_whole_segments_are_kept_as_they_are() -> None:
    found = reconcile([segment(1, group(1, 2) + group(3)), segment(4, group(4, 5))])
    assert kept(found) == [[1, 2, 3], [4, 5]]
    assert [(plan.cut, plan.corrupt, plan.lost) for plan in found.plans] == [
        (3 * SIZE, False, ()),
        (2 * SIZE, False, ()),
    ]
    assert (found.lost, found.torn_bytes) == ((), 0)


def test_a_torn_tail_is_cut_off_and_is_no_loss() -> None:
    found = reconcile([segment(1, group(1) + group(2, 3)[:-1])])
    assert kept(found) == [[1, 2]]
    (plan,) = found.plans
    assert (plan.cut, plan.corrupt) == (2 * SIZE, False)
    assert (found.lost, found.torn_bytes) == ((), SIZE - 1)


def test_a_gap_in_the_last_group_ends_the_group_there() -> None:
    data = group(1) + group(2, 3, 4)
    torn = data[:SIZE] + b"\0" * SIZE + data[2 * SIZE :]
    found = reconcile([segment(1, torn)])
    assert kept(found) == [[1]]
    assert (found.lost, found.torn_bytes) == ((), 3 * SIZE)


def test_a_gap_below_the_last_group_is_a_loss() -> None:
    data = group(1) + group(2) + group(3)
    broken = data[:SIZE] + b"\0" * SIZE + data[2 * SIZE :]
    found = reconcile([segment(1, broken)])
    assert kept(found) == [[1, 3]]
    assert found.lost == ((2, 2),)
    assert found.plans[0].corrupt
    assert found.torn_bytes == 0, "a file that is written anew is not cut"


def test_a_segment_without_its_last_records_lost_them_up_to_the_next_segment() -> None:
    found = reconcile([segment(1, group(1) + b"?" * 50), segment(4, group(4))])
    assert found.lost == ((2, 3),)
    assert [plan.corrupt for plan in found.plans] == [True, False]
    assert found.plans[0].lost == ((2, 3),)


def test_what_is_missing_between_two_whole_segments_is_lost_and_neither_is_damaged() -> None:
    found = reconcile([segment(1, group(1)), segment(4, group(4))])
    assert found.lost == ((2, 3),)
    assert [(plan.cut, plan.corrupt) for plan in found.plans] == [(SIZE, False), (SIZE, False)]


@pytest.mark.parametrize("data", [b"", bytes(50)])
def test_a_segment_without_records_before_another_is_damaged(data: bytes) -> None:
    found = reconcile([segment(1, data), segment(4, group(4))])
    assert (found.lost, found.plans[0].corrupt) == (((1, 3),), True)


def test_a_whole_segment_with_a_number_missing_inside_is_damaged() -> None:
    found = reconcile([segment(1, group(1) + group(3)), segment(6, group(6))])
    assert found.lost == ((2, 2), (4, 5))
    assert [plan.corrupt for plan in found.plans] == [True, False]


def test_an_unreadable_segment_in_the_middle_is_lost_whole() -> None:
    found = reconcile([segment(1, group(1)), segment(2, b"?" * 50), segment(4, group(4))])
    assert kept(found) == [[1], [], [4]]
    assert found.lost == ((2, 3),)
    assert [plan.corrupt for plan in found.plans] == [False, True, False]


def test_an_unreadable_last_segment_is_a_group_that_was_never_synced() -> None:
    found = reconcile([segment(1, group(1)), segment(2, bytes(50))])
    assert (found.lost, found.torn_bytes) == ((), 50)
    assert (found.plans[1].cut, found.plans[1].corrupt) == (0, False)


def damaged(data: bytes, at: int) -> bytes:
    """One bit flipped."""
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


@pytest.mark.parametrize("place", range(SIZE))
def test_a_damaged_last_record_is_a_loss_and_not_a_write_that_never_finished(place: int) -> None:
    found = reconcile([segment(1, damaged(group(1) + group(2), SIZE + place))])
    assert kept(found) == [[1]]
    length = range(8, 12)
    if place not in length:  # a record that seems to be longer than the file is one that was cut short
        assert (found.lost, found.plans[0].corrupt, found.torn_bytes) == (((2, 2),), True, 0)


def test_damage_within_the_last_group_loses_that_record_alone() -> None:
    found = reconcile([segment(1, damaged(group(1) + group(2, 3, 4), SIZE + 34))])
    assert kept(found) == [[1, 3, 4]]
    assert (found.lost, found.plans[0].corrupt) == (((2, 2),), True)


def test_a_last_segment_of_something_else_is_damaged() -> None:
    found = reconcile([segment(1, group(1)), segment(2, b"?" * 50)])
    assert (found.lost, found.torn_bytes) == (((2, 2),), 0)
    assert [plan.corrupt for plan in found.plans] == [False, True]


def test_damage_that_a_later_attempt_supersedes_is_no_loss() -> None:
    found = reconcile([segment(1, damaged(group(1) + group(2), SIZE + 34)), segment(2, group(2))])
    assert (kept(found), found.lost) == ([[1], [2]], ())


def test_a_later_attempt_supersedes_from_its_first_number_on() -> None:
    found = reconcile([segment(1, group(1) + group(2, 3)), segment(2, group(2, 3, 4))])
    assert kept(found) == [[1], [2, 3, 4]]
    assert found.plans[0].cut == SIZE
    assert found.torn_bytes == 2 * SIZE


def test_a_hole_from_an_earlier_repair_is_no_new_loss() -> None:
    found = reconcile([segment(1, group(1) + encode_hole(2, 4) + group(5))])
    assert kept(found) == [[1, 2, 5]]
    assert (found.lost, found.torn_bytes) == ((), 0)
    assert not found.plans[0].corrupt


def test_garbage_between_records_without_a_loss_still_makes_the_file_corrupt() -> None:
    found = reconcile([segment(1, group(1) + b"??" + group(2))])
    assert kept(found) == [[1, 2]]
    assert (found.lost, found.plans[0].corrupt) == ((), True)


def test_where_nothing_can_be_read_nothing_is_kept_or_lost() -> None:
    found = reconcile([segment(1, bytes(9))])
    assert (kept(found), found.lost, found.torn_bytes) == ([[]], (), 9)

"""What left with an input goes through the journal, and through an input that is folded in parts."""

from __future__ import annotations

import msgspec
import numpy as np

from edge_gateway.records import codec
from edge_gateway.records.closings import ALL, EACH, END, AtOnce, BaseStep, Closings, CoarseStep

FIRST = AtOnce(0, np.array([1, 1]), np.array([5_000, 10_000]))
SECOND = AtOnce(2, np.array([7]), np.array([5_000]))


def test_what_left_comes_back_from_the_journal() -> None:
    left = Closings(
        at_once=[FIRST],
        base=[BaseStep(5_000, 3, b"\xf0"), BaseStep(5_000, ALL)],
        caught_up=True,
        looked=True,
        coarse=[CoarseStep(1, np.array([4, 5]), np.empty(0, np.int64))],
    )
    bytes_of_it = codec.encode(left)
    again = msgspec.convert(codec.decode(bytes_of_it), Closings)
    assert codec.encode(again) == bytes_of_it
    assert again.base == left.base
    assert again.coarse[0].live.tolist() == [4, 5]


def test_an_input_with_which_nothing_left_takes_no_room() -> None:
    assert len(codec.pack(Closings())) == 1
    assert not Closings()
    assert [bool(one) for one in (Closings(caught_up=True), Closings(looked=True))] == [True, True]


def test_windows_are_held_by_device_and_start() -> None:
    device, start = np.array([1, 1, 5_000, 7]), np.array([5_000, 15_000, 1, 10_000])
    assert FIRST.hold(device, start).tolist() == [True, False, False, False]


def test_what_left_at_once_leaves_with_each_part_and_the_rest_of_it_at_the_end() -> None:
    left = Closings(at_once=[FIRST, SECOND], base=[BaseStep(5_000, ALL)], caught_up=True)
    each, after = left.in_parts()
    for part, lap in ((each, EACH), (after, END)):
        [one] = part.at_once
        assert (one.lap, one.device.tolist(), one.start.tolist()) == (lap, [1, 1, 7], [5_000, 10_000, 5_000])
    assert (each.base, each.caught_up) == ([], False)
    assert (after.base, after.caught_up) == (left.base, True)
    alone = Closings(looked=True)
    assert alone.in_parts() == (Closings(), alone)


def test_what_was_numbered_before_an_input_says_nothing_of_its_parts() -> None:
    for left in (Closings(numbering=(1, 2)), Closings(numbering=(1, 2), at_once=[FIRST])):
        assert [part.numbering for part in left.in_parts()] == [(), ()]

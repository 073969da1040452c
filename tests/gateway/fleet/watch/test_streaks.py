"""Streaks: how many messages in a row of a device meet a condition."""

import numpy as np

from edge_gateway.fleet.watch.streaks import Streak, Streaks
from tests.gateway.fleet.states import packed, unpacked


def note(streaks: Streaks, *messages: tuple[int, bool], now: int = 0) -> None:
    """Note messages as (device, whether it meets the condition); their values are 10 and 20 by position."""
    device, so = zip(*messages, strict=True) if messages else ((), ())
    at = np.arange(len(messages))
    streaks.note(np.array(device, np.int64), np.array(so, np.bool_), now, 10 + at, 20 + at)


def test_a_streak_has_its_length_its_start_and_the_values_of_its_newest_message() -> None:
    streaks = Streaks()
    note(streaks, (1, True), (0, True), (1, True), now=5)
    note(streaks, (1, True), now=9)
    assert streaks.of(1) == Streak(3, 5, 10, 20)
    assert streaks.of(0) == Streak(1, 5, 11, 21)
    assert streaks.at_least(1).tolist() == [0, 1]
    assert streaks.at_least(3).tolist() == [1]
    assert streaks.at_least(4).tolist() == []


def test_a_message_that_fails_the_condition_ends_the_streak_and_only_those_behind_it_count() -> None:
    streaks = Streaks()
    note(streaks, (0, True), (1, True), now=5)
    note(streaks, (0, True), (0, False), (0, True), now=7)
    assert streaks.of(0) == Streak(1, 7, 12, 22)
    assert streaks.of(1) == Streak(1, 5, 11, 21)


def test_streaks_are_on_while_a_device_has_one() -> None:
    streaks, seen = Streaks(), []
    for messages in ([], [(0, True)], [(0, False)]):
        note(streaks, *messages)
        seen.append(streaks.on)
    assert seen == [False, True, False]


def test_a_retired_device_has_no_streak() -> None:
    streaks = Streaks()
    note(streaks, (0, True), (1, True))
    streaks.forget(np.array([1, 2]))
    assert streaks.at_least(1).tolist() == [0]


def test_streaks_come_back_from_a_checkpoint() -> None:
    for messages in ([(0, True), (3, True)], [(0, False)]):
        streaks, again = Streaks(), Streaks()
        note(streaks, *messages, now=5)
        again.restore(unpacked(packed(streaks.snapshot())))
        assert again.on == streaks.on
        for one in (streaks, again):
            note(one, (3, True), (4, True), now=6)
        assert packed(again.snapshot()) == packed(streaks.snapshot())

"""The time of a reading: the device's own while it is plausible, else the arrival."""

import numpy as np

from edge_gateway.fleet.timestamps import (
    NO_TIME,
    Stamped,
    TimeLimits,
    believed,
    needs_stamp,
    newest,
    oldest,
    stamp,
)

ARRIVAL = 1_760_000_000_000
LIMITS = TimeLimits(earliest=1_000, max_future_skew=300)


def stamped(*ts: int, trusted: bool = True) -> tuple[list[int], list[bool]]:
    found = stamp(np.array(ts), ARRIVAL, LIMITS, trusted=trusted)
    return found.ts.tolist(), found.stamped.tolist()


def test_a_time_from_the_earliest_to_the_skew_is_kept() -> None:
    assert stamped(1_000, ARRIVAL, ARRIVAL + 300) == ([1_000, ARRIVAL, ARRIVAL + 300], [False] * 3)


def test_an_absent_early_or_future_time_becomes_the_arrival() -> None:
    assert stamped(NO_TIME, 999, ARRIVAL + 301) == ([ARRIVAL] * 3, [True] * 3)


def test_without_a_trusted_clock_no_time_is_too_far_ahead() -> None:
    assert stamped(ARRIVAL + 10**9, trusted=False) == ([ARRIVAL + 10**9], [False])


def test_times_that_need_the_arrival_can_be_told_before_it_is_trusted() -> None:
    assert needs_stamp(np.array([NO_TIME, 999, 1_000]), LIMITS).tolist() == [True, True, False]


def test_a_message_is_as_new_as_its_newest_plausible_sample() -> None:
    ts, message = np.array([5, 9, 7, 3, 4]), np.array([0, 0, 1, 2, 2])
    own = np.array([False, True, True, False, False])
    assert believed(Stamped(ts, own), message).tolist() == [5, NO_TIME, 4]
    assert believed(Stamped(ts, np.zeros(5, np.bool_)), message).tolist() == [9, 7, 4]


def test_the_newest_and_the_oldest_time_of_each_message() -> None:
    ts, message = np.array([5, 9, 7, 4, 3]), np.array([0, 0, 1, 2, 2])
    assert (newest(ts, message).tolist(), oldest(ts, message).tolist()) == ([9, 7, 4], [5, 7, 3])


def test_messages_of_one_sample_keep_their_times() -> None:
    ts = np.array([5, 9])
    assert believed(Stamped(ts, np.zeros(2, np.bool_)), np.arange(2)).tolist() == [5, 9]
    assert believed(Stamped(ts[:0], np.zeros(0, np.bool_)), ts[:0]).tolist() == []

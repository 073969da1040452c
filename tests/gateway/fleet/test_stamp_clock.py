"""Stamps of devices without a clock follow the gateway's wall clock, however it is set."""

import numpy as np
import pytest

from edge_gateway.fleet.stamp_clock import ADJUSTED, DRIFT, StampClock
from edge_gateway.fleet.timestamps import Stamped
from edge_gateway.records.inputs import Moment

T = 1_760_000_000_000
HOUR = 3_600_000


def stamped(clock: StampClock, arrival: int, monotonic: int, *devices: int) -> list[tuple[int, bool]]:
    """(ms after T, whether the device begins again) of a reading of each device."""
    stamps = clock.stamp(np.array(devices or (0,), np.int64), T + arrival, monotonic)
    return list(zip((stamps.ts - T).tolist(), stamps.stepped.tolist(), strict=True))


def test_a_stamp_is_the_arrival() -> None:
    clock = StampClock()
    assert stamped(clock, 0, 7, 2, 0, 2) == [(0, False)] * 3
    assert stamped(clock, HOUR, 7 + HOUR, 0, 1) == [(HOUR, False)] * 2


def test_times_are_settled_where_they_are_the_arrival_and_count() -> None:
    clock = StampClock()
    message = np.array([0, 1, 2, 2, 3, 4], np.int64)
    device = np.array([0, 1, 0, 1, 2], np.int64)
    stamped_rows = np.array([True, True, True, True, True, False])
    times = Stamped(np.array([T] * 5 + [7], np.int64), stamped_rows)
    live = np.array([False, True, True, True, True])
    clock.settle(times, message, live, device, Moment(T, 0, monotonic=0))
    back = Stamped(np.where(stamped_rows, T - HOUR, 7), stamped_rows)
    final, begin = clock.settle(back, message, live, device, Moment(T - HOUR, 0, monotonic=0))
    assert final.ts.tolist() == [T - HOUR] * 5 + [7]
    assert begin.tolist() == [1, 2]


def test_where_no_time_is_the_arrival_nothing_is_settled() -> None:
    one = np.zeros(1, np.int64)
    times = Stamped(one, np.array([False]))
    final, begin = StampClock().settle(times, one, np.array([True]), one, Moment(T, 0))
    assert final is times
    assert begin.tolist() == []


@pytest.mark.parametrize("by", [HOUR, -HOUR, ADJUSTED + 3, -ADJUSTED - 3])
def test_after_the_clock_was_set_each_device_begins_again_once(by: int) -> None:
    clock = StampClock()
    stamped(clock, 0, 0, 0, 1)
    assert stamped(clock, 1_000 + by, 1_000, 0) == [(1_000 + by, True)]
    assert stamped(clock, 2_000 + by, 2_000, 0, 1, 2) == [
        (2_000 + by, False),
        (2_000 + by, True),
        (2_000 + by, False),
    ]


def test_a_clock_that_was_adjusted_back_is_waited_for_so_that_stamps_grow() -> None:
    """Each is one more than the last, because of readings with one time rules take the first."""
    clock = StampClock()
    stamped(clock, 0, 0)
    told = [stamped(clock, second * 1_000 - 2_500, second * 1_000) for second in (1, 2, 3)]
    assert told == [[(1, False)], [(2, False)], [(500, False)]]


def test_steps_that_creep_are_one_that_is_large_enough() -> None:
    clock = StampClock()
    stamped(clock, 0, 0)
    assert stamped(clock, -4_000, 0) == [(1, False)]
    assert stamped(clock, -8_000, 0) == [(-8_000, True)]


@pytest.mark.parametrize(("off", "stepped"), [(86_400 + ADJUSTED, False), (86_401 + ADJUSTED, True)])
def test_a_clock_that_is_slewed_all_day_was_not_set(off: int, *, stepped: bool) -> None:
    clock = StampClock()
    day = 86_400 * DRIFT
    stamped(clock, 0, 0)
    assert stamped(clock, day + off, day) == [(day + off, stepped)]


def test_a_device_that_is_forgotten_begins_anew() -> None:
    clock = StampClock()
    stamped(clock, HOUR, 0, 0, 1)
    clock.forget(np.array([1, 9], np.int64))
    assert stamped(clock, 0, 0, 0, 1) == [(0, True), (0, False)]


def test_a_copy_goes_on_as_the_original() -> None:
    clock, copy = StampClock(), StampClock()
    stamped(clock, HOUR, 0, 0, 1)
    copy.restore(clock.snapshot())
    assert [stamped(one, 0, 5, 0, 3) for one in (clock, copy)] == [[(0, True), (0, False)]] * 2

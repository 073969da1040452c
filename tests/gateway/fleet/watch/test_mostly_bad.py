"""Devices more than half of whose values are bad."""

import numpy as np

from edge_gateway.fleet.decoders.bad_values import NO_NUMBER, BadReason, BadValues
from edge_gateway.fleet.watch.mostly_bad import LEAST_COUNTED, MOST_COUNTED, MostlyBad, MostlyBadDevice
from tests.gateway.fleet.states import packed, unpacked

METRIC = 5


def count(held: MostlyBad, device: int, *, good: int, bad: int, metric: int = METRIC) -> None:
    full = np.full(bad, BadReason.RANGE, np.int64)
    values = BadValues(np.zeros(bad, np.int64), np.full(bad, metric, np.int64), full)
    held.count(np.array([device]), np.array([good]), np.full(bad, device, np.int64), values)


def found(held: MostlyBad) -> list[int]:
    return [one.device for one in held.found()]


def test_a_device_is_found_when_more_than_half_of_enough_values_are_bad() -> None:
    held = MostlyBad()
    count(held, 0, good=LEAST_COUNTED // 2 - 1, bad=LEAST_COUNTED // 2 + 1)
    count(held, 1, good=LEAST_COUNTED // 2, bad=LEAST_COUNTED // 2)
    count(held, 2, good=0, bad=LEAST_COUNTED - 1)
    assert held.found() == [MostlyBadDevice(0, METRIC, BadReason.RANGE)]
    count(held, 2, good=0, bad=1, metric=6)
    assert held.found()[1] == MostlyBadDevice(2, 6, BadReason.RANGE), "its newest bad value"


def test_good_values_count_from_the_first_bad_one_on() -> None:
    held = MostlyBad()
    assert not held
    count(held, 0, good=100, bad=0)
    assert not held
    count(held, 0, good=0, bad=LEAST_COUNTED)
    assert held
    assert found(held) == [0]


def test_good_values_outweigh_bad_ones_in_time_and_then_nothing_is_counted() -> None:
    held = MostlyBad()
    count(held, 0, good=0, bad=LEAST_COUNTED)
    count(held, 0, good=MOST_COUNTED, bad=0)
    assert found(held) == []
    for _ in range(10):
        count(held, 0, good=MOST_COUNTED, bad=0)
    assert not held
    count(held, 0, good=0, bad=LEAST_COUNTED)
    assert found(held) == [0], "what was before is forgotten"


def test_both_counts_halve_at_the_most_counted() -> None:
    held = MostlyBad()
    count(held, 0, good=MOST_COUNTED - 40, bad=39)
    assert held.snapshot()["values"].tolist() == [MOST_COUNTED - 1]
    count(held, 0, good=0, bad=1)
    state = held.snapshot()
    assert (state["values"].tolist(), state["bad"].tolist()) == ([MOST_COUNTED // 2], [20])


def test_an_empty_batch_counts_nothing() -> None:
    held = MostlyBad()
    none = np.empty(0, np.int64)
    held.count(none, none, none, BadValues(none, none, none))
    assert not held


def test_devices_and_metrics_are_forgotten() -> None:
    held = MostlyBad()
    count(held, 0, good=0, bad=LEAST_COUNTED)
    count(held, 1, good=0, bad=LEAST_COUNTED, metric=6)
    held.forget_metrics(np.array([6]))
    assert [one.metric for one in held.found()] == [METRIC, NO_NUMBER]
    held.forget(np.array([0, 2, 99]))
    assert found(held) == [1]
    assert held
    held.forget(np.array([1]))
    assert not held


def test_counts_come_back_from_a_checkpoint() -> None:
    held, again = MostlyBad(), MostlyBad()
    count(held, 3, good=1, bad=LEAST_COUNTED)
    again.restore(unpacked(packed(held.snapshot())))
    assert again.found() == held.found()
    assert bool(again) == bool(held)
    for one in (held, again):
        count(one, 4, good=1, bad=1)
    assert packed(again.snapshot()) == packed(held.snapshot())
    empty = MostlyBad()
    empty.restore(unpacked(packed(MostlyBad().snapshot())))
    assert not empty

"""Accumulators: one window a series, given out when it is over or another one begins."""

import numpy as np

from edge_gateway.records.codec import pack, unpack
from edge_gateway.records.window_block import WINDOW_ROW, WindowBlock, keys
from edge_gateway.windows.merge import merge_blocks, united
from edge_gateway.windows.reduce import Readings, rows_of_values
from edge_gateway.windows.tiers import Emitted, Tier
from tests.gateway.windows.plain import plain_tier

EVERY = 10_000
P95 = np.array([True, False, False])


def block(*held: tuple[int, int, float], every: int = 1_000) -> WindowBlock:
    series, ts, value = (np.array(column) for column in zip(*held, strict=True))
    readings = Readings(series, ts, value.astype(np.float64), np.full(len(held), 1000, np.uint16))
    return rows_of_values(every, readings, P95)


def tier() -> Tier:
    return plain_tier(EVERY, WINDOW_ROW, merge_blocks)


def restarted(kept: Tier) -> Tier:
    again = tier()
    again.restore(unpack(pack(kept.snapshot())))
    return again


def take(from_: Tier, budget: int) -> list[Emitted]:
    return from_.take(from_.over(budget))


def same(one: list[Emitted], other: WindowBlock) -> bool:
    found = united([part.block for part in one], merge_blocks)
    found = found.take(np.argsort(found.rows["series"]))
    return found.packed() == other.packed()


def test_rows_of_a_window_merge_with_their_tails() -> None:
    held = tier()
    first, second = [(0, 100, 1e300), (1, 200, 2.0)], [(0, 1_300, 4.0), (2, 1_400, 8.0)]
    held.add(block(*first))
    held.add(block(*second))
    assert held.start_of(np.array([0, 1, 2])).tolist() == [0, 0, 0]
    held.queue_due(np.full(3, EVERY))
    assert same(take(restarted(held), 100), block(*first, *second, every=EVERY))
    assert same(take(held, 100), block(*first, *second, every=EVERY))


def test_a_window_gives_way_to_another_one_of_its_series() -> None:
    held = tier()
    held.add(block((0, 100, 1.0), (1, 100, 1.0)))
    held.add(block((0, 10_100, 2.0)))
    assert held.waiting
    assert held.start_of(np.array([0, 1])).tolist() == [10_000, 0]
    for kept in (restarted(held), held):
        assert same(take(kept, 0), block((0, 100, 1.0), every=EVERY))
        assert not kept.waiting


def test_what_is_queued_is_given_by_budget_and_only_once() -> None:
    held = tier()
    held.add(block((0, 0, 1.0), (1, 0, 1.0), (2, 0, 1.0)))
    assert not held.queue_due(np.full(3, EVERY - 1))
    assert held.queue_due(np.full(3, EVERY))
    assert not held.queue_due(np.full(3, EVERY))
    assert [keys(part.block.rows) for part in take(held, 2)] == [[(0, 0), (1, 0)]]
    again = restarted(held)
    assert not again.queue_due(np.full(3, EVERY))
    assert [keys(part.block.rows) for part in take(again, 2)] == [[(2, 0)]]
    assert not again.waiting


def test_what_is_queued_may_grow_or_give_way_before_it_is_given() -> None:
    held = tier()
    held.add(block((0, 0, 1.0), (1, 0, 1.0)))
    held.queue_due(np.full(2, EVERY))
    held.add(block((0, 500, 2.0), (1, 10_000, 4.0)))
    given = take(held, 10)
    assert same(given, block((0, 0, 1.0), (0, 500, 2.0), (1, 0, 1.0), every=EVERY))
    assert held.start_of(np.array([0, 1])).tolist()[1] == 10_000


def again(emitted: list[Emitted]) -> list[tuple[int, bool]]:
    """Return the start of each emitted window, and whether it may have been closed before."""
    return [
        (start, one.again is not None and bool(one.again[place]))
        for one in emitted
        for place, start in enumerate(one.block.rows["start"].tolist())
    ]


def test_a_window_that_was_emitted_before_is_told_apart_however_often_it_opens() -> None:
    held = tier()
    for start in (20_100, 30_100, 20_100, 30_100, 20_100):
        held.add(block((0, start, 1.0)))
    expected = [(20_000, False), (30_000, False), (20_000, True), (30_000, True)]
    for kept in (restarted(held), held):
        assert again(take(kept, 9)) == expected
        kept.queue_due(np.full(3, 60_000))
        assert again(take(restarted(kept), 9)) == again(take(kept, 9)) == [(20_000, True)]


def test_a_window_queued_twice_is_given_once() -> None:
    held = tier()
    for start in (100, 10_100, 100):
        held.add(block((0, start, 1.0), (1, start, 1.0)))
        held.queue_due(np.full(2, EVERY))
    assert held.over(9).tolist() == [0, 1]
    assert held.over(0).tolist() == []
    take(held, 9)
    assert not held.waiting


def test_windows_leave_by_their_series_whether_they_are_queued_or_not() -> None:
    held = tier()
    held.add(block((0, 0, 1.0), (1, 0, 1.0), (2, 0, 1.0)))
    held.queue_due(np.array([EVERY, EVERY, 0]))
    given = held.take(np.array([1, 2, 7]))
    assert [keys(part.block.rows) for part in given] == [[(1, 0), (2, 0)]]
    assert held.over(9).tolist() == [0]

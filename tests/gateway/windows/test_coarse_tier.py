"""Windows of a coarser tier when devices send what they kept while offline beside live readings."""

from __future__ import annotations

import numpy as np
import pytest

from edge_gateway.records.codec import pack, unpack
from edge_gateway.records.window_block import NEVER, WindowBlock, keys
from edge_gateway.windows.closed import Harvest
from edge_gateway.windows.coarse_tier import CoarseTier, CoarseTiers
from edge_gateway.windows.ever_closed import EverClosed
from edge_gateway.windows.gaps import TimeGaps
from edge_gateway.windows.reduce import Readings, rows_of_states, rows_of_values
from edge_gateway.windows.tiers import Emitted
from tests.gateway.windows.plain import Fleet

EVERY, BASE = 10_000, 1_000
BEGIN, UNTIL = 3_000, 95_000
Held = tuple[int, int, float]


def readings(*held: Held) -> Readings:
    """Readings of (series, ts, value); series 0 and 1 are of device 0, series 3 is of device 1."""
    series, ts, value = (np.array(column) for column in zip(*held, strict=True))
    return Readings(series, ts, value.astype(np.float64), np.full(len(held), 1000, np.uint16)).ordered()


def block(*held: Held) -> WindowBlock:
    return rows_of_values(BASE, readings(*held))


def offline() -> TimeGaps:
    """The gaps of two devices of which device 0 was offline from BEGIN to UNTIL."""
    gaps = TimeGaps(BASE, 0, 0)
    gaps.grow(2)
    gaps.take(np.array([0]), np.array([UNTIL]), np.array([BEGIN - 1, NEVER]), 0)
    return gaps


def tiers(*every: int) -> CoarseTiers:
    """Tiers of these lengths of such devices."""
    return CoarseTiers([EverClosed(length) for length in every], Fleet(2), offline())


def tier() -> CoarseTier:
    return tiers(EVERY).numbers[0]


@pytest.fixture
def held() -> CoarseTier:
    return tier()


def counts(emitted: list[Emitted]) -> dict[tuple[int, int], int]:
    """The number of readings by (series, start); no window comes twice."""
    found: dict[tuple[int, int], int] = {}
    for one in emitted:
        for key, count in zip(keys(one.block.rows), one.block.rows["count"].tolist(), strict=True):
            assert key not in found
            found[key] = count
    return found


def take(from_: CoarseTier, budget: int) -> list[Emitted]:
    return from_.take(*from_.over(budget))


def all_of(held: CoarseTier) -> dict[tuple[int, int], int]:
    held.queue_due(np.full(6, 1 << 60), np.full(6, 1 << 60))
    return counts(take(held, 100))


def test_kept_readings_have_windows_of_their_own_beside_the_live_ones(held: CoarseTier) -> None:
    for live, kept in (((0, 100_100, 1.0), (0, 40_100, 3.0)), ((0, 101_300, 2.0), (0, 41_300, 4.0))):
        held.add(block(live))
        held.add(block(kept, (3, 40_100, 5.0)))
    assert take(held, 100) == [], "neither ends the other"
    assert held.open_windows == 3
    assert held.open_at(5).tolist() == [True, False, False, True, False]
    asked = [(0, 100_000), (0, 40_000), (0, 50_000), (1, 40_000)]
    series, start = (np.array(column) for column in zip(*asked, strict=True))
    assert held.is_open(series, start).tolist() == [True, True, False, False]
    again = tier()
    again.restore(unpack(pack(held.snapshot())))
    for one in (held, again):
        assert one.queue_due(np.full(6, NEVER), np.full(6, 50_000))
        assert one.waiting
        assert counts(take(one, 100)) == {(0, 40_000): 2}
        assert sorted({rows["start"].max() for rows in one.blocks()}) == [NEVER, 100_000]


@pytest.mark.parametrize("kept_first", [True, False])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_window_at_an_end_of_the_time_offline_is_open_once(
    held: CoarseTier, *, kept_first: bool, at_once: bool
) -> None:
    parts = [[(0, 94_000, 1.0), (1, 4_000, 1.0)], [(0, 95_000, 1.0), (1, 2_000, 1.0)]]
    if not kept_first:
        parts.reverse()
    if at_once:
        held.add_readings(readings(*parts[0], *parts[1]), rows_of_values)
    for part in parts if not at_once else ():
        held.add(block(*part))
    assert held.open_windows == 2
    assert all_of(held) == {(0, 90_000): 2, (1, 0): 2}


def test_readings_of_closed_windows_are_parted_like_rows_of_them(held: CoarseTier) -> None:
    held.add_readings(readings((0, 20_000, 1.0), (0, 100_000, 1.0), (3, 20_000, 1.0)), rows_of_values)
    assert take(held, 9) == []
    held.add_readings(readings((0, 21_000, 1.0)), rows_of_values)
    assert all_of(held) == {(0, 20_000): 2, (0, 100_000): 1, (3, 20_000): 1}


def test_windows_are_over_by_the_time_of_their_device() -> None:
    gaps = offline()
    all_of_them = CoarseTiers([EverClosed(EVERY)], Fleet(2), gaps)
    [held] = all_of_them.numbers
    held.add(block((0, 40_100, 1.0), (1, 100_100, 1.0), (3, 40_100, 1.0)))
    gaps.take(np.array([0]), np.array([40_100]), np.array([100_100, NEVER]), 0)
    gaps.close(np.array([0]), 48_000)
    assert not all_of_them.queue_over(np.array([100_000]))
    gaps.close(np.array([0]), 49_000)
    assert all_of_them.queue_over(np.array([100_000]))
    assert counts(take(held, 9)) == {(0, 40_000): 1}
    assert all_of_them.queue_over(np.array([200_000, 50_000]))
    assert counts(take(held, 9)) == {(1, 100_000): 1, (3, 40_000): 1}
    assert not CoarseTiers([EverClosed(EVERY)], Fleet(0), TimeGaps(BASE, 0, 0)).queue_over(np.array([5]))


def test_the_tiers_of_numbers_and_of_texts_share_a_budget() -> None:
    fed, again = tiers(EVERY, 2 * EVERY), tiers(EVERY, 2 * EVERY)
    for numbers, states in zip(fed.numbers, fed.states, strict=True):
        numbers.add(block((0, 100_100, 1.0), (1, 100_100, 1.0)))
        states.add(rows_of_states(BASE, readings((5, 100_100, 7.0))))
    again.restore(unpack(pack(fed.snapshot())))
    for one in (fed, again):
        assert one.open_windows == 6
        assert np.flatnonzero(one.open_at(7)).tolist() == [0, 1, 5]
        waiting = [one.waiting]
        assert one.queue_over(np.full(2, 1 << 60))
        assert taken(one, 3) == ([(1, 2), (2, 1)], [])
        waiting.append(one.waiting)
        assert taken(one, 9) == ([(2, 1)], [(1, 1), (2, 1)])
        assert [*waiting, one.waiting] == [False, True, False]
        assert one.open_windows == 0


def taken(from_: CoarseTiers, budget: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Take for a budget; return (tier, rows) of numbers and of texts."""
    harvest = Harvest()
    from_.take(budget, harvest)
    closed = harvest.closed()
    numbers, texts = ([(one.tier, len(one.rows)) for one in kind] for kind in (closed.numbers, closed.states))
    return numbers, texts


def test_what_left_leaves_another_one_too() -> None:
    fed, follower = tiers(EVERY, 2 * EVERY), tiers(EVERY, 2 * EVERY)
    for one in (fed, follower):
        one.numbers[0].add(block((0, 40_100, 1.0), (0, 100_100, 1.0), (1, 100_100, 1.0)))
        one.states[1].add(rows_of_states(BASE, readings((5, 100_100, 7.0))))
        one.queue_over(np.full(2, 1 << 60))
    harvests = Harvest(), Harvest()
    steps = fed.take(3, harvests[0])
    assert [(step.tier, step.live.tolist(), step.kept.tolist()) for step in steps] == [(0, [0, 1], [0])]
    follower.follow(steps, harvests[1])
    left, again = ([part.rows.tobytes() for part in one.closed().numbers] for one in harvests)
    assert left == again
    assert pack(fed.snapshot()) == pack(follower.snapshot())
    assert follower.open_windows == 1

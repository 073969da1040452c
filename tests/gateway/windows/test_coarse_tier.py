"""Windows of a coarser tier when devices send what they kept while offline beside live readings."""

from __future__ import annotations

import numpy as np
import pytest

from edge_gateway.records.codec import pack, unpack
from edge_gateway.windows.coarse_tier import CoarseTier, queue_over
from edge_gateway.windows.ever_closed import EverClosed
from edge_gateway.windows.gaps import TimeGaps
from edge_gateway.windows.merge import merge_blocks
from edge_gateway.windows.reduce import Readings, rows_of_values
from edge_gateway.windows.rows import NEVER, WINDOW_ROW, Block, keys
from edge_gateway.windows.tiers import Emitted
from tests.gateway.windows.plain import Fleet

EVERY, BASE = 10_000, 1_000
BEGIN, UNTIL = 3_000, 95_000
Held = tuple[int, int, float]


def readings(*held: Held) -> Readings:
    """Readings of (series, ts, value); series 0 and 1 are of device 0, series 3 is of device 1."""
    series, ts, value = (np.array(column) for column in zip(*held, strict=True))
    return Readings(series, ts, value.astype(np.float64), np.full(len(held), 1000, np.uint16)).ordered()


def block(*held: Held) -> Block:
    return rows_of_values(BASE, readings(*held))


def tier() -> CoarseTier:
    """A tier, and device 0 that was offline from BEGIN to UNTIL."""
    gaps = TimeGaps(BASE, 0, 0)
    gaps.grow(2)
    gaps.take(np.array([0]), np.array([UNTIL]), np.array([BEGIN - 1, NEVER]), 0)
    return CoarseTier(WINDOW_ROW, merge_blocks, EverClosed(EVERY), Fleet(2), gaps)


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


def all_of(held: CoarseTier) -> dict[tuple[int, int], int]:
    held.queue_due(np.full(6, 1 << 60), np.full(6, 1 << 60))
    return counts(held.take(100))


def test_kept_readings_have_windows_of_their_own_beside_the_live_ones(held: CoarseTier) -> None:
    for live, kept in (((0, 100_100, 1.0), (0, 40_100, 3.0)), ((0, 101_300, 2.0), (0, 41_300, 4.0))):
        held.add(block(live))
        held.add(block(kept, (3, 40_100, 5.0)))
    assert held.take(100) == [], "neither ends the other"
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
        assert counts(one.take(100)) == {(0, 40_000): 2}
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
    assert held.take(9) == []
    held.add_readings(readings((0, 21_000, 1.0)), rows_of_values)
    assert all_of(held) == {(0, 20_000): 2, (0, 100_000): 1, (3, 20_000): 1}


def test_what_a_recorded_run_closed_is_dropped_from_both(held: CoarseTier) -> None:
    both = (0, 40_100, 3.0), (1, 100_100, 1.0)
    held.add(block(*both))
    held.drop(rows_of_values(EVERY, readings(*both)).rows)
    assert held.open_windows == 0


def test_windows_are_over_by_the_time_of_their_device(held: CoarseTier) -> None:
    devices = Fleet(2).series_device
    held.add(block((0, 40_100, 1.0), (1, 100_100, 1.0), (3, 40_100, 1.0)))
    assert not queue_over([held], devices, np.array([100_000]), np.array([49_999]))
    assert queue_over([held], devices, np.array([100_000]), np.array([50_000]))
    assert counts(held.take(9)) == {(0, 40_000): 1}
    assert queue_over([held], devices, np.array([200_000, 50_000]))
    assert counts(held.take(9)) == {(1, 100_000): 1, (3, 40_000): 1}
    assert not queue_over([held], devices[:0], np.array([5]))

"""Late readings: which tier takes them in memory, and which the store must correct."""

import numpy as np

from edge_gateway.records.store_effects import BEHIND, OVER_SHARE
from edge_gateway.windows.late import NONE_LATE, NOTHING, Late, LateReadings, stored_in
from edge_gateway.windows.reduce import Readings, rows_of_values
from tests.gateway.windows.plain import plain_coarse_tiers


def readings(*held: tuple[int, int, float]) -> Readings:
    series, ts, value = (np.array(column) for column in zip(*held, strict=True))
    return Readings(series, ts, value.astype(np.float64), np.full(len(held), 900, np.uint16))


def bits(
    ts: int, closed_to: int, *, open_at: int | None = None, over: bool = False, behind: bool = False
) -> int:
    """The tiers that must be merged in the store, for tiers of 10 (the base), 50 and 100 ms."""
    tiers = plain_coarse_tiers(50, 100).numbers
    if open_at is not None:
        for tier in tiers:
            tier.add(rows_of_values(10, readings((0, open_at, 1.0))))
    found = stored_in(
        tiers, readings((0, ts, 1.0)), np.array([closed_to]), np.array([over]), np.array([behind])
    )
    return int(found[0])


def test_the_store_corrects_the_base_window_and_coarser_ones_that_are_over() -> None:
    assert bits(5, closed_to=10) == 0b001
    assert bits(5, closed_to=49) == 0b001
    assert bits(5, closed_to=50) == 0b011
    assert bits(5, closed_to=100) == 0b111


def test_an_open_coarser_window_takes_the_reading_in_memory() -> None:
    assert bits(5, closed_to=100, open_at=7) == 0b001
    assert bits(5, closed_to=100, open_at=60) == 0b011


def test_a_reading_over_its_device_s_share_is_merged_nowhere() -> None:
    assert bits(5, closed_to=100, over=True) == 0


def test_a_reading_of_a_window_that_the_history_gave_up_is_merged_nowhere() -> None:
    assert bits(5, closed_to=100, behind=True) == BEHIND
    assert bits(5, closed_to=100, open_at=7, behind=True) == BEHIND, "not in memory either"
    assert bits(5, closed_to=100, over=True, behind=True) == OVER_SHARE


def test_each_tier_takes_in_memory_what_the_store_does_not() -> None:
    tiers = np.array([0b001, 0b011, 0b111, OVER_SHARE, BEHIND])
    row = np.arange(5)
    late = LateReadings(row, row, tiers, readings(*((series, 5, 1.5) for series in range(5))))
    assert late.not_stored(1).series.tolist() == [0]
    assert late.not_stored(2).series.tolist() == [0, 1]
    assert late.not_stored(0).series.tolist() == []


def test_late_readings_are_columns() -> None:
    late = LateReadings(np.array([0]), np.array([4]), np.array([1]), readings((3, 5, 2.0)))
    assert (late.series.tolist(), late.ts.tolist(), late.value.tolist()) == ([3], [5], [2.0])
    assert (late.quality.tolist(), late.code.tolist()) == ([900], [2])
    assert len(Late(late, NONE_LATE.states)) == len(Late(NONE_LATE.numbers, late)) == 1
    assert len(NONE_LATE) == 0
    assert not NOTHING.closed

"""Closed windows, collected by tier."""

import numpy as np

from edge_gateway.windows.closed import Closed, Harvest
from edge_gateway.windows.reduce import Readings, rows_of_states, rows_of_values
from edge_gateway.windows.rows import keys


def readings(*held: tuple[int, int, float]) -> Readings:
    series, ts, value = (np.array(column) for column in zip(*held, strict=True))
    return Readings(series, ts, value.astype(np.float64), np.full(len(held), 1000, np.uint16))


def test_rows_are_one_entry_a_tier_ascending_and_each_window_once() -> None:
    harvest = Harvest()
    harvest.numbers(2, rows_of_values(10, readings((0, 0, 1.0))))
    harvest.numbers(0, rows_of_values(10, readings((0, 5, 1.0), (1, 5, 1.0))))
    harvest.numbers(0, rows_of_values(10, readings((0, 6, 2.0))))
    harvest.states(1, rows_of_states(10, readings((2, 0, 1.0))))
    closed = harvest.closed()
    assert [(tier, keys(rows)) for tier, rows in closed.numeric] == [(0, [(0, 0), (1, 0)]), (2, [(0, 0)])]
    assert closed.numeric[0].rows["count"].tolist() == [2, 1]
    assert [(tier, keys(rows)) for tier, rows in closed.states] == [(1, [(2, 0)])]
    assert closed


def test_empty_blocks_leave_no_entry() -> None:
    harvest = Harvest()
    none = Readings(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint16))
    harvest.numbers(0, rows_of_values(10, none))
    harvest.states(0, rows_of_states(10, none))
    assert not harvest.closed()
    assert harvest.closed() == Closed()


def test_tails_are_found_by_tier_and_position() -> None:
    harvest = Harvest()
    harvest.numbers(0, rows_of_values(10, readings((0, 0, 1.0), (1, 0, 1e300))))
    harvest.numbers(1, rows_of_values(50, readings((1, 0, 1e300))))
    closed = harvest.closed()
    assert sorted(closed.tails) == [(0, 1), (1, 0)]
    assert list(closed.tails_of(0)) == [1]
    assert list(closed.tails_of(1)) == [0]
    assert closed.tails_of(2) == {}

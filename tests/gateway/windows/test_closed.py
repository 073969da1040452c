"""Closed windows, collected by tier."""

import numpy as np

from edge_gateway.records.window_block import keys
from edge_gateway.windows.closed import Closed, Harvest
from edge_gateway.windows.reduce import Readings, rows_of_states, rows_of_values


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
    assert [(one.tier, keys(one.rows)) for one in closed.numbers] == [(0, [(0, 0), (1, 0)]), (2, [(0, 0)])]
    assert closed.numbers[0].rows["count"].tolist() == [2, 1]
    assert [(one.tier, keys(one.rows)) for one in closed.states] == [(1, [(2, 0)])]
    assert closed


def test_empty_blocks_leave_no_entry() -> None:
    harvest = Harvest()
    none = Readings(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint16))
    harvest.numbers(0, rows_of_values(10, none))
    harvest.states(0, rows_of_states(10, none))
    assert not harvest.closed()
    assert harvest.closed() == Closed()


def test_tails_stay_with_their_rows() -> None:
    harvest = Harvest()
    harvest.numbers(0, rows_of_values(10, readings((0, 0, 1.0), (1, 0, 1e300))))
    harvest.numbers(0, rows_of_values(10, readings((2, 0, 1e300))))
    harvest.numbers(1, rows_of_values(50, readings((1, 0, 1e300))))
    base, coarser = harvest.closed().numbers
    assert (sorted(base.block.tails), list(coarser.block.tails)) == ([1, 2], [0])


def test_a_window_that_closes_for_the_first_time_was_not_closed_before() -> None:
    harvest = Harvest()
    harvest.numbers(0, rows_of_values(10, readings((0, 0, 1.0), (1, 0, 1.0))), np.array([True, True]))
    harvest.numbers(0, rows_of_values(10, readings((1, 5, 1.0), (2, 0, 1.0))))
    (base,) = harvest.closed().numbers
    assert base.again is not None
    found = dict(zip(keys(base.rows), base.again.tolist(), strict=True))
    assert found == {(0, 0): True, (1, 0): False, (2, 0): False}

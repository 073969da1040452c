"""Columns of values by input."""

from __future__ import annotations

import math

import numpy as np

from edge_gateway.rules.columns.lateness import TimesRead
from edge_gateway.rules.columns.rows import InputValues, Rows, columns_of


def values(*entries: tuple[int, int, float]) -> InputValues:
    row, number, value = (list(column) for column in zip(*entries, strict=True))
    return InputValues(np.array(row), np.array(number), np.array(value, np.float64))


def rows(taken: InputValues, known: InputValues, count: int, inputs: int) -> Rows:
    x, place = columns_of(known, count, inputs)
    at, none = np.arange(1, count + 1), np.zeros(count, np.int64)
    stamps, late = TimesRead(at, none, none), taken.only(np.zeros(0, np.int64))
    return Rows(at, none, none, stamps, at, True, none, True, taken, late, x, place)


def test_inputs_without_a_value_share_a_column_of_none() -> None:
    x, place = columns_of(values((1, 2, 5.0)), 2, 4)
    assert place.tolist() == [0, 0, 1, 0]
    np.testing.assert_array_equal(x, [[math.nan] * 2, [math.nan, 5.0]])


def test_which_rows_have_a_value_of_any_input() -> None:
    given = values((0, 0, 1.0), (2, 1, 1.0))
    table = rows(given, given, 3, 3)
    assert table.has_any((0, 1), np.array([0, 1, 2])).tolist() == [True, False, True]
    assert table.has_any((2,), np.array([0, 2])).tolist() == [False, False]


def test_computed_values_are_added() -> None:
    given = values((0, 0, 1.0))
    table = rows(given, given, 2, 2)
    table.add(1, np.array([1]), np.array([7.0]))
    np.testing.assert_array_equal(table.column(1), [math.nan, 7.0])
    assert table.values.number.tolist() == [0, 1]


def test_computed_values_that_are_late_or_unknown_at_once_stand_in_no_column() -> None:
    given = values((0, 0, 1.0))
    table = rows(given, given, 3, 2)
    computed = values((0, 1, 7.0), (1, 1, 8.0), (2, 1, 9.0))
    table.add_some(computed, np.array([True, False, True]), np.array([False, False, True]))
    np.testing.assert_array_equal(table.column(1), [math.nan, math.nan, 9.0])
    np.testing.assert_array_equal(table.newest(1), [7.0, math.nan, 9.0])
    np.testing.assert_array_equal(table.taken(1), [7.0, 8.0, 9.0])
    assert table.late.value.tolist() == [8.0]


def test_the_newest_values_are_those_taken_even_if_unknown_at_once() -> None:
    taken = values((0, 0, 1.0), (1, 0, 2.0))
    table = rows(taken, taken.only(np.array([1])), 2, 1)
    np.testing.assert_array_equal(table.column(0), [math.nan, 2.0])
    np.testing.assert_array_equal(table.newest(0), [1.0, 2.0])
    assert table.at.tolist() == [1, 2]

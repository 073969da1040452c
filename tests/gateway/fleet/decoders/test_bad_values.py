"""Columns of bad values."""

import numpy as np

from edge_gateway.fleet.decoders.bad_values import BadReason, BadValues, joined, no_bad_values


def test_parts_are_joined_in_order_and_empty_ones_leave_no_trace() -> None:
    one = BadValues(np.array([1]), np.array([2]), np.array([3]))
    other = BadValues(np.array([4]), np.array([5]), np.array([6]))
    found = joined([no_bad_values(), one, other])
    assert [column.tolist() for column in found] == [[1, 4], [2, 5], [3, 6]]
    assert [len(column) for column in joined([no_bad_values()])] == [0, 0, 0]


def test_a_reason_is_named_as_the_status_names_it() -> None:
    assert BadReason.TOO_MANY_SERIES.text == "too_many_series"

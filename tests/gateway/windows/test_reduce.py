"""Reducing readings to rows: each window one row, whatever the order and the number of readings."""

import math
from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.records.sketch import Sketch
from edge_gateway.records.window_block import STATE_ROW, WINDOW_ROW, WindowBlock, keys
from edge_gateway.windows import reduce
from edge_gateway.windows.merge import sums
from edge_gateway.windows.reduce import Readings, rows_of_states, rows_of_values
from tests.gateway.windows.drawn import ALL_P95, EVERY, columns, doors, readings
from tests.gateway.windows.plain import DOOR, T0, Plain, Reading, plain_rows, plain_state_rows, plain_windows

NO_READINGS = columns([])


def plain_of(block: WindowBlock) -> dict[tuple[int, int], Plain]:
    totals = sums(block.rows, block.tails).tolist()
    return dict(zip(keys(block.rows), plain_rows(block.rows, totals), strict=True))


def temperatures(*values: float) -> Readings:
    return columns([Reading(0, T0 + at, 0, value) for at, value in enumerate(values)])


@settings(deadline=None)
@given(st.lists(readings, max_size=60))
def test_rows_are_what_plain_python_gives(held: list[Reading]) -> None:
    block = rows_of_values(EVERY, columns(held))
    expected = {(series, start): row for (_, series, start), row in plain_windows(held, [EVERY]).items()}
    assert plain_of(block) == expected
    assert np.isnan(block.rows["p95"]).all()
    assert keys(block.rows) == sorted(expected)


@settings(deadline=None)
@given(st.lists(readings, max_size=60), st.randoms(use_true_random=False))
def test_order_of_arrival_leaves_no_trace(held: list[Reading], random: Random) -> None:
    shuffled = list(held)
    random.shuffle(shuffled)
    one, other = (rows_of_values(EVERY, columns(some), ALL_P95) for some in (held, shuffled))
    assert one.rows.tobytes() == other.rows.tobytes()
    assert one.tails == other.tails


@settings(deadline=None)
@given(st.lists(doors, max_size=60))
def test_state_rows_are_what_plain_python_gives(held: list[Reading]) -> None:
    rows = rows_of_states(EVERY, columns(held)).rows
    expected = {(series, start): row for (_, series, start), row in plain_windows(held, [EVERY]).items()}
    assert dict(zip(keys(rows), plain_state_rows(rows), strict=True)) == expected
    assert keys(rows) == sorted(expected)


@settings(deadline=None)
@given(st.lists(readings, max_size=30), st.lists(doors, max_size=30), st.integers(1, 4))
def test_the_size_of_the_pieces_leaves_no_trace(
    held: list[Reading], texts: list[Reading], piece: int
) -> None:
    whole = rows_of_values(EVERY, columns(held), ALL_P95), rows_of_states(EVERY, columns(texts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reduce, "MOST_AT_ONCE", piece)
        pieces = rows_of_values(EVERY, columns(held), ALL_P95), rows_of_states(EVERY, columns(texts))
    assert [block.rows.tobytes() for block in pieces] == [block.rows.tobytes() for block in whole]
    assert pieces[0].tails == whole[0].tails


@pytest.mark.parametrize("count", [32_767, 32_768, 32_769, 140_000])
def test_a_window_of_any_number_of_readings_is_one_row(count: int) -> None:
    value = np.random.default_rng(count).normal(20, 5, count)
    column = np.full(count, 7)
    ts = T0 + np.arange(count) * EVERY // count
    doors = np.arange(count) // 1000 % 2
    block = rows_of_values(EVERY, Readings(column, ts, value, np.full(count, 900, np.uint16)), ALL_P95)
    assert keys(block.rows) == [(7, T0)]
    assert sums(block.rows).tolist() == [math.fsum(value.tolist())]
    assert block.rows["quality"].tolist() == [900 * count]
    assert block.tails[0].sketch == Sketch.of(value)
    states = rows_of_states(EVERY, Readings(column, ts, doors.astype(np.float64), np.zeros(count, np.uint16)))
    assert (states.rows["changes"] >= (count - 1) // 1000).all()
    assert len(states.rows) == 1


def test_the_largest_values_of_one_piece_do_not_overflow() -> None:
    largest = 2.0**31 - 2.0**-20
    block = rows_of_values(1 << 20, temperatures(*[largest] * 40_000))
    assert sums(block.rows, block.tails).tolist() == [math.fsum([largest] * 40_000)]


def test_no_readings_give_no_rows() -> None:
    for block, dtype in (
        (rows_of_values(EVERY, NO_READINGS, ALL_P95), WINDOW_ROW),
        (rows_of_states(EVERY, NO_READINGS), STATE_ROW),
    ):
        assert (len(block.rows), block.rows.dtype, block.tails) == (0, dtype, {})


@pytest.mark.parametrize("metric", [0, DOOR])
def test_a_reading_belongs_to_the_window_it_begins_and_not_to_the_one_it_ends(metric: int) -> None:
    held = columns([Reading(0, T0 + at, metric, 1.0) for at in (-1, 0, EVERY - 1, EVERY)])
    rows = (rows_of_states if metric == DOOR else rows_of_values)(EVERY, held).rows
    assert rows["start"].tolist() == [T0 - EVERY, T0, T0 + EVERY]
    assert rows["first_at"].tolist() == [T0 - 1, T0, T0 + EVERY]
    assert rows["last_at"].tolist() == [T0 - 1, T0 + EVERY - 1, T0 + EVERY]


def test_series_are_apart_though_one_ends_in_the_window_and_with_the_value_the_next_begins_with() -> None:
    held = columns([Reading(device, T0 + 5, metric, 4.0) for device in (0, 1) for metric in (0, DOOR)])
    texts = held.series % 3 == DOOR
    numbers = rows_of_values(EVERY, held.rows(~texts)).rows
    states = rows_of_states(EVERY, held.rows(texts)).rows
    assert (keys(numbers), numbers["count"].tolist()) == ([(0, T0), (3, T0)], [1, 1])
    assert (keys(states), states["changes"].tolist()) == ([(2, T0), (5, T0)], [0, 0])


def test_a_change_counts_within_a_window_and_not_from_one_window_or_series_to_the_next() -> None:
    sent: Sequence[tuple[int, int, float]] = [
        (0, 0, 0.0),
        (0, 1, 1.0),
        (0, 2, 1.0),
        (0, EVERY, 0.0),
        (1, 0, 2.0),
    ]
    rows = rows_of_states(
        EVERY, columns([Reading(device, T0 + at, DOOR, code) for device, at, code in sent])
    ).rows
    assert rows["changes"].tolist() == [1, 0, 0]


def test_a_sum_beyond_the_limbs_has_a_tail_at_its_own_window_and_no_p95() -> None:
    held = [Reading(0, T0, 0, 1.0), Reading(0, T0 + EVERY, 0, 1e300), Reading(0, T0 + EVERY + 1, 0, 1e300)]
    held += [Reading(1, T0, 0, -3e9)]
    block = rows_of_values(EVERY, columns(held))
    assert [keys(block.rows)[place] for place in block.tails] == [(0, T0 + EVERY), (3, T0)]
    assert all(tail.sketch is None for tail in block.tails.values())
    assert sums(block.rows, block.tails).tolist() == [1.0, 2e300, -3e9]
    assert np.isnan(block.rows["p95"]).all()


def test_what_cancels_beyond_the_limbs_leaves_no_tail() -> None:
    block = rows_of_values(EVERY, temperatures(1e300, 5.0, -1e300))
    assert block.tails == {}
    assert sums(block.rows).tolist() == [5.0]


def test_a_p95_is_given_to_the_series_that_ask_for_it_and_to_none_beyond_the_end() -> None:
    held = columns([Reading(0, T0 + at, metric, 1.0 + at) for metric in (0, 1) for at in range(20)])
    for wanted, found in (
        ([True, True], [19.0, 19.0]),
        ([True], [19.0, None]),
        ([False, True], [None, 19.0]),
        ([False, False], [None, None]),
        ([], [None, None]),
    ):
        block = rows_of_values(EVERY, held, np.array(wanted, np.bool_))
        assert [None if math.isnan(p95) else p95 for p95 in block.rows["p95"].tolist()] == found
        assert list(block.tails) == [series for series, p95 in enumerate(found) if p95]


def test_a_p95_is_never_outside_of_what_was_measured() -> None:
    """The middle of a sketch's bucket may be beyond the largest value in it."""
    for value in (1.0, 1.015, -1.0, -1.015):
        rows = rows_of_values(EVERY, temperatures(*[value] * 65), ALL_P95).rows
        assert rows["p95"].tolist() == [value]


def test_readings_are_columns_that_can_be_joined_ordered_and_chosen() -> None:
    one, other = (
        columns([Reading(1, 5, 0, 2.0, 10), Reading(0, 7, 0, 1.0, 20)]),
        columns([Reading(0, 7, 0, 0.5, 30)]),
    )
    ordered = Readings.joined([one, other]).ordered()
    assert len(ordered) == 3
    assert (ordered.series.tolist(), ordered.ts.tolist()) == ([0, 0, 3], [7, 7, 5])
    assert (ordered.value.tolist(), ordered.quality.tolist()) == ([0.5, 1.0, 2.0], [30, 20, 10])
    assert ordered.rows(slice(1, 2)).quality.tolist() == [20]
    assert ordered.rows(ordered.series == 3).value.tolist() == [2.0]

"""Reducing and merging: rows of parts merge into the rows of the whole, bit for bit."""

import math
from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.windows.merge import (
    merge_blocks,
    merge_rows,
    merge_state_rows,
    pack_rows,
    sums,
    united,
    unpack_row,
)
from edge_gateway.windows.reduce import Readings, rows_of_states, rows_of_values
from edge_gateway.windows.rows import Block, by_position, keys
from edge_gateway.windows.sketch import Sketch
from tests.gateway.windows.plain import (
    DOOR,
    T0,
    Plain,
    PlainState,
    Reading,
    plain_rows,
    plain_state_rows,
    plain_windows,
)

EVERY = 10_000
ALL_P95 = np.ones(12, np.bool_)
numbers = st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, 1e300, -1e300, 5e-324, 3e9]) | st.integers(-3, 3)
times = st.integers(0, 3 * EVERY - 1) | st.integers(0, 5)
readings = st.builds(
    lambda device, at, metric, value, quality: Reading(device, T0 + at, metric, float(value) + 0.0, quality),
    st.integers(0, 2),
    times,
    st.integers(0, 1),
    numbers,
    st.integers(0, 1000),
)


def columns(held: Sequence[Reading]) -> Readings:
    return Readings(
        np.array([reading.series for reading in held], np.int64),
        np.array([reading.ts for reading in held], np.int64),
        np.array([reading.value for reading in held], np.float64),
        np.array([reading.quality for reading in held], np.uint16),
    )


def plain_of(block: Block) -> dict[tuple[int, int], Plain]:
    totals = sums(block.rows, by_position(block)).tolist()
    return dict(zip(keys(block.rows), plain_rows(block.rows, totals), strict=True))


@settings(deadline=None)
@given(st.lists(readings, max_size=60))
def test_rows_are_what_plain_python_gives(held: list[Reading]) -> None:
    block = rows_of_values(EVERY, columns(held))
    expected = {(series, start): row for (_, series, start), row in plain_windows(held, [EVERY]).items()}
    assert plain_of(block) == expected
    assert np.isnan(block.rows["p95"]).all()


@settings(deadline=None)
@given(st.lists(readings, max_size=60), st.randoms(use_true_random=False))
def test_order_of_arrival_leaves_no_trace(held: list[Reading], random: Random) -> None:
    shuffled = list(held)
    random.shuffle(shuffled)
    one, other = (rows_of_values(EVERY, columns(some), ALL_P95) for some in (held, shuffled))
    assert one.rows.tobytes() == other.rows.tobytes()
    assert one.tails == other.tails


def merged_by_key(parts: Sequence[Block]) -> dict[tuple[int, int], bytes]:
    """Merge packed rows one by one, as a store does."""
    stored: dict[tuple[int, int], bytes] = {}
    for part in parts:
        for key, data in zip(keys(part.rows), pack_rows(part.rows, by_position(part)), strict=True):
            block = unpack_row(data)
            if key in stored:
                block = merge_blocks(unpack_row(stored[key]), block)
            (stored[key],) = pack_rows(block.rows, by_position(block))
    return stored


@settings(deadline=None)
@given(st.lists(st.lists(readings, max_size=40), max_size=4), st.randoms(use_true_random=False))
def test_rows_of_parts_merge_into_the_rows_of_all(parts: list[list[Reading]], random: Random) -> None:
    whole = rows_of_values(EVERY, columns([reading for part in parts for reading in part]), ALL_P95)
    blocks = [rows_of_values(EVERY, columns(part), ALL_P95) for part in parts]
    random.shuffle(blocks)
    expected = dict(zip(keys(whole.rows), pack_rows(whole.rows, by_position(whole)), strict=True))
    assert merged_by_key(blocks) == expected


def test_a_merge_without_tails_leaves_the_p95_out() -> None:
    held = [Reading(0, T0 + at, 0, float(at)) for at in range(4)]
    one, other = (rows_of_values(EVERY, columns(half), ALL_P95).rows for half in (held[:2], held[2:]))
    merged = merge_rows(one, other)
    assert np.isnan(merged["p95"]).all()
    assert merged["count"].tolist() == [4]


def test_a_p95_survives_only_where_both_sides_have_their_values() -> None:
    held = [Reading(0, T0 + at, 0, float(at)) for at in range(4)]
    one = rows_of_values(EVERY, columns(held[:2]), ALL_P95)
    other = rows_of_values(EVERY, columns(held[2:]))
    merged = merge_blocks(one, other)
    assert math.isnan(merged.rows["p95"][0])
    assert not merged.tails


def test_a_merged_row_keeps_the_series_of_the_first() -> None:
    one = rows_of_values(EVERY, columns([Reading(0, T0, 0, 1e300), Reading(0, T0, 0, 2.0)]))
    other = rows_of_values(EVERY, columns([Reading(1, T0 + 1, 0, -1e300)]))
    merged = merge_blocks(one, other)
    assert keys(merged.rows) == [(0, T0)]
    assert sums(merged.rows, by_position(merged)).tolist() == [2.0]


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
    assert block.tails[7, T0].sketch == Sketch.of(value)
    states = rows_of_states(EVERY, Readings(column, ts, doors.astype(np.float64), np.zeros(count, np.uint16)))
    assert (states.rows["changes"] >= (count - 1) // 1000).all()
    assert len(states.rows) == 1


doors = st.builds(
    lambda device, at, code: Reading(device, T0 + at, DOOR, float(code)),
    st.integers(0, 2),
    times,
    st.integers(0, 2),
)


@settings(deadline=None)
@given(st.lists(doors, max_size=60))
def test_state_rows_are_what_plain_python_gives(held: list[Reading]) -> None:
    rows = rows_of_states(EVERY, columns(held)).rows
    expected = {(series, start): row for (_, series, start), row in plain_windows(held, [EVERY]).items()}
    assert dict(zip(keys(rows), plain_state_rows(rows), strict=True)) == expected


@settings(deadline=None)
@given(st.lists(doors, min_size=2, max_size=30), st.integers(0, EVERY))
def test_states_of_parts_one_after_the_other_merge_exactly(held: list[Reading], cut: int) -> None:
    held = [reading._replace(device=0, ts=T0 + (reading.ts - T0) % EVERY) for reading in held]
    parts = [[r for r in held if r.ts < T0 + cut], [r for r in held if r.ts >= T0 + cut]]
    if not all(parts):
        return
    one, other = (rows_of_states(EVERY, columns(part)).rows for part in parts)
    whole = rows_of_states(EVERY, columns(held)).rows
    assert merge_state_rows(one, other).tobytes() == whole.tobytes()
    assert merge_state_rows(other, one).tobytes() == whole.tobytes()


def test_a_text_that_comes_late_into_a_window_changes_it_twice() -> None:
    whole_time_shut = rows_of_states(
        EVERY, columns([Reading(0, T0, 2, 0.0), Reading(0, T0 + 9, 2, 0.0)])
    ).rows
    open_between = rows_of_states(EVERY, columns([Reading(0, T0 + 5, 2, 1.0)])).rows
    for one, other in ((whole_time_shut, open_between), (open_between, whole_time_shut)):
        (row,) = plain_state_rows(merge_state_rows(one, other))
        assert row == PlainState(0, T0 + 9, 0, T0, 2)


@settings(deadline=None)
@given(st.lists(st.lists(readings, max_size=20), min_size=1, max_size=4))
def test_blocks_unite_into_one_row_a_window(parts: list[list[Reading]]) -> None:
    whole = rows_of_values(EVERY, columns([reading for part in parts for reading in part]), ALL_P95)
    united_rows = united([rows_of_values(EVERY, columns(part), ALL_P95) for part in parts], merge_blocks)
    order = np.lexsort((united_rows.rows["start"], united_rows.rows["series"]))
    assert united_rows.rows[order].tobytes() == whole.rows.tobytes()
    assert united_rows.tails == whole.tails

"""Merging: rows of parts merge into the rows of the whole, bit for bit, in any order and grouping."""

import math
from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.records.sketch import Sketch
from edge_gateway.records.tail import Tail
from edge_gateway.records.window_block import WINDOW_ROW, Rows, WindowBlock, keys
from edge_gateway.windows import merge
from edge_gateway.windows.merge import (
    merge_blocks,
    merge_state_blocks,
    merge_state_rows,
    p95_of,
    sums,
    united,
)
from edge_gateway.windows.reduce import rows_of_states, rows_of_values
from tests.gateway.windows.drawn import ALL_P95, EVERY, columns, doors, readings
from tests.gateway.windows.plain import DOOR, T0, PlainState, Reading, plain_state_rows


def merged_by_key(parts: Sequence[WindowBlock]) -> dict[tuple[int, int], bytes]:
    """Merge packed rows one by one, as a store does."""
    stored: dict[tuple[int, int], bytes] = {}
    for part in parts:
        for key, data in zip(keys(part.rows), part.packed(), strict=True):
            block = WindowBlock.unpacked([data], WINDOW_ROW)
            if key in stored:
                block = merge_blocks(WindowBlock.unpacked([stored[key]], WINDOW_ROW), block)
            (stored[key],) = block.packed()
    return stored


@settings(deadline=None)
@given(st.lists(st.lists(readings, max_size=40), max_size=4), st.randoms(use_true_random=False))
def test_rows_of_parts_merge_into_the_rows_of_all(parts: list[list[Reading]], random: Random) -> None:
    whole = rows_of_values(EVERY, columns([reading for part in parts for reading in part]), ALL_P95)
    blocks = [rows_of_values(EVERY, columns(part), ALL_P95) for part in parts]
    random.shuffle(blocks)
    expected = dict(zip(keys(whole.rows), whole.packed(), strict=True))
    assert merged_by_key(blocks) == expected


def row_of(*held: tuple[int, float], quality: int = 1000) -> Rows:
    """One WINDOW_ROW of readings (ms after T0, value)."""
    return rows_of_values(EVERY, columns([Reading(0, T0 + at, 0, value, quality) for at, value in held])).rows


def merged_rows(one: Rows, other: Rows) -> Rows:
    """The rows of two blocks without tails, merged."""
    return merge_blocks(WindowBlock(one), WindowBlock(other)).rows


def test_every_column_of_two_rows_merges() -> None:
    merged = merged_rows(row_of((2, 5.0), (4, 1.0)), row_of((3, 9.0), (5, 2.0), (1, 7.0), quality=500))[0]
    assert sums(np.array([merged], WINDOW_ROW)).tolist() == [24.0]
    assert {name: merged[name] for name in ("count", "quality", "min", "max")} == {
        "count": 5,
        "quality": 3_500,
        "min": 1.0,
        "max": 9.0,
    }
    assert [merged[name] for name in ("first", "first_at", "last", "last_at")] == [7.0, T0 + 1, 2.0, T0 + 5]
    assert math.isnan(merged["p95"])


def test_of_ends_at_the_same_time_the_least_value_is_first_and_the_greatest_last() -> None:
    low, high = row_of((3, 1.0)), row_of((3, 2.0))
    for one, other in ((low, high), (high, low)):
        merged = merged_rows(one, other)[0]
        assert (merged["first"], merged["last"]) == (1.0, 2.0)


def test_a_merge_leaves_its_arguments_alone() -> None:
    one, other = row_of((1, 1.0)), row_of((2, 2.0))
    before = one.tobytes(), other.tobytes()
    merged_rows(one, other)
    assert (one.tobytes(), other.tobytes()) == before


def test_a_merge_without_tails_leaves_the_p95_out() -> None:
    held = [Reading(0, T0 + at, 0, float(at)) for at in range(4)]
    one, other = (rows_of_values(EVERY, columns(half), ALL_P95).rows for half in (held[:2], held[2:]))
    merged = merged_rows(one, other)
    assert np.isnan(merged["p95"]).all()
    assert merged["count"].tolist() == [4]


def test_a_p95_survives_only_where_both_sides_have_their_values() -> None:
    held = [Reading(0, T0 + at, 0, float(at)) for at in range(4)]
    one = rows_of_values(EVERY, columns(held[:2]), ALL_P95)
    other = rows_of_values(EVERY, columns(held[2:]))
    for merged in (merge_blocks(one, other), merge_blocks(other, one)):
        assert math.isnan(merged.rows["p95"][0])
        assert not merged.tails


def test_a_merged_row_keeps_the_series_of_the_first() -> None:
    one = rows_of_values(EVERY, columns([Reading(0, T0, 0, 1e300), Reading(0, T0, 0, 2.0)]))
    other = rows_of_values(EVERY, columns([Reading(1, T0 + 1, 0, -1e300)]))
    merged = merge_blocks(one, other)
    assert keys(merged.rows) == [(0, T0)]
    assert sums(merged.rows, merged.tails).tolist() == [2.0]


def test_tails_merge_row_by_row_and_rows_without_one_stay_without() -> None:
    """The rows have a tail on neither side, on one, on the other, on both."""
    huge = 1e300
    one = rows_of_values(EVERY, columns([Reading(d, T0, 0, v) for d, v in enumerate((1.0, huge, 1.0, huge))]))
    other = rows_of_values(
        EVERY, columns([Reading(d, T0 + 1, 0, v) for d, v in enumerate((1.0, 1.0, huge, huge))])
    )
    merged = merge_blocks(one, other)
    assert list(merged.tails) == [1, 2, 3]
    assert sums(merged.rows, merged.tails).tolist() == [2.0, huge, huge, 2 * huge]


def test_what_two_sums_of_limbs_cannot_hold_together_goes_to_a_tail() -> None:
    held = rows_of_values(EVERY, columns([Reading(0, T0, 0, 2.0**31 - 1)] * 16_000))
    merged = merge_blocks(held, held)
    assert not held.tails
    assert list(merged.tails) == [0]
    assert sums(merged.rows, merged.tails).tolist() == [32_000 * (2.0**31 - 1)]


def test_a_p95_is_clamped_to_what_was_measured_and_needs_a_sketch() -> None:
    row = row_of((1, 2.0), (2, 4.0))[0]
    found = [p95_of(Tail(0, Sketch.of(np.array([value]))), row) for value in (1.0, 3.0, 5.0)]
    assert found == [2.0, 3.0, 4.0]
    assert math.isnan(p95_of(Tail(7), row))


Texts = list[tuple[int, int]]
"""(ms after T0, code)"""


def state_row_of(held: Texts) -> Rows:
    return rows_of_states(EVERY, columns([Reading(0, T0 + at, DOOR, code) for at, code in held])).rows


@pytest.mark.parametrize(
    ("one", "other", "changes"),
    [
        pytest.param([(0, 1), (2, 1)], [(5, 1)], 0, id="one after the other, the same text"),
        pytest.param([(0, 1), (2, 0)], [(5, 1), (6, 2)], 3, id="one after the other, another text"),
        pytest.param([(0, 1), (9, 1)], [(5, 1)], 0, id="within, the same text"),
        pytest.param([(0, 1), (9, 1)], [(5, 2)], 2, id="within, another text"),
        pytest.param([(0, 1), (9, 2)], [(5, 2)], 1, id="within, the text that the outer side ends with"),
        pytest.param([(0, 1), (9, 2)], [(5, 1), (6, 2)], 3, id="within, the two texts of the outer side"),
        pytest.param([(0, 1), (6, 2)], [(3, 2), (9, 2)], 1, id="overlapping, the same text where they meet"),
        pytest.param([(0, 1), (6, 2)], [(3, 1), (9, 2)], 3, id="overlapping, another text where they meet"),
        pytest.param([(0, 1)], [(0, 1), (5, 2)], 1, id="beginning alike"),
        pytest.param([(0, 1), (9, 2)], [(9, 2)], 1, id="ending alike"),
        pytest.param([(0, 1), (9, 2)], [(9, 3)], 2, id="ending at the same time, another text"),
        pytest.param([(0, 1)], [(0, 2)], 1, id="at the same time"),
        pytest.param([(0, 1)], [(0, 1)], 0, id="the same reading"),
    ],
)
def test_changes_of_merged_texts(one: Texts, other: Texts, changes: int) -> None:
    for two in ((one, other), (other, one)):
        (row,) = plain_state_rows(merge_state_rows(*map(state_row_of, two)))
        held = sorted([*one, *other])
        assert row == PlainState(held[-1][1], T0 + held[-1][0], held[0][1], T0 + held[0][0], changes)


@settings(deadline=None)
@given(st.lists(doors, min_size=2, max_size=30), st.integers(0, EVERY))
def test_states_of_parts_one_after_the_other_merge_exactly(held: list[Reading], cut: int) -> None:
    held = [reading._replace(device=0, ts=T0 + (reading.ts - T0) % EVERY) for reading in held]
    parts = [[r for r in held if r.ts < T0 + cut], [r for r in held if r.ts >= T0 + cut]]
    if not all(parts):
        return
    one, other = (rows_of_states(EVERY, columns(part)) for part in parts)
    whole = rows_of_states(EVERY, columns(held)).rows
    assert merge_state_blocks(one, other).rows.tobytes() == whole.tobytes()
    assert merge_state_blocks(other, one).rows.tobytes() == whole.tobytes()


@settings(deadline=None)
@given(st.lists(st.lists(readings, max_size=20), min_size=1, max_size=4))
def test_blocks_unite_into_one_row_a_window(parts: list[list[Reading]]) -> None:
    whole = rows_of_values(EVERY, columns([reading for part in parts for reading in part]), ALL_P95)
    united_rows = united([rows_of_values(EVERY, columns(part), ALL_P95) for part in parts], merge_blocks)
    order = np.lexsort((united_rows.rows["start"], united_rows.rows["series"]))
    assert united_rows.take(order).packed() == whole.packed()


def block_of(*held: tuple[int, int, float]) -> WindowBlock:
    """A block of readings (series, ms after T0, value) with the windows in this order."""
    series, at, value = zip(*held, strict=True)
    readings = columns([Reading(0, T0 + one, 0, number) for one, number in zip(at, value, strict=True)])
    readings.series[:] = series
    block = rows_of_values(EVERY, readings)
    order = [keys(block.rows).index((number, T0 + one - one % EVERY)) for number, one, _ in held]
    return block.take(np.array(order))


def test_a_block_alone_is_itself() -> None:
    block = block_of((1, 0, 1.0), (0, 0, 1.0))
    assert united([block], merge_blocks) is block


def test_blocks_without_a_window_in_common_are_put_one_behind_the_other() -> None:
    found = united([block_of((4, 0, 1e300), (2, 0, 1.0)), block_of((3, 0, -1e300))], merge_blocks)
    assert keys(found.rows) == [(4, T0), (2, T0), (3, T0)]
    assert sums(found.rows, found.tails).tolist() == [1e300, 1.0, -1e300]


def test_blocks_with_a_window_in_common_are_in_order_of_series_and_start() -> None:
    blocks = [
        block_of((4, EVERY, 2.0), (4, 0, 1e300), (2, 0, 1.0)),
        block_of((4, EVERY, 3.0), (3, 0, -1e300)),
        block_of((4, EVERY, 4.0)),
    ]
    found = united(blocks, merge_blocks)
    assert keys(found.rows) == [(2, T0), (3, T0), (4, T0), (4, T0 + EVERY)]
    assert found.rows["count"].tolist() == [1, 1, 1, 3]
    assert sums(found.rows, found.tails).tolist() == [1.0, -1e300, 1e300, 9.0]


def test_the_tails_of_a_window_in_several_blocks_become_one_or_none() -> None:
    blocks = [block_of((0, 0, 1e300), (1, 0, 1e300)), block_of((0, 1, -1e300), (1, 1, 1e300))]
    found = united(blocks, merge_blocks)
    assert list(found.tails) == [1]
    assert sums(found.rows, found.tails).tolist() == [0.0, 2e300]


def test_windows_that_are_taken_for_one_another_by_their_hash_stay_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(merge, "_SPREAD", 0)
    found = united([block_of((0, 0, 1.0), (1, 0, 1e300)), block_of((2, 0, 1.0))], merge_blocks)
    assert keys(found.rows) == [(0, T0), (1, T0), (2, T0)]
    assert sums(found.rows, found.tails).tolist() == [1.0, 1e300, 1.0]

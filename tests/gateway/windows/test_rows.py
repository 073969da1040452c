"""Rows of fixed width, and the tails of those that have one."""

import numpy as np
import pytest

from edge_gateway.records.codec import pack, unpack
from edge_gateway.windows.rows import NEVER, STATE_ROW, WINDOW_ROW, Block, by_position, empty_rows, keys
from edge_gateway.windows.tail import Tail


def block() -> Block:
    """Three windows; the first and the last have a tail."""
    rows = empty_rows(WINDOW_ROW, 3)
    rows["series"], rows["start"], rows["count"] = [4, 4, 7], [10, 20, 10], [1, 2, 3]
    return Block(rows, {(7, 10): Tail(70), (4, 10): Tail(-40)})


@pytest.mark.parametrize("dtype", [WINDOW_ROW, STATE_ROW])
def test_empty_rows_stand_for_no_window(dtype: "np.dtype[np.void]") -> None:
    rows = empty_rows(dtype, 2)
    assert rows.dtype == dtype
    assert keys(rows) == [(0, NEVER), (0, NEVER)]
    assert all(not rows[name].any() for name in dtype.names or () if name != "start")


def test_a_row_is_named_by_its_series_and_its_start() -> None:
    assert keys(block().rows) == [(4, 10), (4, 20), (7, 10)]


def test_tails_are_found_by_the_position_of_their_row() -> None:
    assert by_position(block()) == {0: Tail(-40), 2: Tail(70)}
    assert by_position(Block(block().rows)) == {}


def test_a_tail_without_its_row_has_no_position() -> None:
    assert by_position(Block(block().rows[1:2], block().tails)) == {}


def test_a_block_comes_back_from_a_checkpoint_and_shares_nothing_with_it() -> None:
    held = block()
    state = held.snapshot()
    held.rows["count"] = 0
    again = Block.restored(unpack(pack(state)))
    assert (again.rows["count"].tolist(), again.tails) == ([1, 2, 3], block().tails)
    assert [start for _, start, _ in state["tails"]] == [10, 10]
    assert [series for series, _, _ in state["tails"]] == [4, 7], "in one order whatever theirs was"
    restored = Block.restored(state)
    restored.rows["count"] = 9
    assert state["rows"]["count"].tolist() == [1, 2, 3]

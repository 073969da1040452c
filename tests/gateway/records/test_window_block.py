"""Rows of fixed width, and the tails of those that have one."""

import numpy as np
import pytest

from edge_gateway.records.codec import pack, unpack
from edge_gateway.records.tail import Tail
from edge_gateway.records.window_block import (
    NEVER,
    STATE_ROW,
    WINDOW_ROW,
    Chosen,
    WindowBlock,
    empty_rows,
    keys,
)


def block() -> WindowBlock:
    """Three windows; the first and the last have a tail."""
    rows = empty_rows(WINDOW_ROW, 3)
    rows["series"], rows["start"], rows["count"] = [4, 4, 7], [10, 20, 10], [1, 2, 3]
    return WindowBlock(rows, {2: Tail(70), 0: Tail(-40)})


@pytest.mark.parametrize("dtype", [WINDOW_ROW, STATE_ROW])
def test_empty_rows_stand_for_no_window(dtype: "np.dtype[np.void]") -> None:
    rows = empty_rows(dtype, 2)
    assert rows.dtype == dtype
    assert keys(rows) == [(0, NEVER), (0, NEVER)]
    assert all(not rows[name].any() for name in dtype.names or () if name != "start")


def test_a_row_is_named_by_its_series_and_its_start() -> None:
    assert keys(block().rows) == [(4, 10), (4, 20), (7, 10)]


@pytest.mark.parametrize("chosen", [slice(1, 3), np.array([False, True, True]), np.array([1, 2])])
def test_rows_are_taken_with_their_tails(chosen: Chosen) -> None:
    taken = block().take(chosen)
    assert (keys(taken.rows), taken.tails) == ([(4, 20), (7, 10)], {1: Tail(70)})
    assert WindowBlock(block().rows).take(chosen).tails == {}


def test_rows_are_taken_in_the_order_of_their_positions() -> None:
    taken = block().take(np.array([2, 0]))
    assert (keys(taken.rows), taken.tails) == ([(7, 10), (4, 10)], {0: Tail(70), 1: Tail(-40)})


def test_joined_blocks_stand_one_behind_the_other() -> None:
    both = WindowBlock.joined([block(), block().take(slice(1, 3))])
    assert len(both) == 5
    assert both.tails == {0: Tail(-40), 2: Tail(70), 4: Tail(70)}
    alone = block()
    assert WindowBlock.joined([alone]) is alone


def test_rows_are_put_in_the_place_of_others_with_their_tails() -> None:
    held = block()
    held.put(np.array([0, 2]), WindowBlock(block().rows[:2], {1: Tail(5)}))
    assert (keys(held.rows), held.tails) == ([(4, 10), (4, 20), (4, 20)], {2: Tail(5)})


def test_bytes_of_a_row_are_the_row_and_then_its_tail() -> None:
    held = block()
    first, plain, last = held.packed()
    assert plain == held.rows[1:2].tobytes()
    assert last == held.rows[2:].tobytes() + Tail(70).pack()
    again = WindowBlock.unpacked([first, plain, last], WINDOW_ROW)
    assert (again.rows.tobytes(), again.tails) == (held.rows.tobytes(), held.tails)
    assert held.take(slice(0)).packed() == []
    assert len(WindowBlock.unpacked([], WINDOW_ROW)) == 0
    with pytest.raises(ValueError, match="buffer size"):
        WindowBlock.unpacked([plain[:-1]], WINDOW_ROW)


def test_a_block_comes_back_from_a_checkpoint_and_shares_nothing_with_it() -> None:
    held = block()
    state = held.snapshot()
    held.rows["count"] = 0
    again = WindowBlock.restored(unpack(pack(state)))
    assert (again.rows["count"].tolist(), again.tails) == ([1, 2, 3], block().tails)
    assert [tuple(named[:2]) for named in state["tails"]] == [(4, 10), (7, 10)]
    restored = WindowBlock.restored(state)
    restored.rows["count"] = 9
    assert state["rows"]["count"].tolist() == [1, 2, 3]

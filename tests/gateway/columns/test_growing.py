"""Columns that grow hold what they held, bit for bit, and the fill behind it; resting ones take no memory."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_gateway.columns.growing import grow_columns, with_room

PAGE = os.sysconf("SC_PAGE_SIZE")
DTYPES = (np.bool_, np.int8, np.uint16, np.int64, np.float64)


@given(st.sampled_from(DTYPES), st.integers(0, 300), st.data(), st.integers(0, 900), st.sampled_from([0, 1]))
def test_what_a_column_held_stays(
    dtype: type[np.generic], length: int, data: st.DataObject, size: int, fill: int
) -> None:
    column = np.zeros(length, dtype)
    for place in data.draw(
        st.sets(st.integers(0, length - 1), max_size=length) if length else st.just(set())
    ):
        column[place] = -0.0 if dtype is np.float64 and place % 3 == 0 else dtype(place % 120 + 1)
    longer = with_room(column, size, fill)
    assert longer.dtype == column.dtype
    assert len(longer) >= size
    assert longer[:length].tobytes() == column.tobytes()
    assert (longer[length:] == fill).all()


def test_a_column_with_room_is_not_copied() -> None:
    column: NDArray[np.int64] = np.arange(5)
    assert with_room(column, 5, 0) is column


@pytest.mark.parametrize(
    ("have", "size", "room"),
    [(0, 1, 64), (51, 52, 64), (52, 53, 65), (100, 101, 125), (100, 125, 125), (100, 126, 126)],
)
@pytest.mark.parametrize("fill", [0, 7])
def test_a_column_grows_by_a_quarter_unless_more_is_asked_for(
    have: int, size: int, room: int, fill: int
) -> None:
    longer = with_room(np.ones(have, np.int64), size, fill)
    assert longer.tolist() == [1] * have + [fill] * (room - have)


def test_columns_of_one_owner_grow_each_with_its_fill() -> None:
    class Owner:
        seen = np.array([True])
        newest = np.array([5])

    owner = Owner()
    grow_columns(owner, 2, {"seen": False, "newest": -1})
    assert (owner.seen[:3].tolist(), owner.newest[:3].tolist()) == ([True, False, False], [5, -1, -1])


@pytest.mark.parametrize("written", [0, 3])
def test_zeros_take_no_memory(written: int) -> None:
    column = np.zeros(4_000_000)
    column[:written] = 1.0
    before = _resident()
    longer = with_room(column, len(column) + 1, 0)
    assert _resident() - before < 4_000_000  # of 64 MB
    assert longer[:5].tolist() == [1.0] * written + [0.0] * (5 - written)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE

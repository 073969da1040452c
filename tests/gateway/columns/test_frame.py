"""A part of a frame is its rows with all that points at them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.columns.frame import PERFECT, Frame, part

Row = dict[str, Any]
numbers = st.lists(st.tuples(st.integers(0, 9), st.floats(allow_nan=False)), max_size=3)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "device": st.integers(0, 5),
            "boot": st.integers(0, 9),
            "seq": st.integers(0, 99),
            "ts": st.integers(0, 2**41),
            "at": st.integers(0, 2**41),
            "backlog": st.booleans(),
            "numbers": numbers,
            "states": st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=2),
        }
    ),
    max_size=8,
)


def frame(told: list[Row]) -> Frame:
    """The frame of rows, each with its (series, value) pairs and its (series, code) pairs."""
    values = [(at, *pair) for at, row in enumerate(told) for pair in row["numbers"]]
    states = [(at, *pair) for at, row in enumerate(told) for pair in row["states"]]
    return Frame(
        arrival=7,
        **{
            name: np.array([row[name] for row in told], np.int64)
            for name in ("device", "boot", "seq", "ts", "at")
        },
        backlog=np.array([row["backlog"] for row in told], np.bool_),
        row=np.array([at for at, _, _ in values], np.int64),
        series=np.array([series for _, series, _ in values], np.int64),
        value=np.array([value for _, _, value in values], np.float64),
        quality=np.full(len(values), PERFECT, np.uint16),
        state_row=np.array([at for at, _, _ in states], np.int64),
        state_series=np.array([series for _, series, _ in states], np.int64),
        state_code=np.array([code for _, _, code in states], np.int64),
    )


def columns(of: Frame) -> dict[str, Any]:
    return {
        name: value.tolist() if isinstance(value := getattr(of, name), np.ndarray) else value
        for name in of.__slots__
    }


@given(rows, st.data())
def test_a_part_is_the_frame_of_its_rows_alone(told: list[Row], data: st.DataObject) -> None:
    kept = data.draw(st.lists(st.booleans(), min_size=len(told), max_size=len(told)))
    whole = frame(told)
    assert whole.rows == len(told)
    expected = frame([row for row, keep in zip(told, kept, strict=True) if keep])
    assert columns(part(whole, np.array(kept, np.bool_))) == columns(expected)

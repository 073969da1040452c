"""The variable part of a row."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.records.sketch import Sketch
from edge_gateway.records.tail import NO_TAIL, Tail

SKETCH = Sketch.of(np.array([1.0, 2.0]))


@given(st.integers(-(2**2200), 2**2200) | st.integers(-300, 300), st.booleans())
def test_a_tail_comes_back_from_its_bytes(huge: int, with_sketch: bool) -> None:
    tail = Tail(huge, SKETCH if with_sketch else None)
    assert Tail.unpack(tail.pack()) == tail


def test_sums_add_up_and_a_sketch_needs_both_sides() -> None:
    both = Tail(5, SKETCH).merged(Tail(7, SKETCH), spilled=30)
    assert (both.huge, both.sketch) == (42, Sketch.of(np.array([1.0, 2.0, 1.0, 2.0])))
    assert Tail(5, SKETCH).merged(Tail(7)) == Tail(7).merged(Tail(5, SKETCH)) == Tail(12)


def test_a_tail_without_content_is_none() -> None:
    assert [bool(tail) for tail in (NO_TAIL, Tail(1), Tail(0, SKETCH))] == [False, True, True]


def test_other_bytes_are_refused() -> None:
    with pytest.raises(msgspec.MsgspecError):
        Tail.unpack(b"\xc1")

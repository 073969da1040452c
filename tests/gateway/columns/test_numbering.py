"""Numbers by key: as a dict would have them, whatever was put, put again and removed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.columns import numbering
from edge_gateway.columns.numbering import NONE, Numbering

FIRST = 1 << 62
"""Keys this large and next to each other are the same as floats."""
keys = st.integers(FIRST, FIRST + 40)
steps = st.lists(
    st.tuples(st.sampled_from(["put", "remove", "numbers"]), keys, st.integers(0, 9)), max_size=60
)


@pytest.fixture(autouse=True)
def _sorted_in_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbering, "_LEAST_FRESH", 3)


@given(st.dictionaries(keys, st.integers(0, 9)), steps)
def test_it_is_a_dict(begun: dict[int, int], taken: list[tuple[str, int, int]]) -> None:
    held = dict(begun)
    made = Numbering.of(np.array(list(held), np.int64), np.array(list(held.values()), np.int64))
    for what, key, number in taken:
        if what == "put":
            made.put(key, number)
            held[key] = number
        elif what == "remove":
            assert made.remove(key) == held.pop(key, NONE)
        else:
            assert made.numbers().tolist() == [held[one] for one in sorted(held)]
        assert len(made) == len(held)
    every = [FIRST + key for key in range(41)]
    assert [made.get(key) for key in every] == [held.get(key, NONE) for key in every]
    assert made.many(np.array(every, np.int64)).tolist() == [held.get(key, NONE) for key in every]


@pytest.mark.parametrize(("sorted_in", "waiting"), [(0, 3), (31, 3), (32, 4), (80, 10), (87, 10), (88, 11)])
def test_new_keys_wait_until_they_are_three_and_an_eighth_of_all(sorted_in: int, waiting: int) -> None:
    held = np.arange(sorted_in, dtype=np.int64)
    made, most = Numbering.of(held, held), 0
    for key in range(1_000, 1_000 + waiting + 1):
        most = max(most, len(made._fresh))
        made.put(key, 1)
    assert (most, len(made._fresh)) == (waiting, 0)
    assert len(made) == sorted_in + waiting + 1


def test_a_number_that_is_put_again_replaces_the_one_before() -> None:
    made = Numbering()
    for number in (1, 2):
        made.put(FIRST, number)
        assert (made.get(FIRST), len(made)) == (number, 1)
    made.numbers()
    made.put(FIRST, 3)
    assert (made.get(FIRST), len(made), made.numbers().tolist()) == (3, 1, [3])


def test_a_new_one_is_empty() -> None:
    assert (len(Numbering()), Numbering().get(0), Numbering().numbers().tolist()) == (0, NONE, [])
    assert Numbering().many(np.array([7, 8])).tolist() == [NONE, NONE]

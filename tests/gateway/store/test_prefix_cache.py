"""The cached prefixes are those that were put, whatever the numbers of their series, and take little memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.store.prefix_cache import PrefixCache

SERIES = st.integers(0, 300)
TEXTS = st.binary(min_size=1, max_size=80)


@given(st.lists(st.dictionaries(SERIES, TEXTS, max_size=20), max_size=5), st.lists(SERIES, max_size=40))
def test_what_was_put_is_returned_and_the_rest_is_missing(
    parts: list[dict[int, bytes]], asked: list[int]
) -> None:
    cache, held = PrefixCache(), dict[int, bytes]()
    for part in parts:
        for series in cache.missing(np.array(list(part), np.int64)):
            assert series not in held
            cache.put(series, part[series])
            held[series] = part[series]
    numbers = np.array(asked, np.int64)
    assert len(cache) == len(held)
    assert cache.missing(numbers) == sorted(set(asked) - held.keys())
    known = [one for one in asked if one in held]
    texts = [held[one] for one in known]
    assert cache.texts(np.array(known, np.int64)) == texts
    assert cache.total_bytes(np.array(known, np.int64)) == len(b"".join(texts))


@pytest.mark.parametrize("series", [1, 1_000, -1])
def test_a_series_without_a_text_is_an_error(series: int) -> None:
    cache = PrefixCache()
    cache.put(2, b"sensor,device=a")
    for read in (cache.texts, cache.total_bytes):
        with pytest.raises(KeyError, match=str(series)):
            read(np.array([2, series]))


def test_cleared_it_holds_nothing() -> None:
    cache = PrefixCache()
    cache.put(2, b"sensor,device=a")
    cache.clear()
    assert len(cache) == 0
    assert cache.missing(np.array([2])) == [2]


def test_a_text_takes_little_more_than_its_bytes() -> None:
    tracemalloc.start()
    cache, text = PrefixCache(), b"sensor,device=frz-00000,metric=temperature,site=berlin,type=unknown"
    for series in range(50_000):
        cache.put(series, text)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken / 50_000 < 1.5 * len(text)

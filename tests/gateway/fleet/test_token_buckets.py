from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.fleet.token_buckets import TokenBuckets

T = 1_760_000_000_000


def take(
    buckets: TokenBuckets, *times: int, rate: tuple[float, int] = (1.0, 1_000), series: int = 0
) -> list[bool]:
    granted = buckets.take(np.full(len(times), series), np.array(times, np.int64), [rate] * len(times))
    return [bool(one) for one in granted]


def test_one_a_second_by_device_time() -> None:
    assert take(TokenBuckets(), T, T + 500, T + 1_000, T + 1_999, T + 2_000) == [
        True,
        False,
        True,
        False,
        True,
    ]


def test_a_rate_of_many_allows_a_burst() -> None:
    assert take(TokenBuckets(), *([T] * 4), T + 500, rate=(3.0, 1_500)) == [True, True, True, False, True]


def test_no_reading_takes_no_token() -> None:
    none = np.empty(0, np.int64)
    granted = TokenBuckets().take(none, none, [])
    assert (len(granted), granted.dtype) == (0, np.dtype(np.bool_))


def test_series_do_not_share_a_bucket() -> None:
    buckets = TokenBuckets()
    assert take(buckets, T) == take(buckets, T, series=1) == [True]


def test_a_buffer_sent_late_is_not_punished() -> None:
    buckets = TokenBuckets()
    assert take(buckets, T + 100_000) == [True]
    assert take(buckets, *range(T, T + 50_000, 1_000)) == [True] * 50
    assert take(buckets, T + 101_000) == [True]


def test_a_buffer_among_live_readings_is_limited_as_they_are() -> None:
    buckets = TokenBuckets()
    take(buckets, T + 100_000)
    mixed = [time for turn in range(20) for time in (T + turn * 500, T + 100_000 + turn * 500)]
    granted = take(buckets, *mixed)
    assert sum(granted[::2]) == 10
    assert sum(granted[1::2]) == 9


def test_going_back_and_forth_earns_nothing() -> None:
    granted = take(TokenBuckets(), T, *([T - 1, T] * 500))
    assert sum(granted) == 1


@given(st.lists(st.integers(0, 20_000), min_size=1, max_size=60))
def test_readings_in_order_never_exceed_the_rate(offsets: list[int]) -> None:
    times = sorted(T + offset for offset in offsets)
    kept = [time for time, granted in zip(times, take(TokenBuckets(), *times), strict=True) if granted]
    assert all(later - earlier >= 1_000 for earlier, later in pairwise(kept))


@pytest.mark.parametrize("cut", range(6))
def test_a_snapshot_continues(cut: int) -> None:
    times = [T, T + 400, T + 1_000, T + 200, T + 1_200, T + 2_000]
    whole, first, second = TokenBuckets(), TokenBuckets(), TokenBuckets()
    head = take(first, *times[:cut]) if cut else []
    second.restore(first.snapshot())
    assert head + take(second, *times[cut:]) == take(whole, *times)

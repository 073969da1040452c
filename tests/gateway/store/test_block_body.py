"""A block comes back bit for bit, or it is damaged."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.records.window_block import STATE_ROW, WINDOW_ROW, WindowBlock
from edge_gateway.store.block_body import (
    NONE_CORRECTED,
    Keys,
    Revised,
    decoded,
    decoded_keys,
    decoded_marks,
    encoded,
    encoded_marks,
)
from edge_gateway.store.schema import StoreDamaged
from edge_gateway.windows.reduce import rows_of_states, rows_of_values
from tests.gateway.store.fleet import MINUTE, T0, columns

values = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0),
    st.sampled_from([0.0, 1.5, -(2.0**31), 1e300, 5e-324]),
)
readings = st.lists(
    st.tuples(st.integers(0, 5), st.integers(T0 - MINUTE, T0 + 3 * MINUTE), values), min_size=1, max_size=40
)


def by_start(windows: WindowBlock) -> WindowBlock:
    return windows.take(np.lexsort((windows.rows["series"], windows.rows["start"])))


def some(*given_: tuple[int, int, float]) -> Revised:
    windows = by_start(rows_of_values(MINUTE, columns(given_)))
    return Revised(windows, np.zeros(len(windows), np.int64))


@settings(deadline=None)
@given(readings, st.booleans())
def test_windows_of_numbers_come_back_bit_for_bit(held: list[tuple[int, int, float]], p95: bool) -> None:
    windows = by_start(rows_of_values(MINUTE, columns(held), np.full(6 if p95 else 0, fill_value=True)))
    revisions = np.arange(len(windows)) % 3
    again = decoded(*encoded(Revised(windows, revisions)), WINDOW_ROW)
    assert again.windows.packed() == windows.packed()
    assert again.revisions.tolist() == revisions.tolist()


@given(readings)
def test_windows_of_texts_come_back_bit_for_bit(held: list[tuple[int, int, float]]) -> None:
    coded = [(series, ts, float(abs(hash(value)) % 9)) for series, ts, value in held]
    windows = by_start(rows_of_states(MINUTE, columns(coded)))
    again = decoded(*encoded(Revised(windows, np.zeros(len(windows), np.int64))), STATE_ROW)
    assert again.windows.packed() == windows.packed()


@settings(deadline=None)
@given(st.integers(0, 1 << 20), st.integers(1, 255), st.booleans())
def test_no_changed_byte_goes_unseen(place: int, change: int, in_keys: bool) -> None:
    parts = [bytearray(part) for part in encoded(some(*((s, T0, s / 7) for s in range(90))))]
    part = parts[0 if in_keys else 1]
    part[place % len(part)] ^= change
    with pytest.raises(StoreDamaged):
        decoded(bytes(parts[0]), bytes(parts[1]), WINDOW_ROW)


def test_what_is_no_block_is_damaged() -> None:
    one, other = encoded(some((1, T0, 1.0))), encoded(some((2, T0, 1.0)))
    for keys, body in ((one[0], other[1]), (one[1], one[0]), (None, one[1]), (one[0], 7), (b"", b"")):
        with pytest.raises(StoreDamaged):
            decoded(keys, body, WINDOW_ROW)
    with pytest.raises(StoreDamaged):
        decoded(*one, STATE_ROW)
    with pytest.raises(StoreDamaged, match="the keys of a block"):
        decoded_keys(one[1])


def test_a_window_of_one_reading_takes_little() -> None:
    chance = np.random.default_rng(1)
    held = some(*((s, T0 + s, round(float(chance.normal(20, 5)), 2)) for s in range(1_000)))
    assert sum(map(len, encoded(held))) < 12 * 1_000


def test_places_are_found_by_start_and_series() -> None:
    keys = Keys(np.array([5, 5, 5, 9, 9]), np.array([1, 4, 7, 4, 8]))
    asked = {(5, 1): 0, (5, 7): 2, (9, 4): 3, (9, 8): 4, (5, 8): -1, (9, 1): -1, (7, 4): -1, (1, 1): -1}
    start, series = np.array(list(asked)).T
    assert keys.places(start, series).tolist() == list(asked.values())


@pytest.mark.parametrize("count", [1, 8, 9, 1_000])
def test_marks_come_back_or_are_damaged(count: int) -> None:
    marks = np.arange(count) % 3 == 0
    packed = encoded_marks(marks)
    assert decoded_marks(packed, count).tolist() == marks.tolist()
    assert not decoded_marks(NONE_CORRECTED, count).any()
    for broken in (packed[:-1], b"\x00" + packed, packed[:-1] + bytes([packed[-1] ^ 1]), None, b"", 5):
        with pytest.raises(StoreDamaged):
            decoded_marks(broken, count)
    with pytest.raises(StoreDamaged):
        decoded_marks(packed, count + 8)

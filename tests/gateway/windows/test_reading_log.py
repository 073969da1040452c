"""Logs give every reading back once, by series, whatever the runs, the pieces and the width of keys."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.records.codec import pack, unpack
from edge_gateway.windows import reading_log as module
from edge_gateway.windows.reading_log import Keyed, ReadingLog, Walk, sorting

BITS = 10
DEVICES = np.array([1, 3])
readings = st.tuples(
    st.integers(0, 30), st.integers(0, 1023), st.integers(-2, 2).map(float), st.integers(0, 9)
)


def keyed(held: list[tuple[int, int, float, int]]) -> Keyed:
    key = np.array([series << BITS | at for series, at, _, _ in held], np.int64)
    value = np.array([value for _, _, value, _ in held], np.float64)
    return Keyed(key, value, np.array([quality for *_, quality in held], np.uint16))


def tuples(part: Keyed) -> list[tuple[int, float, int]]:
    return list(zip(part.key.tolist(), part.value.tolist(), part.quality.tolist(), strict=True))


@settings(deadline=None)
@given(st.lists(st.lists(readings, max_size=30), max_size=6), st.integers(1, 20), st.booleans())
def test_a_walk_takes_every_reading_once_in_order(
    batches: list[list[tuple[int, int, float, int]]], about: int, restart: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "RUN", 16)
        log = ReadingLog()
        for batch in batches:
            log.append(keyed(batch), DEVICES, 5)
        if restart:
            log = ReadingLog.restored(unpack(pack(log.snapshot())))
        log.seal()
    walk = Walk(log.runs, BITS)
    pieces = []
    while walk.left:
        pieces.append(walk.take(walk.cut(about)))
    taken = [row for piece in pieces for row in tuples(piece)]
    given_in = [row for batch in batches for row in tuples(keyed(batch))]
    assert sorted(taken) == sorted(given_in)
    assert [row[:2] for row in taken] == sorted(row[:2] for row in given_in)
    series = [set((piece.key >> BITS).tolist()) for piece in pieces]
    assert sum(map(len, series)) == len(set().union(*series))


def test_a_log_knows_its_devices_and_its_length() -> None:
    log = ReadingLog()
    log.append(keyed([(1, 5, 1.0, 1)] * 300), DEVICES, 5)
    assert len(log) == 300
    assert np.flatnonzero(log.present).tolist() == [1, 3]
    log.add_run(keyed([(0, 1, 0.0, 0)]), np.array([True] * 7))
    assert len(log) == 301
    assert log.present.tolist() == [True] * 7


@pytest.mark.parametrize("large", [1 << 20, 1 << 61])
def test_keys_too_wide_to_pack_are_sorted_all_the_same(large: int) -> None:
    key = np.array([large, 3, large, 0])
    ordered, order = sorting(key)
    assert ordered.tolist() == [0, 3, large, large]
    assert order.tolist() == [3, 1, 0, 2]

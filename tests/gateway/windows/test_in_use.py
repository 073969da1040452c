"""Series and texts that open windows refer to."""

import numpy as np

from edge_gateway.windows.base_tier import BaseTier
from edge_gateway.windows.in_use import InUse, in_use
from edge_gateway.windows.reading_log import Keyed
from edge_gateway.windows.reduce import Readings, rows_of_states, rows_of_values
from edge_gateway.windows.watermarks import Watermarks
from tests.gateway.windows.plain import plain_coarse_tiers

IS_STATE = np.array([False, True, False, True, True, True])


class Open:
    def __init__(self) -> None:
        marks = Watermarks(16, (), 0, 100)
        marks.grow(1)
        self.base = BaseTier(16, marks)
        self.coarser = plain_coarse_tiers(64)
        [self.numbers], [self.states] = self.coarser.numbers, self.coarser.states

    def held(self) -> tuple[list[int], set[int]]:
        found: InUse = in_use(self.base, self.coarser, IS_STATE)
        return np.flatnonzero(found.series).tolist(), found.texts


def readings(*held: tuple[int, int, float]) -> Readings:
    series, ts, value = (np.array(column) for column in zip(*held, strict=True))
    return Readings(series, ts, value.astype(np.float64), np.full(len(held), 1000, np.uint16))


def test_nothing_is_in_use_before_the_first_reading() -> None:
    assert Open().held() == ([], set())


def test_open_readings_use_their_series_and_texts_their_codes() -> None:
    open_ = Open()
    key = np.array([0 << 4, 1 << 4])
    open_.base.append(0, Keyed(key, np.array([7.0, 9.0]), np.full(2, 1000, np.uint16)), np.array([0]))
    assert open_.held() == ([0, 1], {9}), "a number is no code"


def test_accumulators_use_their_series_and_the_first_and_last_text() -> None:
    open_ = Open()
    open_.numbers.add(rows_of_values(16, readings((2, 0, 5.0))))
    open_.states.add(rows_of_states(16, readings((3, 0, 7.0), (3, 1, 8.0), (3, 2, 9.0))))
    assert open_.held() == ([2, 3], {7, 9})


def test_what_is_emitted_and_not_yet_taken_is_still_in_use() -> None:
    open_ = Open()
    open_.states.add(rows_of_states(16, readings((4, 0, 7.0))))
    open_.states.add(rows_of_states(16, readings((4, 64, 8.0))))
    assert open_.held() == ([4], {7, 8})
    open_.states.take(*open_.states.over(0))
    assert open_.held() == ([4], {8})
    open_.states.queue_due(np.full(6, 128), np.full(6, 128))
    open_.states.take(*open_.states.over(10))
    assert open_.held() == ([], set())

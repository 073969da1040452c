"""The open base windows: what is worth a walk, what is put back, and what is taken out. A window is 16 ms."""

import numpy as np
import pytest

from edge_gateway.records.codec import pack, unpack
from edge_gateway.windows import base_tier
from edge_gateway.windows.base_tier import BaseTier
from edge_gateway.windows.reading_log import Keyed
from edge_gateway.windows.recorded import ClosedRanges
from edge_gateway.windows.watermarks import Watermarks

BASE = 16
SERIES_DEVICE = np.arange(100)
"""Each device has one series, with its own number."""


def ints(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


class Open:
    """A base tier of four devices without lateness."""

    def __init__(self) -> None:
        self.marks = Watermarks(BASE, (), 0, 100)
        self.marks.grow(4)
        self.tier = BaseTier(BASE, self.marks)

    def add(self, start: int, *devices: int, at: int = 0) -> None:
        readings = Keyed(
            ints(*((device << self.tier.bits) | at for device in devices)),
            np.ones(len(devices)),
            np.full(len(devices), 1000, np.uint16),
        )
        self.tier.append(start, readings, ints(*devices))

    def advance(self, to: int, *devices: int) -> None:
        self.marks.observe(ints(*devices), np.full(len(devices), to), None, 0)
        self.tier.wake()

    def close(self) -> list[tuple[int, list[int]]]:
        """Close all that is due; return the start and the devices of each piece."""
        found = []
        while self.tier.closing or self.tier.begin():
            piece = self.tier.take(1_000, SERIES_DEVICE)
            found.append((piece.start, (piece.readings.key >> self.tier.bits).tolist()))
        return found


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Open:
    """With no window too small to be worth waiting for."""
    monkeypatch.setattr(base_tier, "SMALL", 0)
    return Open()


def test_the_oldest_due_window_closes_first_and_one_at_a_time() -> None:
    held = Open()
    held.add(BASE, 0)
    held.add(0, 0)
    held.advance(2 * BASE - 1, 0)
    assert held.tier.begin()
    assert held.tier.closing
    assert held.close() == [(0, [0])]
    assert held.tier.readings == 1
    assert held.marks.closed_to[0] == BASE
    held.advance(2 * BASE, 0)
    assert held.close() == [(BASE, [0])]


def test_nothing_is_searched_before_there_is_news() -> None:
    held = Open()
    held.add(0, 0)
    assert not held.tier.begin()
    held.advance(BASE - 1, 0)
    assert held.tier.waiting
    assert not held.tier.begin()
    assert not held.tier.news


def test_readings_of_devices_that_are_not_due_are_put_back() -> None:
    held = Open()
    held.add(0, 0, 1, 2)
    held.advance(BASE, 0, 2)
    assert held.close() == [(0, [0, 2])]
    assert held.tier.holds(ints(0, 1, 2, 3, 4, 9)).tolist() == [False, True, False, False, False, False]
    held.advance(BASE, 1)
    assert held.close() == [(0, [1])]
    assert held.tier.readings == 0


@pytest.mark.parametrize(("due", "worth"), [(2, False), (3, True)])
def test_a_walk_is_worth_it_when_three_of_four_devices_are_due(held: Open, due: int, worth: bool) -> None:
    held.add(0, 0, 1, 2, 3)
    held.advance(BASE, *range(due))
    assert held.tier.begin() == worth
    assert held.tier.waiting == worth


def test_a_walk_is_worth_it_once_an_eighth_as_many_readings_came(held: Open) -> None:
    for at in range(4):
        held.add(0, 0, 1, 2, 3, at=at)
    held.advance(BASE, 0)
    assert not held.tier.begin()
    held.tier.credit += 1
    assert not held.tier.begin()
    held.tier.credit += 1
    assert held.tier.waiting
    assert held.tier.begin()


def test_a_small_window_is_always_worth_a_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_tier, "SMALL", 4)
    held = Open()
    held.add(0, 0, 1, 2, 3)
    held.add(BASE, 0, 1, 2, 3, 3)
    held.advance(2 * BASE, 0)
    assert held.tier.begin()
    assert held.tier.take(10, SERIES_DEVICE).cost == 4
    assert not held.tier.begin()


def test_a_piece_is_bounded_and_counts_what_is_put_back_as_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_tier, "PIECE", 2)
    held = Open()
    held.add(0, 0, 1, 2, 3)
    held.advance(BASE, 0, 2, 3)
    assert held.tier.begin()
    pieces = [held.tier.take(1_000, SERIES_DEVICE) for _ in range(2)]
    assert [(len(piece.readings.key), piece.cost) for piece in pieces] == [(1, 2), (2, 2)]
    assert not held.tier.closing


def test_forced_devices_close_whatever_their_watermark_says_once() -> None:
    held = Open()
    held.add(0, 0, 1)
    held.tier.force(ints(0, 3, 4, 50))
    assert held.close() == [(0, [0])]
    held.add(0, 0)
    held.tier.wake()
    assert held.close() == []


def test_devices_forced_during_a_walk_close_with_what_is_put_back() -> None:
    held = Open()
    held.add(0, 0, 1, 2)
    held.advance(BASE, 0)
    assert held.tier.begin()
    held.tier.force(ints(1, 4, 50))
    assert held.close() == [(0, [0]), (0, [1])]
    assert held.tier.readings == 1


def test_an_interrupted_window_is_open_again_and_its_due_devices_stay_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(base_tier, "PIECE", 1)
    held = Open()
    held.add(0, 0, 1, 2, 3)
    held.advance(BASE, 1, 2)
    assert held.tier.begin()
    held.tier.take(1, SERIES_DEVICE)
    held.tier.force(ints(3, 4))
    held.marks.rewind(ints(2))
    held.tier.interrupt()
    assert not held.tier.closing
    assert held.tier.readings == 4
    closed = [device for _, devices in held.close() for device in devices]
    assert closed == [1, 2, 3]
    held.tier.interrupt()
    assert held.tier.readings == 1


def test_readings_closed_by_a_recorded_run_are_removed() -> None:
    held = Open()
    held.add(0, 0, 1)
    held.tier.remove(0, ClosedRanges(ints(1), ints(0), ints(15)))
    assert held.tier.holds(ints(0)).tolist() == [True]
    assert held.tier.readings == 1
    held.tier.remove(0, ClosedRanges(ints(0), ints(0), ints(15)))
    held.tier.remove(0, ClosedRanges(ints(0), ints(0), ints(15)))
    assert held.tier.readings == 0


def over(held: Open, *rows: tuple[int, int], late: tuple[int, ...] = ()) -> list[bool]:
    start, device = zip(*rows, strict=True)
    is_late = np.isin(np.arange(len(rows)), late)
    found: list[bool] = held.tier.over(ints(*start), ints(*device), is_late).tolist()
    return found


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> Open:
    """Three windows are many; device 0 has passed the fourth."""
    monkeypatch.setattr(base_tier, "MANY", 3)
    held = Open()
    held.advance(4 * BASE, 0)
    return held


def test_rows_of_many_windows_that_are_due_on_arrival_are_over(many: Open) -> None:
    rows = [(0, 0), (BASE, 0), (3 * BASE, 0), (4 * BASE, 0), (0, 1)]
    assert over(many, *rows) == [True, True, True, False, False]


def test_few_windows_close_in_their_turn(many: Open) -> None:
    assert not any(over(many, (0, 0), (BASE, 0), (2 * BASE, 0))), "they span less than three windows"
    assert not any(over(many, (0, 0), (BASE, 0), (4 * BASE, 0)))
    assert not any(over(many, (0, 0), (BASE, 0), (3 * BASE, 0), late=(0,)))


def test_a_device_in_the_window_that_is_closing_waits_for_it(many: Open) -> None:
    many.add(0, 0)
    many.tier.wake()
    assert many.tier.begin()
    assert not any(over(many, (0, 0), (BASE, 0), (3 * BASE, 0)))


def test_what_a_device_has_open_in_due_windows_can_be_pulled(many: Open) -> None:
    for start in (0, 3 * BASE, 4 * BASE):
        many.add(start, 0)
    many.add(3 * BASE, 1)
    pulled = many.tier.pull(ints(0, 4, 90), SERIES_DEVICE)
    assert [(start, len(keyed.key)) for start, keyed in pulled] == [(0, 1), (3 * BASE, 1)]
    assert many.tier.readings == 2
    assert many.tier.pull(ints(0), SERIES_DEVICE) == []


def test_opened_counts_windows_and_parts_hold_every_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_tier, "PIECE", 1)
    held = Open()
    held.add(0, 0, 1)
    held.add(0, 0)
    held.add(BASE, 0)
    assert held.tier.opened == 2
    held.advance(BASE, 1)
    assert held.tier.begin()
    held.tier.take(1, SERIES_DEVICE)
    assert sum(len(part.key) for part in held.tier.parts()) == held.tier.readings == 4


def test_a_walk_goes_on_after_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_tier, "PIECE", 1)
    held, again = Open(), Open()
    held.add(0, 0, 1, 2)
    held.add(BASE, 3)
    held.advance(BASE, 1, 2)
    assert held.tier.begin()
    held.tier.take(1, SERIES_DEVICE)
    held.tier.force(ints(0))
    again.marks.restore(unpack(pack(held.marks.snapshot())))
    again.tier.restore(unpack(pack(held.tier.snapshot())))
    assert held.close() == again.close()
    assert pack(held.tier.snapshot()) == pack(again.tier.snapshot())

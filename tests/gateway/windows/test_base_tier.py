"""The open base windows: what is worth a walk, what is put back, and what is taken out. A window is 16 ms."""

import numpy as np
import pytest

from edge_gateway.records.closings import ALL, BaseStep
from edge_gateway.records.codec import pack, unpack
from edge_gateway.records.window_block import NEVER
from edge_gateway.windows import base_tier
from edge_gateway.windows.base_tier import BaseTier, Piece
from edge_gateway.windows.reading_log import Keyed
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
        while (piece := self.take(1_000)) is not None:
            found.append((piece.start, self.devices(piece)))
        return found

    def take(self, about: int) -> Piece | None:
        step = self.tier.step(about)
        return None if step is None else self.tier.take(step, SERIES_DEVICE)

    def taken(self, about: int) -> Piece:
        piece = self.take(about)
        assert piece is not None
        return piece

    def devices(self, piece: Piece) -> list[int]:
        found: list[int] = (piece.readings.key >> self.tier.bits).tolist()
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
    assert held.tier.step(1) == BaseStep(0, ALL, bytes([0b10000000]))
    assert held.tier.closing
    assert held.close() == [(0, [0])]
    assert held.tier.readings == 1
    assert held.marks.closed_to[0] == BASE
    held.advance(2 * BASE, 0)
    assert held.close() == [(BASE, [0])]


def test_nothing_is_searched_before_there_is_news() -> None:
    held = Open()
    held.add(0, 0)
    assert held.tier.step(9) is None
    held.advance(BASE - 1, 0)
    assert held.tier.waiting
    assert held.tier.step(9) is None
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
    assert (held.tier.step(9) is not None) == worth
    assert held.tier.waiting == worth


def test_a_walk_is_worth_it_once_an_eighth_as_many_readings_came(held: Open) -> None:
    for at in range(4):
        held.add(0, 0, 1, 2, 3, at=at)
    held.advance(BASE, 0)
    assert held.tier.step(9) is None
    held.tier.credit += 1
    assert held.tier.step(9) is None
    held.tier.credit += 1
    assert held.tier.waiting
    assert held.tier.step(9) is not None


def test_a_small_window_is_always_worth_a_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_tier, "SMALL", 4)
    held = Open()
    held.add(0, 0, 1, 2, 3)
    held.add(BASE, 0, 1, 2, 3, 3)
    held.advance(2 * BASE, 0)
    assert held.taken(10).cost == 4
    assert held.tier.step(9) is None


def test_a_piece_is_bounded_and_counts_what_is_put_back_as_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_tier, "PIECE", 2)
    held = Open()
    held.add(0, 0, 1, 2, 3)
    held.advance(BASE, 0, 2, 3)
    pieces = [held.taken(1_000) for _ in range(2)]
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
    assert held.tier.step(9) is not None
    held.tier.force(ints(1, 4, 50))
    assert held.close() == [(0, [0]), (0, [1])]
    assert held.tier.readings == 1


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
    assert many.tier.step(9) is not None
    assert not any(over(many, (0, 0), (BASE, 0), (3 * BASE, 0)))


def test_what_a_device_has_open_in_due_windows_can_be_pulled(many: Open) -> None:
    for start in (0, 3 * BASE, 4 * BASE):
        many.add(start, 0)
    many.add(3 * BASE, 1)
    due = many.tier.due_with(ints(0, 4, 90))
    assert [(start, devices.tolist()) for start, devices in due] == [(0, [0]), (3 * BASE, [0])]
    windows = ints(0, 0, 0, 2, 90), ints(0, 2 * BASE, 3 * BASE, 3 * BASE, 0)
    pulled = many.tier.pull(*windows, SERIES_DEVICE)
    assert [(start, len(keyed.key)) for start, keyed in pulled] == [(0, 1), (3 * BASE, 1)]
    assert many.tier.readings == 2
    assert many.tier.pull(*windows, SERIES_DEVICE) == []


def test_opened_counts_windows_and_parts_hold_every_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_tier, "PIECE", 1)
    held = Open()
    held.add(0, 0, 1)
    held.add(0, 0)
    held.add(BASE, 0)
    assert held.tier.opened == 2
    held.advance(BASE, 1)
    held.taken(1)
    assert sum(len(part.key) for part in held.tier.parts()) == held.tier.readings == 4


def test_a_walk_goes_on_after_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_tier, "PIECE", 1)
    held, again = Open(), Open()
    held.add(0, 0, 1, 2)
    held.add(BASE, 3)
    held.advance(BASE, 1, 2)
    held.taken(1)
    held.tier.force(ints(0))
    again.marks.restore(unpack(pack(held.marks.snapshot())))
    again.tier.restore(unpack(pack(held.tier.snapshot())))
    assert held.close() == again.close()
    assert pack(held.tier.snapshot()) == pack(again.tier.snapshot())


def test_a_recorded_walk_is_repeated_whatever_is_due_and_worth_it_now(held: Open) -> None:
    told = Open()
    for one in (told, held):
        one.add(0, 0, 1, 2, 3)
    told.advance(BASE, 1, 3)
    assert told.tier.step(1) is None, "it is not worth a walk yet"
    told.tier.credit += 1
    steps = [told.tier.step(1)]
    assert steps[0] is not None
    told.tier.take(steps[0], SERIES_DEVICE)
    steps.append(told.tier.step(9))
    assert [step and (step.start, step.upto) for step in steps] == [(0, 1), (0, ALL)]
    for step in steps:
        assert step is not None
        assert held.tier.follow(step)
        piece = held.tier.take(step, SERIES_DEVICE)
    assert held.devices(piece) == [1, 3]
    assert piece.closed.tolist() == [1, 3]
    assert held.marks.closed_to[:4].tolist() == [NEVER, BASE, NEVER, BASE]
    assert held.tier.readings == 2


def test_a_recorded_step_that_nothing_fits_is_passed_over_and_closes_what_it_can() -> None:
    held = Open()
    assert not held.tier.follow(BaseStep(0, ALL)), "no window is closing"
    assert held.tier.follow(BaseStep(0, ALL, bytes([0b01000000])))
    assert len(held.tier.take(BaseStep(0, ALL), SERIES_DEVICE).readings.key) == 0
    assert held.marks.closed_to[:2].tolist() == [NEVER, BASE]
    held.add(BASE, 0, 1)
    assert held.tier.follow(BaseStep(BASE, 1, bytes([0b11000000])))
    assert held.devices(held.tier.take(BaseStep(BASE, 1), SERIES_DEVICE)) == [0]
    assert not held.tier.follow(BaseStep(0, ALL, bytes([0b10000000]))), "another window is closing"


def test_pace_is_no_part_of_the_state(held: Open) -> None:
    before = pack(held.tier.snapshot())
    held.tier.credit += 1_000
    assert held.tier.step(9) is None
    assert pack(held.tier.snapshot()) == before

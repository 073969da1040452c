"""Gaps between the readings of a device: which count, what lies in them, and when it is due."""

from __future__ import annotations

import random

import numpy as np
import pytest

from edge_gateway.records.window_block import NEVER
from edge_gateway.windows.gaps import TimeGaps

BASE, LATENESS, IDLE = 10, 5, 100


class Fleet:
    """TimeGaps, and the newest time of each of two devices."""

    def __init__(self) -> None:
        self.gaps = TimeGaps(BASE, LATENESS, IDLE)
        self.gaps.grow(2)
        self.furthest = np.full(2, NEVER)

    def send(self, *readings: tuple[int, int], listening: int = 0) -> bool:
        """Send readings (device, time); whether any lies in a gap."""
        device, ts = (np.array(column) for column in zip(*readings, strict=True))
        kept = self.gaps.take(device, ts, self.furthest, listening)
        np.maximum.at(self.furthest, device, ts)
        return kept

    def span(self, device: int = 0) -> tuple[int, int]:
        return int(self.gaps.since[device]), int(self.gaps.until[device])

    def due(self, start: int) -> list[bool]:
        due: list[bool] = self.gaps.due(start, 2)[1].tolist()
        return due


@pytest.fixture
def fleet() -> Fleet:
    """Device 0 was silent from 1,003 to 2,008; device 1 goes on."""
    found = Fleet()
    assert not found.send((0, 1_003), (1, 1_003))
    assert not found.send((0, 2_008), (1, 1_050))
    return found


def test_a_gap_begins_after_the_last_window_and_ends_before_the_next(fleet: Fleet) -> None:
    assert fleet.span(0) == (1_010, 2_000)
    assert fleet.span(1) == (NEVER, NEVER), "half the idle time is no gap"
    starts = np.array([1_000, 1_010, 1_990, 2_000])
    assert fleet.gaps.in_gap(np.zeros(4, np.int64), starts).tolist() == [False, True, True, False]


def test_of_several_gaps_the_longest_counts(fleet: Fleet) -> None:
    assert [column.tolist() for column in fleet.gaps.noted] == [[0], [2_000]]
    fleet.send((0, 2_500))
    assert fleet.span() == (1_010, 2_000)
    assert [column.tolist() for column in fleet.gaps.noted] == [[], []]
    fleet.send((0, 4_000))
    assert fleet.span() == (2_510, 4_000)
    fleet.send((0, 4_200), (0, 8_000), (0, 8_300))
    assert fleet.span() == (4_210, 8_000), "within a batch, too"


def test_a_gap_is_found_in_the_batch_that_also_brings_what_was_kept() -> None:
    fleet = Fleet()
    fleet.send((0, 1_000))
    assert fleet.send((0, 5_000), (0, 1_500), (0, 1_700))
    assert fleet.span() == (1_010, 5_000)


def test_many_small_steps_in_a_batch_are_no_gap_and_no_gap_ends_later_than_it_says(fleet: Fleet) -> None:
    assert fleet.gaps.last_end == 2_000
    fleet.send((0, 2_098), (0, 2_180), (0, 2_270))
    assert (fleet.span(), fleet.gaps.last_end) == ((1_010, 2_000), 2_000)
    lie = fleet.gaps.in_whole_gap(np.zeros(3, np.int64), np.array([1_999, 2_000, 1_009]))
    assert lie.tolist() == [True, False, False]
    assert fleet.gaps.in_whole_gap(np.array([0]), np.array([2_000])).tolist() == [False]


def test_windows_of_a_gap_are_due_by_the_newest_reading_in_it(fleet: Fleet) -> None:
    assert fleet.send((0, 1_234), (1, 1_060))
    assert fleet.due(1_210) == [True, False]
    assert fleet.due(1_220) == [False, False], "allowed lateness"
    assert fleet.send((0, 1_235))
    assert fleet.due(1_220) == [True, False]


def test_a_window_that_closes_leaves_the_gap_with_all_before_it(fleet: Fleet) -> None:
    assert fleet.gaps.close(np.array([0, 1]), 1_220)
    assert fleet.span() == (1_230, 2_000)
    assert not fleet.gaps.close(np.array([0, 1]), 1_100)
    assert not fleet.send((0, 1_229)), "late"


def test_what_is_open_in_a_gap_is_due_once_nothing_more_comes(fleet: Fleet) -> None:
    assert fleet.send((0, 1_234), listening=50)
    assert fleet.gaps.passed(np.array([2_000, 1_000])).tolist() == [1_010, 1_000]
    assert not fleet.gaps.expire(149)
    assert fleet.gaps.expire(150)
    assert fleet.due(1_230) == [True, False]
    assert fleet.gaps.passed(np.array([2_000, 1_000])).tolist() == [2_000, 1_000]
    assert not fleet.gaps.expire(500)


def test_all_can_be_made_due(fleet: Fleet) -> None:
    fleet.send((0, 1_234))
    fleet.gaps.all_due()
    assert fleet.due(1_990) == [True, False]


def test_a_forgotten_device_has_no_gap(fleet: Fleet) -> None:
    fleet.gaps.forget(np.array([0]))
    assert fleet.span() == (NEVER, NEVER)


def test_a_snapshot_restores_everything(fleet: Fleet) -> None:
    fleet.send((0, 1_234), listening=50)
    again = TimeGaps(BASE, LATENESS, IDLE)
    again.restore(fleet.gaps.snapshot())
    for name, column in fleet.gaps.snapshot().items():
        assert getattr(again, name).tolist() == column.tolist()
    assert again.last_end == 2_000


@pytest.mark.parametrize("seed", range(20))
def test_no_window_that_closed_lies_in_a_gap(seed: int) -> None:
    """Else its window would be made anew beside the one that is stored."""
    chance = random.Random(seed)
    clock = [1_000, 1_000]
    sent: list[tuple[int, int]] = []
    for _ in range(300):
        device = chance.randrange(2)
        clock[device] += chance.choice((1, 5, 30, 150, 150, 2_000 if chance.random() < 0.1 else 20))
        sent.append((device, clock[device] - chance.choice((0, 0, 0, 0, 40, 1_000))))
    fleet = Fleet()
    at = 0
    while at < len(sent):
        size = chance.choice((1, 2, 9))
        piece, at = sent[at : at + size], at + size
        fleet.send(*piece)
        for device, ts in piece:
            fleet.gaps.close(np.array([device]), ts - ts % BASE)
        for device, ts in sent[:at]:
            assert not fleet.gaps.in_gap(np.array([device]), ts - ts % BASE)[0]

"""Batches cut where clocks of devices step back: which messages are followed, and what each lap holds."""

from __future__ import annotations

import numpy as np

from edge_gateway.fleet.arrivals.clocks import Clocks
from edge_gateway.fleet.arrivals.sequences import Sequences
from edge_gateway.fleet.laps import ClockSteps, cut_laps, follow_clocks
from edge_gateway.fleet.timestamps import NO_TIME, Stamped
from tests.gateway.windows.plain import Reading, frame_of

T0 = 1_760_000_000_000
SMALL = 5_000
HOUR = 3_600_000


class Fleet:
    """Sequences and clocks; every message has one sample."""

    def __init__(self) -> None:
        self.sequences, self.clocks = Sequences(), Clocks(SMALL)

    def follow(
        self,
        *messages: tuple[int, int, int | None],
        refused: tuple[int, ...] = (),
        begin: tuple[int, ...] = (),
    ) -> ClockSteps:
        """Follow messages (device, seq, time after T0; None: T0 is the arrival) of boot 1."""
        device, seq, time = zip(*messages, strict=True)
        own = np.array([NO_TIME if each is None else T0 + each for each in time], np.int64)
        verdicts = self.sequences.accept(np.array(device), np.ones(len(own), np.int64), np.array(seq), own)
        new = verdicts.verdict == 0
        new[list(refused)] = False
        times = Stamped(np.where(own == NO_TIME, T0, own), own == NO_TIME)
        return follow_clocks(
            self.clocks,
            verdicts,
            new,
            times,
            np.arange(len(own)),
            begin=np.array(begin, np.int64),
            listening=0,
        )


def test_messages_that_only_advance_keep_their_times() -> None:
    found = Fleet().follow((1, 0, 0), (0, 0, 5), (1, 1, 7))
    assert (found.at.tolist(), found.steps.tolist()) == ([T0, T0 + 5, T0 + 7], [])


def test_times_and_steps_stand_by_their_messages_in_order_of_arrival() -> None:
    fleet = Fleet()
    fleet.follow((0, 0, 0), (1, 0, 0))
    for device in (0, 1):
        fleet.clocks.birth(device, 1, T0 - HOUR, anew=True)
    found = fleet.follow((1, 1, -HOUR), (0, 1, -HOUR + 1), (1, 2, -HOUR - 1))
    assert found.steps.tolist() == [0, 1]
    assert found.back_to.tolist() == [T0 - HOUR, T0 - HOUR + 1]
    assert found.at.tolist() == [T0 - HOUR, T0 - HOUR + 1, T0 - HOUR], "the last is held"


def test_a_time_of_arrival_is_held_at_the_newest_time() -> None:
    fleet = Fleet()
    assert fleet.follow((0, 0, HOUR), (0, 1, None)).at.tolist() == [T0 + HOUR] * 2
    assert fleet.clocks.totals()["small_clock_steps"] == 0


def test_a_device_without_a_clock_begins_again_where_the_gateways_was_set() -> None:
    fleet = Fleet()
    fleet.follow((0, 0, HOUR))
    found = fleet.follow((0, 1, None), (0, 2, None), begin=(0,))
    assert (found.steps.tolist(), found.back_to.tolist()) == ([0], [T0])
    assert found.at.tolist() == [T0, T0]


def test_a_message_that_does_not_count_moves_no_clock() -> None:
    fleet = Fleet()
    fleet.follow((0, 0, 0), (0, 1, HOUR), (0, 2, None), refused=(1, 2))
    assert int(fleet.clocks.newest[0]) == T0


def test_a_frame_is_cut_before_each_step_and_only_for_its_device() -> None:
    frame = frame_of([Reading(device, T0 + at, 0, 1.0) for at, device in enumerate((0, 1, 0, 1, 0))])
    back_to, oldest = np.array([T0 + 1, T0 + 2, T0 + 4]), np.array([T0, T0 + 2, T0 + 3])
    steps = ClockSteps(frame.ts, np.array([1, 2, 4]), back_to, oldest)
    laps = cut_laps(frame, frame.device, np.arange(5), steps)
    assert [lap.frame.ts.tolist() for lap in laps] == [[T0], [T0 + 1, T0 + 2, T0 + 3], [T0 + 4]]
    assert [lap.stepped.tolist() for lap in laps] == [[], [1, 0], [0]]
    assert [lap.back_to.tolist() for lap in laps] == [[], [T0 + 1, T0 + 2], [T0 + 4]]
    assert [lap.oldest.tolist() for lap in laps] == [[], [T0, T0 + 2], [T0 + 3]]


def test_without_steps_the_frame_is_one_lap() -> None:
    frame = frame_of([Reading(0, T0, 0, 1.0)])
    none = np.empty(0, np.int64)
    (lap,) = cut_laps(frame, frame.device, np.arange(1), ClockSteps(frame.ts, none, none, none))
    assert lap.frame is frame
    assert lap.stepped.tolist() == []

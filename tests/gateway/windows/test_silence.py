"""What closes when a device falls silent, or its clock steps back."""

import numpy as np

from edge_gateway.records.codec import pack
from tests.gateway.windows.plain import T0
from tests.gateway.windows.runs import IDLE, LATENESS, Run, all_at_once, stored, temperature, tick_and_close


def test_silence_closes_base_windows_then_coarser_ones_when_their_time_is_over() -> None:
    run = Run()
    run.add([temperature(1.5)], listening=1_000)
    assert not run.windows.tick(3_999)
    assert run.windows.tick(4_000)
    run.close()
    assert run.starts(0) == [1]
    assert run.starts(1) == []
    assert not run.windows.tick(7_499)
    assert run.windows.tick(7_500)
    run.close()
    assert run.starts(1) == [0]
    assert run.windows.tick(12_500)
    run.close()
    assert run.starts(2) == [0]
    assert not run.windows.tick(1_000_000)


def test_a_coarser_window_whose_base_windows_close_piece_by_piece_in_silence_closes_with_the_last() -> None:
    run = Run(budget=1)
    run.add([temperature(at + 0.5) for at in range(5)], listening=1_000)
    for listening in range(4_000, 4_010):
        run.windows.tick(listening)
        run.close()
    assert run.starts(0) == [0, 1, 2, 3, 4]
    assert run.starts(1) == [0], "its time is over by what closed, long before the silence says so"


def test_what_comes_after_silence_for_a_closed_window_is_late_and_what_is_newer_is_not() -> None:
    run = Run()
    run.add([temperature(1.5)], listening=0)
    run.windows.tick(IDLE)
    run.close()
    assert len(run.add([temperature(1.7)], listening=IDLE)) == 1
    assert len(run.add([temperature(2.0)], listening=IDLE)) == 0


def test_a_tick_without_effect_leaves_the_state_as_it_was() -> None:
    run = Run()
    run.add([temperature(1.5), temperature(7)], listening=0)
    before = pack(run.windows.snapshot())
    assert not run.windows.tick(100)
    assert pack(run.windows.snapshot()) == before


def test_a_coarser_window_closed_by_silence_comes_again_with_only_what_is_new() -> None:
    run = Run()
    run.add([temperature(0, 1.0)], listening=0)
    for listening in (IDLE, 20_000):
        run.windows.tick(listening)
        run.close()
    assert run.starts(2) == [0]
    run.add([temperature(6, 2.0)], listening=20_000)
    run.drain()
    assert run.starts(2) == [0, 0]
    assert stored(run) == all_at_once([temperature(0, 1.0), temperature(6, 2.0)])


def test_a_clock_that_stepped_back_closes_what_was_ahead_and_begins_anew() -> None:
    run = Run()
    run.add([temperature(3000, 1.0), temperature(3010, 2.0)], trusted=False)
    run.windows.rewind(np.array([0]))
    assert run.windows.newest(0) is None
    assert not len(run.add([temperature(5, 4.0)]))
    assert sorted(run.starts(0)) == [3000, 3010]
    run.add([temperature(20, 8.0)])
    assert run.starts(0)[-1] == 5
    assert run.windows._watermarks.of(0) == T0 + 20_000 - LATENESS


def test_what_a_stepped_clock_left_open_closes_in_silence_whatever_time_it_was() -> None:
    run = Run()
    run.add([temperature(3000, 1.0)], trusted=False)
    run.windows.rewind(np.array([0]))
    tick_and_close(run, IDLE)
    tick_and_close(run, IDLE)
    assert [run.starts(tier) for tier in range(3)] == [[3000]] * 3
    assert not run.windows.open_coarser


def test_what_a_stepped_clock_left_open_ahead_closes_in_silence_too() -> None:
    run = Run()
    run.add([temperature(3000, 1.0)], trusted=False)
    run.windows.rewind(np.array([0]))
    run.add([temperature(5, device=0)._replace(metric=1)])
    for listening in (IDLE, 60_000, 60_000):
        tick_and_close(run, listening)
    assert run.starts(2) == [3000, 0]
    assert not run.windows.open_coarser

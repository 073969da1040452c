"""How much one call closes, and that nothing piles up."""

from dataclasses import replace

import numpy as np
import pytest

from edge_gateway.records.codec import pack
from edge_gateway.windows import base_tier
from edge_gateway.windows.open_windows import CHEAPEST_WINDOW
from tests.gateway.windows.plain import DOOR, T0, Reading, frame_of, plain_windows
from tests.gateway.windows.runs import ALL, DEVICES, LATENESS, TIERS, Run, all_at_once, stored, temperature


def test_a_budget_spreads_closing_over_calls() -> None:
    many = [temperature(at / 1000, device=device) for device in range(DEVICES) for at in range(0, 1000, 2)]
    run = Run(budget=200)
    run.add(many)
    run.add([temperature(9, device=device) for device in range(DEVICES)])
    given = []
    while run.windows.open_readings > DEVICES:
        before = run.windows.open_readings
        run.close()
        given.append(before - run.windows.open_readings)
    assert len(given) >= 1
    assert max(given) <= 500  # all of a series at once
    assert run.windows.pending
    run.drain()
    rest = [temperature(9, device=device) for device in range(DEVICES)]
    assert run.plain() == plain_windows([*many, *rest], TIERS)


def paced(seconds: int) -> Run:
    """So many base windows of one reading each, all due and none closed; the next call may not open any."""
    run = Run(budget=-ALL)
    run.add([temperature(at) for at in range(seconds)])
    run.add([temperature(seconds + LATENESS / 1000)])
    return run


@pytest.mark.parametrize(
    ("budget", "closed"), [(0, 0), (1, 1), (CHEAPEST_WINDOW, 1), (CHEAPEST_WINDOW + 1, 2)]
)
def test_windows_close_while_there_is_budget_and_each_costs_the_least_at_least(
    budget: int, closed: int
) -> None:
    run = paced(4)
    run.given.append(run.windows.close(budget))
    assert run.starts(0) == list(range(closed))


def test_a_window_with_more_readings_costs_as_much_as_they_are() -> None:
    run = Run(budget=-ALL)
    run.add([temperature(at / 1000) for at in range(CHEAPEST_WINDOW + 10)])
    run.add([temperature(1), temperature(5)])
    run.given.append(run.windows.close(CHEAPEST_WINDOW + 10))
    assert run.starts(0) == [0]
    run.given.append(run.windows.close(1))
    assert run.starts(0) == [0, 1]


def test_the_budget_grows_with_each_window_that_opened_since_the_last_call() -> None:
    run = Run(budget=-ALL)
    run.add([temperature(at) for at in range(4)])
    run.windows.add(frame_of([temperature(7), temperature(8)]), listening_ms=0)
    for _ in range(2):
        run.given.append(run.windows.close(0))
        assert run.starts(0) == [0, 1], "two opened since the first call, none since the second"


def test_coarser_windows_are_given_out_of_what_is_left_of_the_budget() -> None:
    run = Run(budget=-ALL)
    run.add([temperature(at, device=device) for device in range(DEVICES) for at in (0, 30)])
    seen = []
    for budget in (CHEAPEST_WINDOW + DEVICES + 1, DEVICES - 2, 1, 1):
        run.given.append(run.windows.close(budget))
        seen.append([len(run.starts(tier)) for tier in range(3)])
    assert seen == [[4, 4, 1], [4, 4, 3], [4, 4, 4], [4, 4, 4]]
    assert not run.windows.pending


def test_texts_are_given_out_of_the_same_budget_behind_the_numbers() -> None:
    run = Run(budget=-ALL)
    run.add([Reading(0, T0 + at, metric, 1.0) for at in (0, 30_000) for metric in (0, DOOR)])
    seen = []
    for budget in (CHEAPEST_WINDOW + 1, 1, 1, 1, 1):
        closed = run.windows.close(budget)
        seen.append(([part.tier for part in closed.numbers], [part.tier for part in closed.states]))
    assert seen == [([0, 1], [0]), ([2], []), ([], [1]), ([], [2]), ([], [])]


def test_weeks_of_readings_at_once_leave_no_more_open_than_one() -> None:
    kept = [temperature(at, value=at % 7) for at in range(0, 20_000, 2)]
    run = Run(budget=1_000)
    for at in range(0, len(kept), 1_000):
        run.add(kept[at : at + 1_000])
        assert run.windows.open_readings <= 2
        assert run.windows.open_coarser <= len(TIERS)
    run.drain()
    assert run.numbers_counted() == len(kept)
    assert stored(run) == all_at_once(kept)
    for tier in range(len(TIERS)):
        assert len(run.starts(tier)) == len(set(run.starts(tier)))


def test_devices_whose_clocks_are_apart_open_no_more_windows_than_are_closed() -> None:
    run = Run(budget=1)
    sent = [
        [temperature(100_000 * device + at, device=device) for device in range(DEVICES)]
        for at in range(0, 60, 3)
    ]
    for readings in sent:
        run.add(readings)
        assert run.windows.open_readings <= 2 * DEVICES
    run.drain()
    assert run.plain() == plain_windows([one for readings in sent for one in readings], TIERS)


def test_a_walk_waits_until_it_is_worth_it_and_ticks_meanwhile_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(base_tier, "SMALL", 0)
    monkeypatch.setattr(base_tier, "CREDIT_OF_A_CALL", 0)
    run = Run()
    run.add([temperature(at / 100, device=device) for device in range(DEVICES) for at in range(100)])
    run.add([temperature(30, device=0)])
    assert run.starts(0) == []
    before = pack(run.windows.snapshot())
    assert not run.windows.tick(0)
    run.close()
    assert pack(run.windows.snapshot()) == before
    run.add([temperature(30, device=device) for device in (1, 2)])
    assert run.starts(0) == [0, 0, 0]
    run.add([temperature(31, device=0) for _ in range(13)])
    run.add([temperature(31, device=3)])
    assert run.starts(0) == [0, 0, 0, 0]


def test_weeks_of_messages_none_of_whose_values_is_good_close_nothing() -> None:
    run = Run(budget=1_000)
    frame = frame_of([temperature(at) for at in range(0, 20_000, 2)])
    nothing = np.empty(0, np.int64)
    bad = replace(frame, row=nothing, series=nothing, value=np.empty(0), quality=np.empty(0, np.uint16))
    added = run.windows.add(bad, listening_ms=0)
    assert not added.closed.numbers
    assert not added.closed.states
    assert run.windows.open_readings == 0

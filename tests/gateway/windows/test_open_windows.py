"""Open windows close into what plain Python says, whatever the order, the batches and the budget."""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.records.codec import pack
from edge_gateway.windows import base_tier, open_windows
from edge_gateway.windows.open_windows import Windows
from tests.gateway.windows.plain import DOOR, T0, Fleet, Reading, frame_of, plain_windows
from tests.gateway.windows.runs import (
    ALL,
    DEVICES,
    SKEW,
    TIERS,
    Run,
    all_at_once,
    batches,
    jittered,
    number,
    reading,
    small_steps,
    stored,
    temperature,
    tick_and_close,
    windows,
)


@settings(deadline=None)
@given(st.lists(reading, max_size=120), st.randoms(use_true_random=False))
def test_readings_in_time_close_alike_in_any_order(held: list[Reading], random: Random) -> None:
    with small_steps(taken=random.random() < 0.7):
        closes_alike(held, random)


def closes_alike(held: list[Reading], random: Random) -> None:
    run = Run(budget=random.choice([1, 7, 600, ALL]))
    for batch in batches(jittered(held, random), random):
        assert not len(run.add(batch))
        if random.random() < 0.3:
            run.restart()
    run.drain()
    assert run.windows.open_readings == 0
    assert run.plain() == plain_windows(held, TIERS)


@settings(max_examples=200, deadline=None)
@given(st.lists(number, max_size=120), st.randoms(use_true_random=False))
def test_what_the_store_merges_is_what_all_readings_give(held: list[Reading], random: Random) -> None:
    """Late readings, silence, clock steps, restarts, any budget: the store ends with the rows of all."""
    with small_steps(taken=random.random() < 0.7):
        merges_into_all(held, random)


def merges_into_all(held: list[Reading], random: Random) -> None:
    run = Run(budget=random.choice([1, 7, 600, ALL]))
    order = sorted(held, key=lambda reading: reading.ts + random.uniform(0, 20_000))
    listening = added = 0
    for batch in batches(order, random):
        run.add(batch, listening)
        added += len(batch)
        assert run.numbers_counted() == added
        listening += random.choice([0, 100, 3_000, 20_000])
        if random.random() < 0.5:
            tick_and_close(run, listening)
        if random.random() < 0.2:
            run.windows.rewind(np.array(random.sample(range(DEVICES), 2)))
        if random.random() < 0.3:
            run.restart()
    run.drain()
    assert run.numbers_counted() == len(held)
    assert stored(run) == all_at_once(held)


@settings(max_examples=200, deadline=None)
@given(st.lists(reading, max_size=120), st.randoms(use_true_random=False))
def test_what_replays_is_in_the_same_state_whatever_its_pace(held: list[Reading], random: Random) -> None:
    """A replay folds again what a checkpoint does not have: it must come to the same state, bit for bit."""
    with small_steps(taken=random.random() < 0.7):
        goes_the_same_way(held, random)


def goes_the_same_way(held: list[Reading], random: Random) -> None:
    first, second = (Run(random.choice([1, 7, 600])) for _ in range(2))
    order = sorted(held, key=lambda reading: reading.ts + random.uniform(0, 20_000))
    listening = 0
    for batch in batches(order, random):
        listening += random.choice([0, 100, 3_000, 20_000])
        first.add(batch, listening)
        with other_pace(random):
            second.add(batch, listening, recorded=first.journaled())
        if random.random() < 0.5:
            first.tick(listening)
            second.tick(listening, first.journaled())
        changed = random.sample([rewound, trimmed, forgotten], random.choice([0, 0, 1, 2]))
        devices, at = np.array(random.sample(range(DEVICES), 2)), random.randrange(40) * 1_000
        for run in (first, second):
            for change in changed:
                change(run.windows, devices, T0 + at)
        if random.random() < 0.5:
            second.restart()
        assert pack(first.windows.snapshot()) == pack(second.windows.snapshot())
    takes_over(first, second, held)


def rewound(windows: Windows, devices: np.ndarray[tuple[int], np.dtype[np.int64]], _: int) -> None:
    windows.rewind(devices)


def trimmed(windows: Windows, _: object, at: int) -> None:
    windows.ever.trim([at - at % every for every in TIERS])


def forgotten(windows: Windows, devices: np.ndarray[tuple[int], np.dtype[np.int64]], _: int) -> None:
    windows.forget(devices[~windows.has_open(devices)], "abcd")


@contextmanager
def other_pace(random: Random) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base_tier, "WORTH", random.choice([0, 1_000]))
        patch.setattr(open_windows, "WORTH", random.choice([0, 1_000]))
        patch.setattr(open_windows, "CHEAPEST_WINDOW", random.choice([1, 10_000]))
        for name in ("PIECE", "SMALL", "MANY", "CREDIT_OF_A_CALL"):
            patch.setattr(base_tier, name, random.choice([1, 3, 10_000]))
        yield


def takes_over(first: Run, second: Run, held: list[Reading]) -> None:
    """Both gave the same, and what the second goes on to give with it is every reading once."""
    for run in (first, second):
        run.windows.begin_input()
        run.drain()
        assert run.windows.open_readings == run.windows.open_coarser == 0
    assert first.numbers_counted() == second.numbers_counted() == sum(one.metric != DOOR for one in held)


def test_a_window_closes_when_the_watermark_reaches_its_end() -> None:
    run = Run()
    run.add([temperature(0.2)])
    run.add([temperature(2.999)])
    assert run.starts(0) == []
    run.add([temperature(3.0)])
    assert run.starts(0) == [0]
    assert run.windows._watermarks.of(0) == T0 + 1000
    assert run.windows.newest(0) == T0 + 3000


def test_watermarks_are_of_each_device_alone() -> None:
    run = Run()
    run.add([temperature(0, device=0), temperature(0, device=1)])
    run.add([temperature(30, device=0)])
    assert run.starts(0) == [0]
    assert not len(run.add([temperature(0.5, device=1)]))
    late = run.add([temperature(0.5, device=0)])
    assert late.numbers.ts.tolist() == [T0 + 500]


def test_a_reading_too_far_ahead_does_not_move_the_watermark_beyond_the_skew() -> None:
    ahead = temperature(3600)
    run = Run()
    run.windows.add(frame_of([ahead], arrival=T0), listening_ms=0)
    assert run.windows.newest(0) == T0 + SKEW
    untrusted = Run()
    untrusted.windows.add(frame_of([ahead], arrival=T0), listening_ms=0, trusted=False)
    assert untrusted.windows.newest(0) == ahead.ts


def test_the_next_start_is_the_first_window_not_opened_yet() -> None:
    run = Run()
    assert run.windows.next_start(0) == 0
    assert run.windows.newest(7) is None
    assert run.windows._watermarks.of(0) is None
    run.add([temperature(1.5)])
    assert run.windows.next_start(0) == T0 + 2_000


def test_a_device_that_is_behind_does_not_hold_the_others_back() -> None:
    everyone = [temperature(0, device=device) for device in range(DEVICES)]
    run = Run()
    run.add(everyone)
    run.add([temperature(30, device=device) for device in range(1, DEVICES)])
    assert run.starts(0).count(0) == DEVICES - 1
    run.drain()
    later = [temperature(30, device=device) for device in range(1, DEVICES)]
    assert run.plain() == plain_windows([*everyone, *later], TIERS)


def test_a_frame_without_values_moves_the_watermark() -> None:
    run = Run()
    run.add([temperature(0)])
    frame = frame_of([temperature(3)])
    empty = np.empty(0, np.int64)
    frame.row, frame.series, frame.value = empty, empty, empty.astype(np.float64)
    frame.quality = empty.astype(np.uint16)
    run.windows.add(frame, listening_ms=0)
    run.close()
    assert run.starts(0) == [0]


def test_a_device_of_which_nothing_was_ever_heard_has_no_time() -> None:
    many = windows(64)
    many.rewind(np.empty(0, np.int64))
    many.add(frame_of([temperature(1, device=63)]), listening_ms=0)
    many.rewind(np.array([70]))
    assert [many.newest(device) for device in (62, 63, 64, 70, 10_000)] == [
        None,
        T0 + 1_000,
        None,
        None,
        None,
    ]
    assert [many.next_start(device) for device in (63, 10_000)] == [T0 + 2_000, 0]
    assert many._watermarks.of(10_000) is None


def test_windows_that_are_no_multiple_of_the_base_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^each window is a whole multiple of the base window$"):
        Windows(
            (1000, 1500),
            allowed_lateness_ms=0,
            idle_close_ms=0,
            max_future_skew_ms=0,
            p95_metrics=(),
            series=Fleet(1),
        )


def test_a_device_has_something_open_until_every_tier_has_given_it_out() -> None:
    run, seen = Run(), []
    devices = np.array([0, 1])

    def look() -> None:
        used = run.windows.in_use()
        seen.append(
            (run.windows.has_open(devices).tolist(), np.flatnonzero(used.series).tolist(), used.texts)
        )

    look()
    run.add([temperature(0), Reading(0, T0, DOOR, 2.0)])
    look()
    run.windows.close_all_of(np.array([0]))
    run.close()
    look()
    run.windows.tick(0)
    run.close()
    look()
    nothing: tuple[list[bool], list[int], set[int]] = ([False, False], [], set())
    held = ([True, False], [0, 2], {2})
    assert seen == [nothing, held, held, nothing]
    assert [run.starts(tier) for tier in range(3)] == [[0]] * 3


def test_a_forgotten_device_begins_with_its_own_time_and_a_whole_share() -> None:
    run = Run()
    run.add([temperature(0), temperature(30)])
    run.add([temperature(1)])
    run.windows.late_share.most = 1
    assert run.windows.late_share.nearly_used_up(0).tolist() == [0]
    run.windows.forget(np.array([0]), ["dev-0"])
    assert run.windows.newest(0) is None
    assert run.windows.late_share.nearly_used_up(0).tolist() == []
    assert not len(run.add([temperature(1)]))


def test_the_latest_closed_end_is_known_over_all_devices() -> None:
    run = Run()
    before = run.windows.closed_to
    run.add([temperature(0, device=0), temperature(5, device=1)])
    run.add([temperature(3, device=0), temperature(10, device=1)])
    assert before < 0
    assert run.windows.closed_to == T0 + 8_000

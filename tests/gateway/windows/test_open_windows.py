"""Open windows close into what plain Python says, whatever the order, the batches and the budget."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.records.codec import pack, unpack
from edge_gateway.windows import base_tier, reading_log, reduce
from edge_gateway.windows.closed import Closed
from edge_gateway.windows.late import Late
from edge_gateway.windows.merge import merge_blocks, pack_rows, unpack_row
from edge_gateway.windows.open_windows import CHEAPEST_WINDOW, Windows
from edge_gateway.windows.recorded import Recorded, RecordedLate
from edge_gateway.windows.reduce import Readings, rows_of_values
from edge_gateway.windows.rows import Block, by_position, keys
from tests.gateway.windows.plain import (
    DOOR,
    T0,
    Fleet,
    Plain,
    PlainState,
    Reading,
    Window,
    frame_of,
    plain_windows,
    windows_of,
)

TIERS = (1_000, 5_000, 10_000)
LATENESS = 2_000
IDLE = 3_000
DEVICES = 4
ALL = 1 << 40
P95 = "humidity"
WITH_P95 = np.arange(DEVICES * 3) % 3 == 1
SKEW = 300_000


def windows(devices: int = DEVICES) -> Windows:
    return Windows(
        TIERS,
        allowed_lateness_ms=LATENESS,
        idle_close_ms=IDLE,
        max_future_skew_ms=SKEW,
        p95_metrics={P95},
        series=Fleet(devices),
    )


def value_of(metric: int, raw: float) -> float:
    return float(int(abs(raw)) % 3) if metric == DOOR else raw


reading = st.builds(
    lambda device, at, metric, raw, quality: Reading(device, T0 + at, metric, value_of(metric, raw), quality),
    st.integers(0, DEVICES - 1),
    st.integers(0, 40_000) | st.integers(0, 8).map(lambda quarter: quarter * 250),
    st.integers(0, 2),
    st.floats(-100, 100) | st.sampled_from([0.0, -0.0, 1e300, 3e9]),
    st.integers(0, 1000),
)
number = reading.filter(lambda one: one.metric != DOOR)


def jittered(readings: Sequence[Reading], random: Random) -> list[Reading]:
    """Order readings so that none comes more than the allowed lateness behind a newer one."""
    return sorted(readings, key=lambda reading: reading.ts + random.uniform(0, LATENESS))


def batches(readings: Sequence[Reading], random: Random) -> list[list[Reading]]:
    cuts = sorted(random.choices(range(len(readings) + 1), k=random.randint(0, 8)))
    edges = [0, *cuts, len(readings)]
    return [list(readings[a:b]) for a, b in pairwise(edges)]


@contextmanager
def small_steps(*, taken: bool) -> Iterator[None]:
    """Make runs, pieces and what is worth a walk so small that a few readings go through all of it."""
    with pytest.MonkeyPatch.context() as patch:
        if taken:
            patch.setattr(reading_log, "RUN", 8)
            patch.setattr(base_tier, "PIECE", 5)
            patch.setattr(base_tier, "SMALL", 4)
            patch.setattr(base_tier, "CREDIT_OF_A_CALL", 1)
            patch.setattr(reduce, "MOST_AT_ONCE", 3)
            patch.setattr(base_tier, "MANY", 2)
        yield


class Run:
    """Windows as a gateway would use them, and all they gave, in order."""

    def __init__(self, budget: int = ALL) -> None:
        self.windows = windows()
        self.budget = budget
        self.given: list[Closed | Late] = []

    def add(self, readings: Sequence[Reading], listening: int = 0, *, trusted: bool = True) -> Late:
        arrival = max((reading.ts for reading in readings), default=T0)
        late, closed = self.windows.add(frame_of(readings, arrival), listening_ms=listening, trusted=trusted)
        self.given += [late, closed]
        self.close()
        return late

    def close(self) -> None:
        self.given.append(self.windows.close(self.budget))

    def drain(self) -> None:
        self.given.append(self.windows.drain())

    def restart(self) -> None:
        """Go on in new windows from the bytes of a checkpoint."""
        state = unpack(pack(self.windows.snapshot(), shuffle=True))
        self.windows = windows()
        self.windows.restore(state)

    @property
    def closed(self) -> list[Closed]:
        return [given for given in self.given if isinstance(given, Closed)]

    def plain(self) -> dict[Window, Plain | PlainState]:
        return windows_of(self.closed, TIERS)

    def starts(self, tier: int) -> list[int]:
        """Return the starts of what closed in a tier, in s after T0, in the order it was given."""
        rows = [part for closed in self.closed for part in closed.numeric if part.tier == tier]
        return [(start - T0) // 1000 for part in rows for start in part.rows["start"].tolist()]

    def numbers_counted(self) -> int:
        """Return how many numbers are in closed base rows, open, or were late."""
        late = sum(len(given.numbers) for given in self.given if isinstance(given, Late))
        rows = (part.rows for closed in self.closed for part in closed.numeric if part.tier == 0)
        return late + self.windows.open_readings + sum(int(part["count"].sum()) for part in rows)


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


Stored = dict[tuple[int, int, int], bytes]
"""(tier, series, start): packed row"""


def merge_into(rows: Stored, tier: int, block: Block) -> None:
    for key, data in zip(keys(block.rows), pack_rows(block.rows, by_position(block)), strict=True):
        window, one = (tier, *key), unpack_row(data)
        if window in rows:
            one = merge_blocks(unpack_row(rows[window]), one)
        (rows[window],) = pack_rows(one.rows, by_position(one))


def stored(run: Run) -> Stored:
    """Merge everything a run gave, as the store does: closed rows, and late readings where their bit is set."""
    rows: Stored = {}
    for part in run.given:
        if isinstance(part, Closed):
            for tier, numeric in part.numeric:
                named, tails = keys(numeric), part.tails_of(tier)
                assert len(set(named)) == len(named)
                merge_into(rows, tier, Block(numeric, {named[row]: tail for row, tail in tails.items()}))
        else:
            for tier, every in enumerate(TIERS):
                chosen = part.numbers.readings.rows(part.numbers.tiers >> tier & 1 == 1)
                merge_into(rows, tier, rows_of_values(every, chosen, WITH_P95))
    return rows


def all_at_once(held: Sequence[Reading]) -> Stored:
    """Return the rows of every tier straight from the readings."""
    frame = frame_of(held)
    readings = Readings(frame.series, frame.ts[frame.row], frame.value + 0.0, frame.quality)
    rows: Stored = {}
    for tier, every in enumerate(TIERS):
        merge_into(rows, tier, rows_of_values(every, readings, WITH_P95))
    return rows


def tick_and_close(run: Run, listening: int) -> None:
    """A tick that says nothing changed is not journaled: neither it nor a close may then change a thing."""
    before = pack(run.windows.snapshot())
    changed = run.windows.tick(listening)
    run.close()
    assert changed or (pack(run.windows.snapshot()) == before and not run.closed[-1])


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
def test_what_restarts_closes_the_same_at_the_same_time(held: list[Reading], random: Random) -> None:
    """A replay folds again what a checkpoint does not have: it must come to the same state, bit for bit."""
    with small_steps(taken=random.random() < 0.7):
        goes_the_same_way(held, random)


def goes_the_same_way(held: list[Reading], random: Random) -> None:
    budget = random.choice([1, 7, 600])
    steady, restarted = Run(budget), Run(budget)
    order = sorted(held, key=lambda reading: reading.ts + random.uniform(0, 20_000))
    for batch in batches(order, random):
        stepped = np.array(random.sample(range(DEVICES), 2)) if random.random() < 0.2 else None
        for run in (steady, restarted):
            run.add(batch)
            if stepped is not None:
                run.windows.rewind(stepped)
        if random.random() < 0.5:
            restarted.restart()
        assert pack(steady.windows.snapshot()) == pack(restarted.windows.snapshot())


def temperature(seconds: float, value: float = 20.0, device: int = 0) -> Reading:
    return Reading(device, T0 + int(seconds * 1000), 0, value)


def test_a_window_closes_when_the_watermark_reaches_its_end() -> None:
    run = Run()
    run.add([temperature(0.2)])
    run.add([temperature(2.999)])
    assert run.starts(0) == []
    run.add([temperature(3.0)])
    assert run.starts(0) == [0]
    assert run.windows.watermark(0) == T0 + 1000
    assert run.windows.newest(0) == T0 + 3000


def test_watermarks_are_of_each_device_alone() -> None:
    run = Run()
    run.add([temperature(0, device=0), temperature(0, device=1)])
    run.add([temperature(30, device=0)])
    assert run.starts(0) == [0]
    assert not len(run.add([temperature(0.5, device=1)]))
    late = run.add([temperature(0.5, device=0)])
    assert late.numbers.ts.tolist() == [T0 + 500]


def test_a_late_reading_names_the_tiers_the_store_has_to_correct() -> None:
    run = Run()
    run.add([temperature(0), temperature(4)])
    base_only = run.add([temperature(0.5)])
    assert base_only.numbers.tiers.tolist() == [0b001]
    run.add([temperature(9)])
    five_seconds_over = run.add([temperature(0.7)])
    assert five_seconds_over.numbers.tiers.tolist() == [0b011]
    run.add([temperature(13)])
    everything_over = run.add([temperature(0.8)])
    assert everything_over.numbers.tiers.tolist() == [0b111]


def test_a_late_reading_is_in_the_open_coarser_window_once() -> None:
    run = Run()
    run.add([temperature(0, 1.0), temperature(4, 2.0)])
    run.add([temperature(0.5, 4.0)])
    run.drain()
    found = run.plain()
    five = found[5_000, 0, T0]
    assert isinstance(five, Plain)
    assert (five.values, five.sum) == (3, 7.0)
    one = found[1_000, 0, T0]
    assert isinstance(one, Plain)
    assert (one.values, one.sum) == (1, 1.0)


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


def test_a_reading_too_far_ahead_does_not_move_the_watermark_beyond_the_skew() -> None:
    ahead = temperature(3600)
    run = Run()
    run.windows.add(frame_of([ahead], arrival=T0), listening_ms=0)
    assert run.windows.newest(0) == T0 + SKEW
    untrusted = Run()
    untrusted.windows.add(frame_of([ahead], arrival=T0), listening_ms=0, trusted=False)
    assert untrusted.windows.newest(0) == ahead.ts


def test_a_clock_that_stepped_back_closes_what_was_ahead_and_begins_anew() -> None:
    run = Run()
    run.add([temperature(3000, 1.0), temperature(3010, 2.0)], trusted=False)
    run.windows.rewind(np.array([0]))
    assert run.windows.newest(0) is None
    assert not len(run.add([temperature(5, 4.0)]))
    assert sorted(run.starts(0)) == [3000, 3010]
    run.add([temperature(20, 8.0)])
    assert run.starts(0)[-1] == 5
    assert run.windows.watermark(0) == T0 + 20_000 - LATENESS


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


def test_the_next_start_is_the_first_window_not_opened_yet() -> None:
    run = Run()
    assert run.windows.next_start(0) == 0
    assert run.windows.newest(7) is None
    assert run.windows.watermark(0) is None
    run.add([temperature(1.5)])
    assert run.windows.next_start(0) == T0 + 2_000


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
        seen.append(([part.tier for part in closed.numeric], [part.tier for part in closed.states]))
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


def test_a_p95_is_only_where_it_is_asked_for_and_in_every_tier() -> None:
    held = [Reading(0, T0 + 100 * at, metric, float(at)) for at in range(40) for metric in (0, 1)]
    run = Run()
    run.add(held)
    run.drain()
    found = {
        (part.tier, series, start): p95
        for closed in run.closed
        for part in closed.numeric
        for series, start, p95 in part.rows[["series", "start", "p95"]].tolist()
    }
    assert all(math.isnan(p95) for (_, series, _), p95 in found.items() if series == 0)
    assert found[0, 1, T0] == 9.0
    assert found[1, 1, T0] == 37.0
    assert found[2, 1, T0] == 37.0


def p95_of_next(windows: Windows, second: int) -> dict[int, float | None]:
    """Close a base window with a 1.0 of temperature and of humidity; the p95 of each series."""
    devices = len(windows._series.series_device) // 3
    held = [
        Reading(device, T0 + second * 1000, metric, 1.0) for device in range(devices) for metric in (0, 1)
    ]
    windows.add(frame_of(held), listening_ms=0)
    ((_, rows), *_) = windows.drain().numeric
    return {
        series: None if math.isnan(p95) else p95
        for series, p95 in zip(rows["series"].tolist(), rows["p95"].tolist(), strict=True)
    }


def test_a_p95_follows_series_that_are_new_and_numbers_that_are_reused() -> None:
    one = windows(1)
    fleet = one._series
    assert isinstance(fleet, Fleet)
    assert p95_of_next(one, 0) == {0: None, 1: 1.0}
    more = Fleet(2)
    fleet.series_device, fleet.series_metric = more.series_device, more.series_metric
    fleet.series_is_state = more.series_is_state
    assert p95_of_next(one, 10) == {0: None, 1: 1.0, 3: None, 4: 1.0}
    fleet.metric_names = (P95, "temperature", "door")
    assert p95_of_next(one, 20) == {0: None, 1: 1.0, 3: None, 4: 1.0}, "it is told by the epoch alone"
    fleet.series_epoch += 1
    assert p95_of_next(one, 30) == {0: 1.0, 1: None, 3: 1.0, 4: None}


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
    assert many.watermark(10_000) is None


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


def late_states(late: Late) -> tuple[list[int], list[int]]:
    return late.states.code.tolist(), late.states.tiers.tolist()


def test_texts_are_late_as_numbers_are() -> None:
    run = Run()
    run.add([Reading(0, T0, DOOR, 0.0), Reading(0, T0 + 4_000, DOOR, 2.0)])
    late = run.add([Reading(0, T0 + 500, DOOR, 1.0)])
    assert late_states(late) == ([1], [1])
    run.drain()
    found = run.plain()
    assert found[5_000, 2, T0] == PlainState(2, T0 + 4_000, 0, T0, 2)
    assert found[1_000, 2, T0] == PlainState(0, T0, 0, T0, 0)


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


def test_late_readings_follow_the_record_that_is_replayed() -> None:
    run = Run()
    run.add([temperature(0), temperature(30)])
    series, ts = np.array([0]), np.array([T0 + 500])
    none = np.empty(0, np.int64)
    for tiers, found in ((np.array([0b111]), [0b111]), (none, [])):
        late = RecordedLate(series[: len(tiers)], ts[: len(tiers)], tiers)
        run.windows.recorded = Recorded(late=late)
        assert run.add([temperature(0.5)]).numbers.tiers.tolist() == found
    run.windows.recorded = None

"""Deadlines are absolute, each comes once, and what is measured of them is right."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_sim.devices.pacing import Lateness, Pacer, Percentiles, SimClock, judge
from fleet_sim.noise import Stream, device_keys


def uniform(count: int) -> Stream:
    return Stream(device_keys(7, [f"d{i}" for i in range(count)]), "pace")


def all_due(pacer: Pacer, until: float, step: float) -> list[tuple[int, int, int]]:
    found = []
    horizon = 0.0
    while horizon < until:
        horizon = min(until, horizon + step)
        while (due := pacer.take(horizon)).rows.size:
            found += list(zip(due.rows.tolist(), due.ticks.tolist(), due.at.tolist(), strict=True))
    return found


@settings(deadline=None, max_examples=40)
@given(
    every=st.integers(5, 500),
    phases=st.lists(st.integers(0, 499), min_size=1, max_size=20),
    step=st.floats(1, 2000),
)
def test_every_deadline_comes_once_at_its_absolute_time_whatever_the_look_ahead(
    every: int, phases: list[int], step: float
) -> None:
    pacer = Pacer(phases, every, uniform=uniform(len(phases)).uniform)
    due = all_due(pacer, 3000, step)
    expected = {
        (row, n, phase + n * every)
        for row, phase in enumerate(phases)
        for n in range(3000 // every + 1)
        if phase + n * every < 3000
    }
    assert len(due) == len(set(due))
    assert set(due) == expected


@settings(deadline=None, max_examples=30)
@given(jitter=st.floats(0.01, 1.0), step=st.floats(10, 900))
def test_jitter_moves_single_deadlines_within_its_share_and_never_shifts_the_rest(
    jitter: float, step: float
) -> None:
    pacer = Pacer([0, 50], 100, uniform=uniform(2).uniform, jitter=jitter)
    for row, tick, at in all_due(pacer, 20_000, step):
        assert abs(at - (row * 50 + tick * 100)) <= jitter * 100 + 1


@pytest.mark.parametrize(("jitter", "poisson"), [(0.0, False), (0.4, False), (0.0, True)])
def test_deadlines_before_a_device_is_switched_on_are_skipped_and_the_others_stay(
    jitter: float, poisson: bool
) -> None:
    def pacer(since: float | list[float]) -> Pacer:
        draws = uniform(3).uniform
        at = np.array(since) if isinstance(since, list) else since
        return Pacer([0, 50, 50], 100, uniform=draws, jitter=jitter, poisson=poisson, since_ms=at)

    since = [0.0, 250.0, 5_000.0]
    every = all_due(pacer(-np.inf), 3000, 700)
    expected = [each for each in every if each[2] >= since[each[0]]]
    assert sorted(all_due(pacer(since), 3000, 700)) == sorted(expected)


def test_jitter_does_not_depend_on_the_look_ahead() -> None:
    runs = [
        sorted(all_due(Pacer([0, 3, 9], 40, uniform=uniform(3).uniform, jitter=0.3), 4000, step))
        for step in (7, 100, 4000)
    ]
    assert runs[0] == runs[1] == runs[2]


def test_poisson_gaps_have_the_interval_as_their_mean_and_its_deviation() -> None:
    pacer = Pacer([0], 1000, uniform=uniform(1).uniform, poisson=True)
    at = np.array([when for _, _, when in all_due(pacer, 5_000_000, 50_000)])
    gaps = np.diff(at)
    assert gaps.min() >= 1
    assert gaps.mean() == pytest.approx(1000, rel=0.05)
    assert gaps.std() == pytest.approx(1000, rel=0.08)


def test_due_rows_are_in_time_order_and_ties_in_the_order_of_rows() -> None:
    due = Pacer([30, 10, 10, 20], 100, uniform=uniform(4).uniform).take(100)
    assert due.rows.tolist() == [1, 2, 3, 0]
    assert due.at.tolist() == [10, 10, 20, 30]


def test_no_device_is_never_due() -> None:
    pacer = Pacer([], 100, uniform=uniform(0).uniform)
    assert pacer.take(1e12).rows.size == 0
    assert pacer.next_at() == np.inf


@given(speed=st.floats(0.01, 1000), seconds=st.floats(0, 1e5))
def test_the_simulated_clock_and_its_inverse(speed: float, seconds: float) -> None:
    clock = SimClock(1000.0, 5e11, speed)
    assert clock.mono(clock.at(1000.0 + seconds)) == pytest.approx(1000.0 + seconds, abs=1e-3)
    assert clock.at(1001.0) - clock.at(1000.0) == pytest.approx(1000.0 * speed, rel=1e-3)


@settings(deadline=None)
@given(st.lists(st.integers(1, 10_000_000), min_size=1, max_size=300))
def test_lateness_tells_percentiles_to_one_percent(values: list[int]) -> None:
    lateness = Lateness()
    for part in (values[:7], values[7:]):
        lateness.add(part)
    exact = Percentiles.of(values)
    assert lateness.count == len(values)
    assert lateness.most == max(values)
    for share, value in ((0.5, exact.p50), (0.95, exact.p95), (0.99, exact.p99)):
        assert value <= lateness.percentile(share) * 1.0001
        assert lateness.percentile(share) <= value * 1.0101 + 1


def test_percentiles_are_nearest_rank() -> None:
    assert Percentiles.of(range(1, 101)) == Percentiles(100, 50.0, 90.0, 95.0, 99.0, 100.0)
    assert Percentiles.of([]) == Percentiles(0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert Percentiles.of([3]) == Percentiles(1, 3.0, 3.0, 3.0, 3.0, 3.0)


def test_a_generator_that_ran_late_is_saturated() -> None:
    assert not judge(sent=10_000, overruns=100, loop_lag_p99_us=2_000).saturated
    late = judge(sent=10_000, overruns=101, loop_lag_p99_us=2_000)
    assert late.saturated
    assert "101 of 10000" in late.reason
    assert judge(sent=10_000, overruns=0, loop_lag_p99_us=300_000).saturated
    assert not judge(sent=20, overruns=10, loop_lag_p99_us=0).saturated, "a few at the start say nothing"

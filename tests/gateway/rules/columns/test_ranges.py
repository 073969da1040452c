"""Ranges against all samples remembered: exact while they are few, never off by more than a pane when they are many."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.rules.columns.panes import MAX_CAPACITY, PANES, STEPS
from edge_gateway.rules.columns.ranges import LateSamples, Ring
from edge_gateway.rules.language.functions import FAMILY, parameter_of, with_parameter

PARAMETERS = {"quantile_over_time": 0.9, "predict_linear": 600.0}
EVERY = tuple(
    with_parameter(name, PARAMETERS[name]) if name in PARAMETERS else name for name in sorted(FAMILY)
)


def family_of(function: str) -> str:
    return FAMILY[parameter_of(function)[0]]


Sample = tuple[int, int, float]
"""Slot, time, value."""


def values_of(ring: Ring, slot: Any, at: Any, value: Any, function: str, **more: Any) -> Any:
    """The function at each row; `more` as `Ring.feed` takes it."""
    (found,) = ring.feed(slot, at, value, [function], **more)
    return found[function]


def fed(samples: Sequence[Sample], ms: int, function: str, cut: int, slots: int = 3) -> list[float]:
    """The function at each sample, with `cut` samples going in together. Those older than the newest go in late."""
    ring = Ring(ms, family_of(function))
    ring.panes.add_slots(slots)
    found = np.full(len(samples), np.nan)
    newest = [0] * slots
    for start in range(0, len(samples), cut):
        slot, at, value = (np.array(column) for column in zip(*samples[start : start + cut], strict=True))
        now = np.zeros(len(at), np.int64)
        for row, (one, time) in enumerate(zip(slot.tolist(), at.tolist(), strict=True)):
            newest[one] = now[row] = max(newest[one], time)
        order = np.argsort(slot, kind="stable")
        is_late = (at < now)[order]
        late = np.flatnonzero(is_late & ~np.isnan(value[order]))
        behind = LateSamples(late, at[order][late], value[order][late]) if len(late) else None
        inside = np.where(is_late, np.nan, value[order])
        found[start + order] = values_of(
            ring, slot[order], at[order], inside, function, late=behind, nows=[now[order]]
        )
    return [float(value) for value in found]


def plainly(samples: Sequence[Sample], ms: int, function: str) -> list[float]:
    found = []
    for number, (slot, _, _) in enumerate(samples):
        so_far = [(t, v) for s, t, v in samples[: number + 1] if s == slot]
        now = max(t for t, _ in so_far)
        own = sorted((t, v) for t, v in so_far if now - ms < t <= now and not math.isnan(v))
        found.append(_plain(own, function, now) if own else math.nan)
    return found


def _plain(own: list[tuple[int, float]], function: str, now: int) -> float:  # noqa: C901, PLR0911, PLR0912 - one line a function
    values = [v for _, v in own]
    span = (own[-1][0] - own[0][0]) / 1000
    match function:
        case "avg_over_time":
            return math.fsum(values) / len(values)
        case "sum_over_time":
            return math.fsum(values)
        case "count_over_time":
            return float(len(values))
        case "last_over_time":
            return values[-1]
        case "min_over_time":
            return min(values)
        case "max_over_time":
            return max(values)
        case "delta":
            return values[-1] - values[0] if span > 0 else math.nan
        case "rate":
            rises = [after - before if after >= before else after for before, after in pairwise(values)]
            return math.fsum(rises) / span if span > 0 else math.nan
        case "stddev_over_time":
            return statistics.pstdev(values)
        case "changes":
            return float(sum(before != after for before, after in pairwise(values)))
        case "quantile_over_time:0.9":
            return float(np.quantile(values, 0.9))
        case "predict_linear:600.0":
            seconds = [(t - own[-1][0]) / 1000 for t, _ in own]
            if span == 0:
                return math.nan
            slope, at_last = np.polyfit(seconds, values, 1)
            return float(at_last + slope * ((now - own[-1][0]) / 1000 + 600))
        case _:
            return (
                float(np.polyfit([(t - own[-1][0]) / 1000 for t, _ in own], values, 1)[0])
                if span > 0
                else math.nan
            )


def few(random: Random, count: int, ms: int) -> list[Sample]:
    """No two samples of a device within one pane."""
    clock = dict.fromkeys(range(3), 1_767_225_600_000)
    found = []
    for _ in range(count):
        slot = random.randrange(3) if random.random() < 0.7 else 0
        clock[slot] += random.randint(-(-ms // PANES), ms // random.choice((3, 20, 60)))
        value = math.nan if random.random() < 0.1 else round(random.uniform(-20, 40), 2)
        found.append((slot, clock[slot], value))
    return found


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    function=st.sampled_from(EVERY),
    ms=st.sampled_from((60_000, 300_000, 7_777)),
    cut=st.sampled_from((2, 9, 50, 500)),
)
def test_few_samples_are_exact_and_cuts_do_not_matter(seed: int, function: str, ms: int, cut: int) -> None:
    samples = few(Random(seed), 200, ms)
    one_by_one = fed(samples, ms, function, 1)
    np.testing.assert_array_equal(fed(samples, ms, function, cut), one_by_one)
    np.testing.assert_allclose(one_by_one, plainly(samples, ms, function), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "function",
    [
        "avg_over_time",
        "count_over_time",
        "max_over_time",
        "rate",
        "deriv",
        "changes",
        "stddev_over_time",
        "quantile_over_time:0.9",
    ],
)
@pytest.mark.parametrize("cut", [7, 5000])
def test_many_samples_are_coarse_by_a_pane_at_most(function: str, cut: int) -> None:
    """Eight samples a pane: the far edge of the range is the only thing that is not exact."""
    random = Random(3)
    samples = [
        (0, 1_767_225_600_000 + 10 * number, random.gauss(20, 1) + number / 100) for number in range(1200)
    ]
    found = fed(samples, 10_000, function, cut, 1)
    np.testing.assert_array_equal(found, fed(samples, 10_000, function, 1, 1))
    within = [
        _plain([(at, value) for _, at, value in samples[-1000 + less :]], function, samples[-1][1])
        for less in range(12)
    ]
    # of a pane's samples the slope, the deviation and the quantile take the first
    room = 0.3 if family_of(function) == "samples" else 0.01
    assert min(within) - room <= found[-1] <= max(within) + room


def test_a_sum_does_not_drift() -> None:
    samples = [(0, 1_767_225_600_000 + 1000 * number, 0.1) for number in range(20_000)]
    assert set(fed(samples, 10_000, "avg_over_time", 500, 1)[20:]) == {0.1}


@pytest.mark.parametrize("function", EVERY)
def test_memory_is_bounded_and_a_snapshot_goes_on_alike(function: str) -> None:
    random = Random(1)
    samples = [(0, 1_767_225_600_000 + 10 * number, random.random()) for number in range(4000)]
    ring = Ring(10_000, family_of(function))
    ring.panes.add_slots(1)
    slot, at, value = (np.array(column) for column in zip(*samples, strict=True))
    values_of(ring, slot[:2000], at[:2000], value[:2000], function)
    again = Ring.from_snapshot(ring.panes.snapshot())
    for each in (ring, again):
        assert each.panes.snapshot()["capacity"] <= MAX_CAPACITY
    first, second = (
        values_of(each, slot[2000:], at[2000:], value[2000:], function) for each in (ring, again)
    )
    np.testing.assert_array_equal(first, second)


def test_a_forgotten_slot_begins_anew() -> None:
    ring = Ring(60_000, "sums")
    ring.panes.add_slots(2)
    at = np.array([1_767_225_600_000] * 2)
    values_of(ring, np.array([0, 1]), at, np.array([5.0, 7.0]), "avg_over_time")
    ring.panes.forget(np.array([0]))
    found = values_of(ring, np.array([0, 1]), at - 5000, np.array([1.0, math.nan]), "avg_over_time")
    assert found[0] == 1.0


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    function=st.sampled_from(EVERY),
    ms=st.sampled_from((60_000, 300_000)),
    cut=st.sampled_from((1, 2, 9, 500)),
)
def test_late_samples_are_put_where_they_belong(seed: int, function: str, ms: int, cut: int) -> None:
    random = Random(seed)
    samples = few(random, 150, ms)
    if family_of(function) in STEPS:  # between two samples of one slice a step is not known
        slices = {
            (slot, at // Ring(ms, "sums").panes.pane_ms): (slot, at, value) for slot, at, value in samples
        }
        samples = list(slices.values())
    for place in sorted(random.sample(range(len(samples)), min(40, len(samples)))):
        # moved on among the samples that arrive
        later = min(place + random.randint(1, 25), len(samples) - 1)
        samples.insert(later, samples.pop(place))
    found = fed(samples, ms, function, cut)
    np.testing.assert_allclose(found, plainly(samples, ms, function), rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(found, fed(samples, ms, function, 1))


SCALES = (1e-300, 1e-20, 1e-3, 1.0, 1e6, 1.7e12, 2.0**46, 1e17, 1e290)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    function=st.sampled_from(("sum_over_time", "avg_over_time", "rate")),
    scales=st.lists(st.sampled_from(SCALES), min_size=1, max_size=3),
    cut=st.sampled_from((1, 7, 500)),
)
def test_sums_are_exact_whatever_the_magnitude(
    seed: int, function: str, scales: list[float], cut: int
) -> None:
    random = Random(seed)
    samples = [(s, t, v * random.choice(scales)) for s, t, v in few(random, 150, 60_000)]
    for place in random.sample(range(len(samples) - 6), 10):
        samples.insert(place + 5, samples.pop(place))
    expected = plainly(samples, 60_000, function)
    if function == "rate":  # each rise is rounded, so that what is left where large ones cancel is not exact
        greatest = max(abs(value) for _, _, value in samples if not math.isnan(value))
        found = fed(samples, 60_000, function, cut)
        np.testing.assert_allclose(found, expected, rtol=1e-15, atol=1e-15 * greatest)
    else:
        np.testing.assert_array_equal(fed(samples, 60_000, function, cut), expected)


def test_a_counter_of_bytes_does_not_turn_negative() -> None:
    samples = [(0, 1_767_225_600_000 + 10_000 * number, 1.7e12) for number in range(200)]
    assert set(fed(samples, 900_000, "avg_over_time", 1, 1)) == {1.7e12}


def test_a_sum_beyond_all_doubles_is_unknown() -> None:
    samples = [(0, 1_767_225_600_000 + 1000 * number, 1.7e308) for number in range(2)]
    np.testing.assert_array_equal(fed(samples, 60_000, "sum_over_time", 1, 1), [1.7e308, math.nan])


@pytest.mark.parametrize("function", ["sum_over_time", "rate"])
def test_what_limbs_do_not_hold_is_forgotten_with_its_panes_and_kept_in_snapshots(function: str) -> None:
    random, begin = Random(4), 1_767_225_600_000
    ring = Ring(60_000, family_of(function))
    ring.panes.add_slots(1)
    one = np.zeros(1, np.int64)
    for number in range(500):
        at = np.array([begin + 1000 * number])
        values_of(ring, one, at, np.array([random.uniform(0, 1e200)]), function)
    assert len(ring.panes.beside[0]) <= MAX_CAPACITY
    again, at = Ring.from_snapshot(ring.panes.snapshot()), np.array([begin + 500_000])
    found = [values_of(each, one, at, np.array([1e200]), function).tolist() for each in (ring, again)]
    assert found[0] == found[1]
    ring.panes.forget(one)
    assert not ring.panes.beside


@pytest.mark.parametrize("function", EVERY)
def test_histories_stay_when_room_is_made_for_more_devices_and_samples(function: str) -> None:
    random, begin = Random(2), 1_767_225_600_000
    grown, roomy = Ring(60_000, family_of(function)), Ring(60_000, family_of(function))
    roomy.panes.add_slots(300)
    held = 0
    for step, more in enumerate((1, 70, 0, 120, 0, 0, 109) + (0,) * 20):
        held += len(range(grown.panes.add_slots(more), held + more))
        slot = np.arange(held)
        at = np.full(held, begin + 1_000 * step)
        value = np.array([random.random() for _ in slot])
        one, other = (values_of(ring, slot, at, value, function) for ring in (grown, roomy))
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("function", EVERY)
def test_a_look_at_a_slot_is_what_its_last_sample_was_told_and_changes_nothing(function: str) -> None:
    random, ring = Random(function), Ring(60_000, family_of(function))
    ring.panes.add_slots(2)
    now = 1_767_225_600_000
    for _ in range(300):
        now += random.choice((100, 1_000, 7_000, 70_000))
        value = random.choice((random.uniform(-5, 5), 1e300, 1.7e12, -3.0))
        at = np.array([now, now])
        told = values_of(ring, np.array([0, 1]), at, np.array([value, -value]), function)
        before = ring.panes.snapshot()
        looked = [ring.at(slot, now, function) for slot in (0, 1)]
        np.testing.assert_array_equal(looked, told)
        np.testing.assert_equal(ring.panes.snapshot(), before)


@pytest.mark.parametrize("base", [0.0, 1.7e12, -1.7e12])
def test_spread_quantiles_and_lines_are_exact_whatever_the_magnitude(base: float) -> None:
    at = [1_767_225_600_000 + 1000 * number for number in range(5)]
    samples = [(0, each, base + value) for each, value in zip(at, (0.5, 2.5, 2.5, 1.0, 3.5), strict=True)]

    def last(function: str) -> float:
        return fed(samples, 60_000, function, 5, 1)[-1]

    assert last("stddev_over_time") == pytest.approx(statistics.pstdev([0.5, 2.5, 2.5, 1.0, 3.5]), rel=1e-12)
    assert last("changes") == 3
    assert last("quantile_over_time:0.5") == base + 2.5
    assert last("quantile_over_time:0.25") == base + 1.0
    assert last("quantile_over_time:0.9") == pytest.approx(base + 3.1, rel=1e-15)
    assert last("predict_linear:10.0") - base == pytest.approx(2.9 + 10 * 0.45, abs=1e-3)
    assert [last(f"quantile_over_time:{part}") for part in ("0", "1.0")] == [base + 0.5, base + 3.5]


def test_one_sample_has_no_line_and_no_spread() -> None:
    samples = [(0, 1_767_225_600_000, 5.0)]
    found = {name: fed(samples, 60_000, name, 1, 1)[0] for name in EVERY}
    assert math.isnan(found["predict_linear:600.0"])
    assert (found["stddev_over_time"], found["changes"], found["quantile_over_time:0.9"]) == (0, 0, 5)

"""Faults over a recording: readings outside them stay, times stay, and a seed decides everything."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_recordings.faults import KINDS
from fleet_recordings.labels import Label
from fleet_recordings.overlay import falsified, laid_over
from fleet_recordings.reading import RecordedSample

MINUTE = 60_000


def samples(count: int = 20, device: str = "a") -> list[RecordedSample]:
    return [
        RecordedSample(n * MINUTE, device, {"t": 10.0 + n, "h": 50.0}, {"t": 0.5} if n % 2 else None)
        for n in range(count)
    ]


def fault(kind: str, first: int, last: int, size: float | None = None, device: str = "a") -> Label:
    return Label(first * MINUTE, device, "t", kind, last * MINUTE, size)


def series(given: list[RecordedSample]) -> dict[int, float]:
    return {each.ts // MINUTE: each.m["t"] for each in given if "t" in each.m}


@pytest.mark.parametrize(
    ("kind", "size", "struck"),
    [
        ("bias", 5.0, {3: 18.0, 4: 19.0, 5: 20.0}),
        ("spike", 5.0, {3: 18.0, 4: 14.0, 5: 15.0}),
        ("drift", 60.0, {3: 13.0, 4: 15.0, 5: 17.0}),
        ("stuck", None, {3: 12.0, 4: 12.0, 5: 12.0}),
        ("dropout", None, {}),
        ("missing_code", -200.0, {3: -200.0, 4: -200.0, 5: -200.0}),
    ],
)
def test_each_kind_strikes_its_readings_alone(
    kind: str, size: float | None, struck: dict[int, float]
) -> None:
    plain = series(samples())
    expected = {at: value for at, value in plain.items() if not 3 <= at < 6} | struck
    assert series(laid_over(samples(), [fault(kind, 3, 6, size)], 0)) == expected


def test_a_sensor_that_sticks_from_its_first_reading_on_repeats_that() -> None:
    assert series(laid_over(samples(4), [fault("stuck", 0, 3)], 0)) == {0: 10.0, 1: 10.0, 2: 10.0, 3: 13.0}


def test_other_metrics_devices_times_and_qualities_stay() -> None:
    mixed = sorted([*samples(), *samples(device="b")])
    laid = laid_over(mixed, [fault("dropout", 3, 6)], 0)
    assert [(each.ts, each.device, each.m["h"]) for each in laid] == [
        (each.ts, each.device, 50.0) for each in mixed
    ]
    assert [each for each in laid if each.device == "b"] == samples(device="b")
    assert [each.q for each in laid if each.device == "a"][2:7] == [None, None, None, None, None]


def test_a_sample_that_loses_its_only_value_is_left_out() -> None:
    alone = [RecordedSample(n, "a", {"t": 1.0}, None) for n in range(3)]
    assert laid_over(alone, [Label(1, "a", "t", "dropout", 2)], 0) == [alone[0], alone[2]]


@given(st.sampled_from(KINDS), st.integers(0, 15), st.integers(1, 5), st.integers(0, 3))
def test_what_no_fault_strikes_stays_and_the_seed_decides(
    kind: str, first: int, many: int, seed: int
) -> None:
    laid = fault(kind, first, first + many, 3.0)
    once, again = laid_over(samples(), [laid], seed), laid_over(samples(), [laid], seed)
    assert once == again
    plain = series(samples())
    assert {at: value for at, value in series(once).items() if not first <= at < first + many} == {
        at: value for at, value in plain.items() if not first <= at < first + many
    }


def test_noise_has_its_deviation_and_differs_by_seed_and_onset() -> None:
    ts, flat = np.arange(4_000, dtype=np.int64), np.zeros(4_000)
    noise = [
        falsified(flat, ts, Label(0, "a", "t", "noise", at, 2.0), seed) for seed in (1, 2) for at in (4_000,)
    ]
    assert noise[0].std() == pytest.approx(2.0, rel=0.05)
    assert noise[0].mean() == pytest.approx(0.0, abs=0.1)
    assert (noise[0] != noise[1]).all()

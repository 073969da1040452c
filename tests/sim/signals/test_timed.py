"""Models whose value follows from the time alone."""

# ruff: noqa: E501 - metrics of one line are read as one line
import numpy as np
import pytest

from tests.sim.metrics_under_test import DAY, HOUR, MINUTE, Run, scenario


def test_constant() -> None:
    run = Run(scenario("a: {model: constant, value: 5}\nb: {model: constant, value: [1, 3]}"))
    values = [message["b"] for message in run.at(0)]
    assert {message["a"] for message in run.at(1)} == {5.0}
    assert all(1 <= value <= 3 for value in values)
    assert len(set(values)) == 20
    assert values == [message["b"] for message in run.at(DAY)]


def test_sine() -> None:
    run = Run(scenario("a: {model: sine, mean: 10, amplitude: 2, period: 1m}"))
    assert run.column("a", range(0, 60_000, 15_000)) == pytest.approx([10, 12, 10, 8], abs=1e-5)


def test_cycle_peaks_at_its_hour_and_rests_on_weekends() -> None:
    run = Run(scenario("a: {model: cycle, mean: 20, daily: 3, peak: 15h, weekend: -5}"))
    thursday = run.column("a", range(0, DAY, HOUR))
    assert thursday[15] == max(thursday) == pytest.approx(23)
    assert thursday[3] == min(thursday) == pytest.approx(17)
    assert run.at(2 * DAY + 15 * HOUR)[0]["a"] == pytest.approx(18)


def test_step_and_ramp() -> None:
    run = Run(scenario("a: {model: step, before: 1, after: 2, at: 1m}\nb: {model: ramp, from: 0, to: 10, over: 1m, wait: 1m}\n"
                       "c: {model: ramp, from: 0, to: 10, over: 1m, repeat: true}"))  # fmt: skip
    assert run.column("a", range(0, 2 * MINUTE, 30_000)) == [1, 1, 2, 2]
    assert run.column("b", range(0, 4 * MINUTE, 30_000)) == [0, 0, 0, 5, 10, 10, 10, 10]
    assert run.column("c", range(0, 2 * MINUTE, 30_000)) == [0, 5, 0, 5]


def test_drain_ends_empty() -> None:
    run = Run(scenario("a: {model: drain, from: 100, per_day: 40}"))
    assert run.column("a", range(0, 4 * DAY, DAY)) == pytest.approx([100, 60, 20, 0])


def test_wear_grows_fast_at_the_end_and_begins_anew() -> None:
    run = Run(scenario("a: {model: wear, from: 1, to: 9, life: 10m}"))
    values = np.array(run.column("a", range(0, 20 * MINUTE, 10_000)))
    assert values.min() == pytest.approx(1, abs=0.01)
    assert values.max() == pytest.approx(9, abs=0.5)
    assert (np.diff(values) < 0).sum() == 2
    assert (values < 2).mean() == pytest.approx(0.5, abs=0.02)  # (1/2)³ of the way at half its life

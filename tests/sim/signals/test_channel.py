"""From the true value to the reading: noise, limits, precision, quality, settings."""

# ruff: noqa: E501 - metrics of one line are read as one line
import math
from typing import Any

import numpy as np
import pytest

from tests.sim.metrics_under_test import START, Run, scenario


@pytest.mark.parametrize(("setting", "value", "text"), [
    ("nothing.setpoint", 1, "no metric 'nothing'"), ("t.speed", 1, "no setting 'speed'"), ("t", 1, "no setting ''"),
    ("t.setpoint", "cold", "must be a number"), ("t.setpoint", math.nan, "must be a number"), ("t.setpoint", True, "must be a number"),
    ("s.state", "ajar", "one of open, shut"), ("s.state", 1, "one of open, shut"),
])  # fmt: skip
def test_a_command_that_cannot_be_done_says_why(setting: str, value: Any, text: str) -> None:
    run = Run(
        scenario(
            "t: {model: thermal, setpoint: -18, lag: 1m}\ns: {model: states, stay: {open: 1h, shut: 1h}}"
        )
    )
    with pytest.raises(ValueError, match=text):
        run.signals.apply_command(0, setting, value)


@pytest.mark.parametrize(
    ("precision", "decimals"), [(0.01, 2), (0.5, 1), (5, 0), (1, 0), (0.05, 2), (0.001, 3)]
)
def test_readings_are_multiples_of_their_precision(precision: float, decimals: int) -> None:
    run = Run(scenario(f"a: {{model: ou, mean: 3, deviation: 20, precision: {precision}}}", count=300))
    for message in run.at(0):
        value = message["a"]
        assert value == round(value, decimals)
        assert math.isclose(value / precision, round(value / precision), abs_tol=1e-6)
        assert math.copysign(1, value) == 1 or value < 0


def test_limits_hold_for_what_is_sent() -> None:
    run = Run(scenario("a: {model: ou, mean: 50, deviation: 80, noise: 9, min: 0, max: 100}", count=300))
    values = [message["a"] for message in run.at(0)]
    assert (min(values), max(values)) == (0, 100)


def test_noise_is_no_part_of_what_follows_from_a_metric() -> None:
    run = Run(scenario("a: {model: constant, value: 5, noise: 3}\nb: {model: linear, of: a}"))
    messages = run.at(0)
    assert {message["b"] for message in messages} == {5.0}
    assert np.std([message["a"] for message in messages]) > 1


def test_quality_is_between_its_limits() -> None:
    run = Run(scenario("a: {model: constant, value: 5, quality: [0.7, 0.9]}\nb: {model: constant, value: 5}"))
    sample = run.signals.sample(np.arange(20), np.arange(20), np.full(20, START))
    drawn = [quality["a"] for quality in sample.qualities() if quality]
    assert len(drawn) == 20
    assert 0.7 <= min(drawn) < max(drawn) <= 0.9

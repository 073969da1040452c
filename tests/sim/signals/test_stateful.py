"""Models with a state per device."""

# ruff: noqa: E501 - metrics of one line are read as one line
import math

import numpy as np
import pytest

from tests.sim.metrics_under_test import HOUR, MINUTE, Run, scenario


def test_random_walk_spreads_with_the_root_of_time_within_its_limits() -> None:
    run = Run(scenario("a: {model: random_walk, start: 0, step: 1}", count=2000))
    run.at(0)
    spread = [np.std([message["a"] for message in run.at(ms)]) for ms in range(MINUTE, 17 * MINUTE, MINUTE)]
    assert spread[0] == pytest.approx(1, rel=0.1)
    assert spread[15] == pytest.approx(4, rel=0.1)
    fenced = Run(scenario("a: {model: random_walk, start: 5, step: 40, min: 0, max: 10}", count=200))
    for ms in range(0, HOUR, MINUTE):
        assert all(0 <= message["a"] <= 10 for message in fenced.at(ms))


def test_ou_has_its_mean_deviation_and_memory_whatever_the_step() -> None:
    run = Run(scenario("a: {model: ou, mean: 7, deviation: 2, memory: 1m}", count=4000))
    first = np.array([message["a"] for message in run.at(0)])
    later = np.array([message["a"] for message in run.at(MINUTE)])
    assert first.mean() == pytest.approx(7, abs=0.1)
    assert first.std() == pytest.approx(2, rel=0.05)
    assert later.std() == pytest.approx(2, rel=0.05)
    assert np.corrcoef(first, later)[0, 1] == pytest.approx(math.exp(-1), abs=0.05)


def test_ar1() -> None:
    run = Run(scenario("a: {model: ar1, mean: 1, phi: 0.6, deviation: 2}", count=4000))
    first = np.array([message["a"] for message in run.at(0)])
    later = np.array([message["a"] for message in run.at(1000)])
    assert later.std() == pytest.approx(2, rel=0.05)
    assert np.corrcoef(first, later)[0, 1] == pytest.approx(0.6, abs=0.05)


def test_states_stay_as_long_as_said_and_follow_their_weights() -> None:
    run = Run(
        scenario(
            "a: {model: states, stay: {idle: 60s, busy: 20s, broken: 20s}, then: {idle: {busy: 1}, busy: {idle: 3, broken: 1}, broken: {idle: 1}}}",
            count=400,
        )
    )
    codes = np.array([[message["a"] for message in run.at(ms)] for ms in range(0, 900_000, 1000)])
    # stationary visits idle : busy : broken = 4 : 4 : 1, times their stay 60 : 20 : 20
    settled = codes[300:]
    assert (settled == "idle").mean() == pytest.approx(240 / 340, abs=0.03)
    assert (settled == "broken").mean() == pytest.approx(20 / 340, abs=0.02)
    follows = {(a, b) for a, b in zip(codes[:-1].ravel(), codes[1:].ravel(), strict=True) if a != b}
    assert follows == {("idle", "busy"), ("busy", "idle"), ("busy", "broken"), ("broken", "idle")}


def test_states_begin_as_told() -> None:
    run = Run(scenario("a: {model: states, stay: {x: 1h, y: 1h}, initial: y}"))
    assert {message["a"] for message in run.at(0)} == {"y"}


def test_tank_fills_when_low_and_stops_when_high() -> None:
    run = Run(scenario("a: {model: tank, start: 50, inflow: 20, outflow: 10, low: 20, high: 80}"))
    levels = run.column("a", range(0, 30 * MINUTE, 10_000))
    turns = [
        levels[i]
        for i in range(1, len(levels) - 1)
        if (levels[i] - levels[i - 1]) * (levels[i + 1] - levels[i]) < 0
    ]
    assert turns == pytest.approx([20, 80, 20, 80, 20], abs=2)


def test_it_follows_a_setpoint_with_its_lag() -> None:
    run = Run(scenario("t: {model: thermal, setpoint: -18, ambient: 20, lag: 1m}"))
    assert run.at(0)[0]["t"] == -18
    assert run.signals.apply_command(0, "t.setpoint", -28.0) == ()
    moved = run.at(MINUTE)
    assert moved[0]["t"] == pytest.approx(-28 + 10 * math.exp(-1), abs=1e-4)
    assert moved[1]["t"] == -18


def test_the_step_does_not_matter() -> None:
    made = scenario("t: {model: thermal, setpoint: -18, start: 5, lag: 1m}")
    fine, coarse = Run(made), Run(made)
    for ms in range(0, MINUTE + 1, 100):
        one = fine.at(ms)[0]["t"]
    coarse.at(0)
    assert coarse.at(MINUTE)[0]["t"] == pytest.approx(one, abs=1e-4)


def test_a_leak_holds_it_above_the_setpoint() -> None:
    run = Run(scenario("t: {model: thermal, setpoint: -20, ambient: 20, leak: 10%, lag: 1m}"))
    assert run.at(0)[0]["t"] == pytest.approx(-16)


def test_loss_of_cooling_until_a_command_repairs_it() -> None:
    fault = "- {kind: heat_up, metric: t, match: {device: [dev-00003, dev-00004]}, after: 10s, for: 1h}"
    run = Run(scenario("t: {model: thermal, setpoint: -18, ambient: 20, lag: 1m}", faults=fault))
    for ms in range(0, 71_000, 1000):
        message = run.at(ms)
    warm = 20 - 38 * math.exp(-61 / 60)  # cooling is lost from the sample at 10 s on, whose step was 1 s
    assert message[3]["t"] == pytest.approx(warm, abs=1e-3)
    assert message[2]["t"] == -18
    assert run.signals.apply_command(3, "t.setpoint", -22) == (0,)
    assert run.signals.apply_command(3, "t.setpoint", -22) == ()
    assert run.signals.apply_command(2, "t.setpoint", -18) == ()
    for ms in range(71_000, 400_000, 1000):
        message = run.at(ms)
    assert message[3]["t"] == pytest.approx(-22, abs=0.3)
    assert message[4]["t"] > 19


def test_a_command_before_the_fault_or_for_another_metric_repairs_nothing() -> None:
    fault = "- {kind: heat_up, metric: t, after: 10s, for: 20s}\n- {kind: heat_up, metric: u, repair: none}"
    run = Run(
        scenario(
            "t: {model: thermal, setpoint: -18, lag: 1m}\nu: {model: thermal, setpoint: 0, lag: 1m}",
            faults=fault,
        )
    )
    run.at(9_999)
    assert run.signals.apply_command(0, "t.setpoint", -20) == ()
    run.at(10_000)
    assert run.signals.apply_command(1, "t.setpoint", -20) == (0,)
    run.at(15_000)
    assert run.signals.apply_command(0, "u.setpoint", -20) == ()
    run.at(30_000)
    assert run.signals.apply_command(0, "t.setpoint", -20) == ()

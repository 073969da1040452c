"""Draws that devices make once, and noise that changes slowly."""

import numpy as np
import pytest

from fleet_sim.noise import device_keys
from fleet_sim.signals.moment import Devices, SensorNoise, SlowNoise

IDS = [f"d{i}" for i in range(2000)]
DEVICES = Devices({name: row for row, name in enumerate(IDS)}, device_keys(1, IDS), device_keys(1, IDS), 0)
HOUR = 3_600_000


def test_a_spread_is_drawn_once_for_each_device_between_its_limits() -> None:
    drawn = DEVICES.spread((1.0, 3.0), "x")
    assert (drawn == DEVICES.spread((1.0, 3.0), "x")).all()
    assert not (drawn == DEVICES.spread((1.0, 3.0), "y")).any()
    assert 1 <= drawn.min() < 1.1
    assert 2.9 < drawn.max() < 3
    assert (DEVICES.spread((2.0, 2.0), "x") == 2.0).all()


def test_sensor_noise_has_its_deviation_and_leaves_out_quiet_metrics() -> None:
    noise = SensorNoise({"a": 2.0, "quiet": 0.0, "b": 0.5}, DEVICES)
    rows = np.arange(len(IDS))
    drawn = noise.at(rows, np.full(len(IDS), 5))
    assert list(drawn) == ["a", "b"]
    assert drawn["a"].std() == pytest.approx(2.0, rel=0.1)
    assert drawn["b"].std() == pytest.approx(0.5, rel=0.1)
    assert SensorNoise({"quiet": 0.0}, DEVICES).at(rows, rows) == {}


def test_slow_noise_is_smooth_and_forgets_after_a_few_knots() -> None:
    slow = SlowNoise(DEVICES.keys, "x", HOUR)
    rows = np.arange(len(IDS))
    now, soon, later = (slow.at(rows, np.full(len(IDS), ms)) for ms in (0, HOUR // 100, 5 * HOUR))
    assert now.std() == pytest.approx(0.8, abs=0.1)
    assert np.abs(now - soon).max() < 0.2
    assert abs(np.corrcoef(now, later)[0, 1]) < 0.1

"""Signals whose value follows from the time alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fleet_sim.signals.elementary import sine
from fleet_sim.signals.moment import SlowNoise

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleet_sim.noise import F8, I8
    from fleet_sim.signals.models import Constant, Cycle, Drain, Ramp, Sine, Step, Wear
    from fleet_sim.signals.moment import Devices, Moment

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
_THURSDAY = 3  # the weekday of 1970-01-01, Monday being 0
_SATURDAY = 5


def time_of_day(at_ms: I8, peak_ms: int) -> F8:
    """A daily sine with its top at `peak_ms` after midnight UTC."""
    return sine((at_ms % DAY_MS - peak_ms) / DAY_MS + 0.25)


class ConstantSignal:
    def __init__(self, model: Constant, devices: Devices, name: str) -> None:
        self._value = devices.spread(model.value, f"{name}/value")
        self.settings: Mapping[str, F8] = {"value": self._value}

    def sample(self, now: Moment) -> F8:
        return self._value[now.rows]


class SineSignal:
    def __init__(self, model: Sine, devices: Devices, name: str) -> None:
        self._mean = devices.spread(model.mean, f"{name}/mean")
        self._amplitude = devices.spread(model.amplitude, f"{name}/amplitude")
        self._phase = devices.spread(model.phase, f"{name}/phase")
        self._per_second = 1000 / model.period
        self.settings: Mapping[str, F8] = {"mean": self._mean, "amplitude": self._amplitude}

    def sample(self, now: Moment) -> F8:
        wave = sine(now.elapsed_s * self._per_second + self._phase[now.rows])
        return self._mean[now.rows] + self._amplitude[now.rows] * wave


class CycleSignal:
    def __init__(self, model: Cycle, devices: Devices, name: str) -> None:
        self._mean = devices.spread(model.mean, f"{name}/mean")
        self._daily = devices.spread(model.daily, f"{name}/daily")
        self._weekend = devices.spread(model.weekend, f"{name}/weekend")
        self._peak = model.peak
        self._wander = model.wander
        self._slow = SlowNoise(devices.keys, f"{name}/wander", HOUR_MS)
        self.settings: Mapping[str, F8] = {"mean": self._mean}

    def sample(self, now: Moment) -> F8:
        value = self._mean[now.rows] + self._daily[now.rows] * time_of_day(now.at_ms, self._peak)
        weekday = (now.at_ms // DAY_MS + _THURSDAY) % 7
        value += np.where(weekday >= _SATURDAY, self._weekend[now.rows], 0.0)
        if self._wander:
            value += self._wander * self._slow.at(now.rows, now.at_ms)
        return value


class StepSignal:
    def __init__(self, model: Step, devices: Devices, name: str) -> None:
        self._before = devices.spread(model.before, f"{name}/before")
        self._after = devices.spread(model.after, f"{name}/after")
        self._at_s = model.at / 1000
        self.settings: Mapping[str, F8] = {}

    def sample(self, now: Moment) -> F8:
        return np.where(now.elapsed_s >= self._at_s, self._after[now.rows], self._before[now.rows])


class RampSignal:
    def __init__(self, model: Ramp, devices: Devices, name: str) -> None:
        self._start = devices.spread(model.start, f"{name}/from")
        self._rise = devices.spread(model.to, f"{name}/to") - self._start
        self._wait_s, self._over_s = model.wait / 1000, model.over / 1000
        self._repeat = model.repeat
        self.settings: Mapping[str, F8] = {}

    def sample(self, now: Moment) -> F8:
        part = np.maximum(now.elapsed_s - self._wait_s, 0.0) / self._over_s
        part = part - np.floor(part) if self._repeat else np.minimum(part, 1.0)
        return self._start[now.rows] + self._rise[now.rows] * part


class DrainSignal:
    def __init__(self, model: Drain, devices: Devices, name: str) -> None:
        self._start = devices.spread(model.start, f"{name}/from")
        self._per_second = devices.spread(model.per_day, f"{name}/per_day") / 86_400
        self._to = model.to
        self.settings: Mapping[str, F8] = {}

    def sample(self, now: Moment) -> F8:
        left = self._start[now.rows] - self._per_second[now.rows] * now.elapsed_s
        return np.maximum(left, self._to)


class WearSignal:
    def __init__(self, model: Wear, devices: Devices, name: str) -> None:
        self._start = devices.spread(model.start, f"{name}/from")
        self._growth = devices.spread(model.to, f"{name}/to") - self._start
        self._age = devices.stream(f"{name}/age").of_devices()
        self._life_s, self._shape = model.life / 1000, model.shape
        self.settings: Mapping[str, F8] = {}

    def sample(self, now: Moment) -> F8:
        age = now.elapsed_s / self._life_s + self._age[now.rows]
        age -= np.floor(age)
        grown = age
        for _ in range(self._shape - 1):
            grown = grown * age
        return self._start[now.rows] + self._growth[now.rows] * grown

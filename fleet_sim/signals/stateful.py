"""Signals with a state per device, which advances by the time since the device's last sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fleet_sim.signals.elementary import decay
from fleet_sim.signals.models import FromWeather
from fleet_sim.signals.weather import SiteWeather

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleet_sim.noise import F8
    from fleet_sim.signals.models import Autoregressive, OrnsteinUhlenbeck, RandomWalk, States, Tank, Thermal
    from fleet_sim.signals.moment import BOOL, Devices, Moment


class RandomWalkSignal:
    def __init__(self, model: RandomWalk, devices: Devices, name: str) -> None:
        self._state = devices.spread(model.start, f"{name}/start")
        self._step = devices.spread(model.step, f"{name}/step") / np.sqrt(60.0)
        self._low = -np.inf if model.min is None else model.min
        self._high = np.inf if model.max is None else model.max
        self._draws = devices.stream(f"{name}/walk")
        self.settings: Mapping[str, F8] = {}

    def sample(self, now: Moment) -> F8:
        stride = self._step[now.rows] * np.sqrt(now.dt_s) * self._draws.normal(now.rows, now.ticks)
        value = self._state[now.rows] + stride
        value = np.where(value > self._high, 2 * self._high - value, value)
        value = np.where(value < self._low, 2 * self._low - value, value)
        fenced: F8 = np.clip(value, self._low, self._high)
        self._state[now.rows] = fenced
        return fenced


class OrnsteinUhlenbeckSignal:
    """Exact for any step: x' = mean + (x - mean) f + deviation √(1 - f²) n, with f = exp(-dt / memory)."""

    def __init__(self, model: OrnsteinUhlenbeck, devices: Devices, name: str) -> None:
        self._mean = devices.spread(model.mean, f"{name}/mean")
        self._deviation = devices.spread(model.deviation, f"{name}/deviation")
        self._memory_s = model.memory / 1000
        self._draws = devices.stream(f"{name}/ou")
        self._off = np.zeros(len(devices))
        self.settings: Mapping[str, F8] = {"mean": self._mean}

    def sample(self, now: Moment) -> F8:
        kept = decay(now.dt_s / self._memory_s)
        if now.first is not None:
            kept = np.where(now.first, 0.0, kept)
        off = self._off[now.rows] * kept
        draw = self._draws.normal(now.rows, now.ticks)
        off += self._deviation[now.rows] * np.sqrt(1.0 - kept * kept) * draw
        self._off[now.rows] = off
        return self._mean[now.rows] + off


class AutoregressiveSignal:
    def __init__(self, model: Autoregressive, devices: Devices, name: str) -> None:
        self._mean = devices.spread(model.mean, f"{name}/mean")
        self._deviation = devices.spread(model.deviation, f"{name}/deviation")
        self._phi, self._fresh = model.phi, float(np.sqrt(1 - model.phi**2))
        self._draws = devices.stream(f"{name}/ar1")
        self._off = np.zeros(len(devices))
        self.settings: Mapping[str, F8] = {"mean": self._mean}

    def sample(self, now: Moment) -> F8:
        draw = self._deviation[now.rows] * self._draws.normal(now.rows, now.ticks)
        off = self._phi * self._off[now.rows] + self._fresh * draw
        if now.first is not None:
            off = np.where(now.first, draw, off)
        self._off[now.rows] = off
        return self._mean[now.rows] + off


class StatesSignal:
    """Codes of words; the time in a state is exponential: chance to leave in dt is 1 - exp(-dt / stay)."""

    def __init__(self, model: States, devices: Devices, name: str) -> None:
        self.words = tuple(model.stay)
        self._stay_s = np.array([model.stay[word] / 1000 for word in self.words])
        self._next = np.array([_chances(model, word) for word in self.words]).cumsum(axis=1)
        self._leaving = devices.stream(f"{name}/leave")
        self._choosing = devices.stream(f"{name}/next")
        self._state = self._initial(model, devices, name)
        self.settings: Mapping[str, F8] = {"state": self._state}

    def sample(self, now: Moment) -> F8:
        state = self._state[now.rows]
        codes = state.astype(np.int64)
        chance = 1.0 - decay(now.dt_s / np.maximum(self._stay_s[codes], 1e-3))
        leaves = np.flatnonzero(self._leaving.uniform(now.rows, now.ticks) < chance)
        if leaves.size:
            rows = now.rows[leaves]
            draw = self._choosing.uniform(rows, now.ticks[leaves])
            state[leaves] = (draw[:, None] >= self._next[codes[leaves]]).sum(axis=1)
            self._state[rows] = state[leaves]
        return state

    def _initial(self, model: States, devices: Devices, name: str) -> F8:
        if model.initial is not None:
            return np.full(len(devices), float(self.words.index(model.initial)))
        shares = np.maximum(self._stay_s, 1e-3).cumsum()
        draw = devices.stream(f"{name}/initial").of_devices() * shares[-1]
        codes: F8 = np.searchsorted(shares, draw, side="right").astype(np.float64)
        return codes


def _chances(model: States, word: str) -> list[float]:
    after = model.then.get(word) or {other: 1.0 for other in model.stay if other != word} or {word: 1.0}
    total = sum(after.values())
    chances = [after.get(other, 0.0) / total for other in model.stay]
    last = max(each for each, chance in enumerate(chances) if chance > 0)
    return [*chances[:last], 2.0, *chances[last + 1 :]]  # the last possible one takes what rounding leaves


class ThermalSignal:
    """dT/dt = (target - T) / lag. With cooling the target is near the setpoint, without it is the ambient."""

    def __init__(self, model: Thermal, devices: Devices, name: str) -> None:
        self._setpoint = devices.spread(model.setpoint, f"{name}/setpoint")
        self._weather = SiteWeather(devices) if isinstance(model.ambient, FromWeather) else None
        box = (0.0, 0.0) if isinstance(model.ambient, FromWeather) else model.ambient
        self._ambient = devices.spread(box, f"{name}/ambient")
        self._lag_s, self._leak = model.lag / 1000, model.leak
        self._start = None if model.start is None else devices.spread(model.start, f"{name}/start")
        self._state = np.zeros(len(devices))
        self.uncooled: BOOL = np.zeros(len(devices), dtype=np.bool_)
        """set before a sample by a fault that takes the cooling away, and for that sample only"""
        self.settings: Mapping[str, F8] = {"setpoint": self._setpoint}

    def sample(self, now: Moment) -> F8:
        ambient = self._ambient[now.rows] if self._weather is None else self._weather.temperature(now)
        setpoint = self._setpoint[now.rows]
        target = setpoint + self._leak * (ambient - setpoint)
        uncooled = self.uncooled[now.rows]
        before = self._state[now.rows]
        if now.first is not None:
            start = target if self._start is None else self._start[now.rows]
            before = np.where(now.first, start, before)
        if uncooled.any():
            target = np.where(uncooled, ambient, target)
            self.uncooled[now.rows] = False
        value = target + (before - target) * decay(now.dt_s / self._lag_s)
        self._state[now.rows] = value
        return value


class TankSignal:
    def __init__(self, model: Tank, devices: Devices, name: str) -> None:
        self._level = devices.spread(model.start, f"{name}/start")
        self._inflow = devices.spread(model.inflow, f"{name}/inflow")
        self._outflow = devices.spread(model.outflow, f"{name}/outflow")
        self._low, self._high = model.low, model.high
        self._empty = 0.0 if model.min is None else model.min
        self._full = max(self._high, 100.0) if model.max is None else model.max
        self._filling: BOOL = self._level <= self._low
        self.settings: Mapping[str, F8] = {"inflow": self._inflow, "outflow": self._outflow}

    def sample(self, now: Moment) -> F8:
        minutes = now.dt_s * (1 / 60)
        filling = self._filling[now.rows]
        flow = np.where(filling, self._inflow[now.rows], 0.0) - self._outflow[now.rows]
        level = np.clip(self._level[now.rows] + flow * minutes, self._empty, self._full)
        self._filling[now.rows] = (filling | (level <= self._low)) & (level < self._high)
        self._level[now.rows] = level
        return level

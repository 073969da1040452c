"""Signals that follow from other metrics of the same device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fleet_sim.signals.elementary import logarithm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleet_sim.noise import F8
    from fleet_sim.signals.models import DewPoint, DissolvedOxygen, Linear, Pump
    from fleet_sim.signals.moment import Devices, Moment

_KW_PER_FLOW_AND_HEAD = 9.81 / 3600 / 0.65  # m³/h times m, water, at an efficiency of 65 %


class DewPointSignal:
    """Magnus formula over water, constants of Sonntag 1990: within 0.1 K from -20 to 50 °C."""

    def __init__(self, model: DewPoint, _devices: Devices, _name: str) -> None:
        self._temperature, self._humidity = model.temperature, model.humidity
        self.settings: Mapping[str, F8] = {}

    def sample(self, now: Moment) -> F8:
        celsius = now.raw[self._temperature]
        relative = np.clip(now.raw[self._humidity], 1.0, 100.0) * 0.01
        gamma = logarithm(relative) + 17.62 * celsius / (243.12 + celsius)
        value: F8 = 243.12 * gamma / (17.62 - gamma)
        return value


class DissolvedOxygenSignal:
    """Saturation of fresh water at sea level as a cubic in °C (Elmore and Hayes 1960), mg/l."""

    def __init__(self, model: DissolvedOxygen, devices: Devices, name: str) -> None:
        self._temperature = model.temperature
        self._share = devices.spread(model.saturation, f"{name}/saturation")
        self.settings: Mapping[str, F8] = {}

    def sample(self, now: Moment) -> F8:
        celsius = np.clip(now.raw[self._temperature], 0.0, 40.0)
        full = 14.652 + celsius * (-0.41022 + celsius * (0.0079910 - celsius * 0.000077774))
        return self._share[now.rows] * full


class LinearSignal:
    def __init__(self, model: Linear, devices: Devices, name: str) -> None:
        self._of = model.of
        self._factor = devices.spread(model.factor, f"{name}/factor")
        self._offset = devices.spread(model.offset, f"{name}/offset")
        self.settings: Mapping[str, F8] = {}

    def sample(self, now: Moment) -> F8:
        return self._factor[now.rows] * now.raw[self._of] + self._offset[now.rows]


class PumpSignal:
    def __init__(self, model: Pump, devices: Devices, name: str) -> None:
        self._of = model.of
        self._speed = devices.spread(model.speed, f"{name}/speed")
        self._shutoff = devices.spread(model.shutoff, f"{name}/shutoff")
        self._curve = devices.spread(model.curve, f"{name}/curve")
        self._static = devices.spread(model.static, f"{name}/static")
        self.running = model.running
        self._switch = next(iter(model.running), None)
        self.on_code = 0.0
        """the code of the word at which the pump runs, set when the metric of states is known"""
        self.settings: Mapping[str, F8] = {"speed": self._speed}

    def sample(self, now: Moment) -> F8:
        speed = self._speed[now.rows]
        top = speed * speed * self._shutoff[now.rows]
        if self._switch is not None:
            top = np.where(now.raw[self._switch] == self.on_code, top, 0.0)
        curve = self._curve[now.rows]
        flow = np.sqrt(np.maximum(top - self._static[now.rows], 0.0) / curve)
        if self._of == "flow":
            return flow
        head: F8 = np.where(flow > 0, top - curve * flow * flow, top)
        return head if self._of == "head" else flow * head * _KW_PER_FLOW_AND_HEAD

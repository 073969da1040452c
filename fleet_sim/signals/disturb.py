"""Sensor faults as they change what a sensor reports. The true value, and what follows from it, stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from fleet_sim.faults import kinds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleet_sim.faults.plan import PlannedFault
    from fleet_sim.noise import F8
    from fleet_sim.signals.moment import BOOL, Devices, Moment

_HOUR_MS = 3_600_000


@dataclass(slots=True)
class Reading:
    """What the sensor of one metric reports for k devices; `absent` None: nothing is missing."""

    value: F8
    absent: BOOL | None = None


class Disturbance(Protocol):
    """One fault at work."""

    def apply(self, reading: Reading, now: Moment) -> None:
        """Change the reading where the fault is on."""
        ...


class Window:
    """Which devices of a group have a fault, and when: absolute times, ms since 1970."""

    def __init__(
        self, fault: PlannedFault, row_of: Mapping[str, int], start_ms: int, outlast_ms: int = 0
    ) -> None:
        self.chosen: BOOL = np.zeros(len(row_of), dtype=np.bool_)
        self.chosen[[row_of[device] for device in fault.devices if device in row_of]] = True
        self.from_ms = start_ms + fault.from_ms
        self.until_ms = start_ms + fault.until_ms
        self._gone_ms = self.until_ms + outlast_ms

    def hit(self, now: Moment) -> BOOL | None:
        """bool[k], or None where nobody is concerned."""
        on: BOOL = (now.at_ms >= self.from_ms) & (now.at_ms < self._gone_ms)
        if not on.any():
            return None
        on &= self.chosen[now.rows]
        return on if on.any() else None


class Shift:
    """Faults that compute another value, from bias to NaN."""

    def __init__(self, fault: PlannedFault, window: Window, devices: Devices) -> None:
        self._spec = fault.spec
        self._window = window
        self._chance = float(getattr(fault.spec, "p", 1.0))
        self._luck = devices.stream(f"fault/{fault.number}/p")
        self._draws = devices.stream(f"fault/{fault.number}/noise")

    def apply(self, reading: Reading, now: Moment) -> None:
        hit = self._window.hit(now)
        if hit is None:
            return
        if self._chance < 1:
            hit &= self._luck.uniform(now.rows, now.ticks) < self._chance
        reading.value = np.where(hit, self._shifted(reading.value, now), reading.value)

    def _shifted(self, value: F8, now: Moment) -> F8 | float:
        match self._spec:
            case kinds.Bias(by=by) | kinds.Spike(by=by):
                return value + by
            case kinds.Drift(per_hour=per_hour):
                return value + per_hour * ((now.at_ms - self._window.from_ms) / _HOUR_MS)
            case kinds.Noise(deviation=deviation):
                return value + deviation * self._draws.normal(now.rows, now.ticks)
            case kinds.UnitMixUp(scale=scale, offset=offset):
                return value * scale + offset
            case kinds.OutOfRange(value=wrong) | kinds.MissingCode(value=wrong):
                return wrong
            case kinds.NotANumber():
                return float("nan")
            case other:
                raise TypeError(f"a fault of kind {other.kind} computes no value")


class Dropout:
    """The reading is missing."""

    def __init__(self, fault: PlannedFault, window: Window, devices: Devices) -> None:
        self._window = window
        self._chance = float(getattr(fault.spec, "p", 1.0))
        self._luck = devices.stream(f"fault/{fault.number}/p")

    def apply(self, reading: Reading, now: Moment) -> None:
        hit = self._window.hit(now)
        if hit is None:
            return
        if self._chance < 1:
            hit &= self._luck.uniform(now.rows, now.ticks) < self._chance
        reading.absent = hit if reading.absent is None else reading.absent | hit


class Stuck:
    """The last reading before the fault while it lasts; the first one in it where there was none."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._last = np.full(len(window.chosen), np.nan)

    def apply(self, reading: Reading, now: Moment) -> None:
        hit = self._window.hit(now)
        if hit is not None:
            held = self._last[now.rows]
            reading.value = np.where(hit & ~np.isnan(held), held, reading.value)
        self._last[now.rows] = reading.value


class Event:
    """A physical cause: the value is led to a target, and back afterwards."""

    def __init__(self, spec: kinds.Event, window: Window) -> None:
        self._window = window
        self._to, self._rise = spec.to, max(spec.rise, 1)

    def apply(self, reading: Reading, now: Moment) -> None:
        hit = self._window.hit(now)
        if hit is None:
            return
        up = (now.at_ms - self._window.from_ms) / self._rise
        down = 1 - np.maximum(now.at_ms - self._window.until_ms, 0) / self._rise
        share = np.where(hit, np.clip(np.minimum(up, down), 0.0, 1.0), 0.0)
        reading.value = reading.value + (self._to - reading.value) * share


class CoolingLoss:
    """Loss of cooling: not the sensor but the physics. A command of the setpoint may repair it."""

    def __init__(self, fault: PlannedFault, window: Window) -> None:
        self.number = fault.number
        self._window = window
        self._repairable = isinstance(fault.spec, kinds.HeatUp) and fault.spec.repair == "command"
        self._ill: BOOL = window.chosen.copy()

    def uncooled(self, now: Moment) -> BOOL | None:
        """bool[k], or None where all are cooled."""
        hit = self._window.hit(now)
        return None if hit is None else hit & self._ill[now.rows]

    def repair(self, row: int, at_ms: int) -> bool:
        """Whether a command at this time ended the fault of this device."""
        on = self._window.from_ms <= at_ms < self._window.until_ms
        if not (on and self._repairable and self._ill[row]):
            return False
        self._ill[row] = False
        return True


def disturbance(fault: PlannedFault, row_of: Mapping[str, int], devices: Devices) -> Disturbance:
    """The fault of a sensor at work on the devices of a group (all kinds but the loss of cooling)."""
    match fault.spec:
        case kinds.Event() as spec:
            return Event(spec, Window(fault, row_of, devices.start_ms, outlast_ms=spec.rise))
        case kinds.Stuck():
            return Stuck(Window(fault, row_of, devices.start_ms))
        case kinds.Dropout():
            return Dropout(fault, Window(fault, row_of, devices.start_ms), devices)
        case _:
            return Shift(fault, Window(fault, row_of, devices.start_ms), devices)

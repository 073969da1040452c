"""Faults of a sensor at work on the devices of a group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fleet_sim.signals.disturbance import Disturbance, Reading
from fleet_sim.signals.stateful import ThermalSignal

if TYPE_CHECKING:
    from fleet_sim.faults.sensor import Event, ValueFault
    from fleet_sim.signals.moment import BOOL, Devices, Moment, Signal


class Window:
    """Which devices of a group have a fault, and when: absolute times, ms since 1970."""

    def __init__(self, number: int, chosen: BOOL, from_ms: int, until_ms: int) -> None:
        self.number = number
        self.chosen = chosen
        self.from_ms = from_ms
        self.until_ms = until_ms

    def hit(self, now: Moment, *, outlast_ms: int = 0) -> BOOL | None:
        """Return bool[k], None if it hits no device now; a fault may wear off for `outlast_ms` after its end."""
        on: BOOL = (now.at_ms >= self.from_ms) & (now.at_ms < self.until_ms + outlast_ms)
        if not on.any():
            return None
        on &= self.chosen[now.rows]
        return on if on.any() else None


class Luck:
    """Picks the share of the readings that a fault hits."""

    def __init__(self, chance: float, window: Window, devices: Devices) -> None:
        self._chance = chance
        self._window = window
        self._draws = devices.stream(f"fault/{window.number}/p")

    def hit(self, now: Moment) -> BOOL | None:
        """Return bool[k], None if it hits no device now."""
        hit = self._window.hit(now)
        if hit is not None and self._chance < 1:
            hit &= self._draws.uniform(now.rows, now.ticks) < self._chance
        return hit


class Falsified(Disturbance):
    def __init__(self, fault: ValueFault, window: Window, devices: Devices) -> None:
        super().__init__(window.number)
        self._fault = fault
        self._since_ms = window.from_ms
        self._luck = Luck(fault.chance, window, devices)
        self._draws = devices.stream(f"fault/{window.number}/noise")

    def falsify(self, reading: Reading, now: Moment) -> None:
        hit = self._luck.hit(now)
        if hit is not None:
            wrong = self._fault.reported(reading.value, now, self._since_ms, self._draws)
            reading.value = np.where(hit, wrong, reading.value)


class Frozen(Disturbance):
    """The last reading before the fault while it lasts; the first one in it where there was none."""

    def __init__(self, window: Window) -> None:
        super().__init__(window.number)
        self._window = window
        self._last = np.full(len(window.chosen), np.nan)

    def falsify(self, reading: Reading, now: Moment) -> None:
        hit = self._window.hit(now)
        if hit is not None:
            held = self._last[now.rows]
            reading.value = np.where(hit & ~np.isnan(held), held, reading.value)
        self._last[now.rows] = reading.value


class Missing(Disturbance):
    def __init__(self, number: int, luck: Luck) -> None:
        super().__init__(number)
        self._luck = luck

    def falsify(self, reading: Reading, now: Moment) -> None:
        hit = self._luck.hit(now)
        if hit is not None:
            reading.absent = hit if reading.absent is None else reading.absent | hit


class CoolingLoss(Disturbance):
    """Loss of cooling: not the sensor but the physics."""

    def __init__(self, window: Window, *, repairable: bool) -> None:
        super().__init__(window.number)
        self._window = window
        self._repairable = repairable
        self._broken: BOOL = window.chosen.copy()

    def disturb(self, signal: Signal, now: Moment) -> None:
        hit = self._window.hit(now)
        if hit is not None and isinstance(signal, ThermalSignal):
            signal.uncooled[now.rows] |= hit & self._broken[now.rows]

    def repaired_by(self, row: int, setting: str, at_ms: int) -> bool:
        on = self._window.from_ms <= at_ms < self._window.until_ms
        if not (setting == "setpoint" and on and self._repairable and self._broken[row]):
            return False
        self._broken[row] = False
        return True


class Led(Disturbance):
    """Moves the value to a target, and back afterwards."""

    def __init__(self, fault: Event, window: Window) -> None:
        super().__init__(window.number)
        self._window = window
        self._to, self._rise_ms, self._outlast_ms = fault.to, max(fault.rise, 1), fault.rise

    def falsify(self, reading: Reading, now: Moment) -> None:
        hit = self._window.hit(now, outlast_ms=self._outlast_ms)
        if hit is None:
            return
        up = (now.at_ms - self._window.from_ms) / self._rise_ms
        down = 1 - np.maximum(now.at_ms - self._window.until_ms, 0) / self._rise_ms
        share = np.where(hit, np.clip(np.minimum(up, down), 0.0, 1.0), 0.0)
        reading.value = reading.value + (self._to - reading.value) * share

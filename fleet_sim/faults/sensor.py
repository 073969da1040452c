"""Faults of a sensor: what it reports is wrong or missing. The true values, and what follows from them, stay."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from fleet_config.durations import Duration, Percent
from fleet_sim.faults.fault import Fault
from fleet_sim.kinds import kinds_of
from fleet_sim.signals.disturbance import Disturbance, Reading
from fleet_sim.signals.metric import Metric, MetricName
from fleet_sim.signals.stateful import States, Thermal, ThermalSignal

if TYPE_CHECKING:
    from fleet_sim.noise import F8, Stream
    from fleet_sim.signals.moment import BOOL, Devices, Moment, Signal

__all__ = ["SensorFault", "ValueFault", "Window"]

_HOUR_MS = 3_600_000


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


class SensorFault(Fault):
    where = "sensor"
    on_words: ClassVar[bool] = False
    """whether it can happen to a metric of words"""
    metric: MetricName

    def disturbance(self, window: Window, devices: Devices) -> Disturbance:
        """Return the fault, bound to the devices of a group."""
        raise NotImplementedError

    def misfit(self, spec: Metric) -> str | None:
        """Return why it cannot happen to its metric, which is of this model; None if it can."""
        if not isinstance(spec, States) or self.on_words:
            return None
        fitting = " and ".join(word for word, kind in kinds_of(SensorFault, "kind").items() if kind.on_words)
        return f"'{self.metric}' is a word; its faults are {fitting}, not {self.kind}"


class ValueFault(SensorFault):
    """A kind that reports another value."""

    def disturbance(self, window: Window, devices: Devices) -> Disturbance:
        return Falsified(self, window, devices)

    def reported(self, value: F8, now: Moment, since_ms: int, draws: Stream) -> F8 | float:
        """Return what is reported for the values of k devices.

        The fault is on since `since_ms` (ms since 1970); `draws` are numbers for it alone.
        """
        raise NotImplementedError


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


class Spike(ValueFault):
    """Single readings far off."""

    kind: Literal["spike"] = "spike"
    by: float
    p: Percent = 0.01

    def reported(self, value: F8, now: Moment, since_ms: int, draws: Stream) -> F8:  # noqa: ARG002 - the hook
        return value + self.by


class Stuck(SensorFault):
    """The last reading before the fault, again and again."""

    on_words = True
    kind: Literal["stuck"] = "stuck"

    def disturbance(self, window: Window, devices: Devices) -> Disturbance:  # noqa: ARG002 - the hook's
        return Frozen(window)


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


class Drift(ValueFault):
    """An error that grows."""

    kind: Literal["drift"] = "drift"
    per_hour: float

    def reported(self, value: F8, now: Moment, since_ms: int, draws: Stream) -> F8:  # noqa: ARG002 - the hook
        return value + self.per_hour * ((now.at_ms - since_ms) / _HOUR_MS)


class Bias(ValueFault):
    """A constant error."""

    kind: Literal["bias"] = "bias"
    by: float

    def reported(self, value: F8, now: Moment, since_ms: int, draws: Stream) -> F8:  # noqa: ARG002 - the hook
        return value + self.by


class Noise(ValueFault):
    """More noise, by its standard deviation."""

    kind: Literal["noise"] = "noise"
    deviation: float = Field(gt=0)

    def reported(self, value: F8, now: Moment, since_ms: int, draws: Stream) -> F8:  # noqa: ARG002 - the hook
        return value + self.deviation * draws.normal(now.rows, now.ticks)


class Dropout(SensorFault):
    """The metric is missing in the message."""

    on_words = True
    kind: Literal["dropout"] = "dropout"
    p: Percent = 1.0

    def disturbance(self, window: Window, devices: Devices) -> Disturbance:
        return Missing(window.number, Luck(self.chance, window, devices))


class Missing(Disturbance):
    def __init__(self, number: int, luck: Luck) -> None:
        super().__init__(number)
        self._luck = luck

    def falsify(self, reading: Reading, now: Moment) -> None:
        hit = self._luck.hit(now)
        if hit is not None:
            reading.absent = hit if reading.absent is None else reading.absent | hit


class NotANumber(ValueFault):
    """NaN on the wire."""

    kind: Literal["nan"] = "nan"
    p: Percent = 1.0

    def reported(self, value: F8, now: Moment, since_ms: int, draws: Stream) -> float:  # noqa: ARG002 - the hook
        return math.nan


class OutOfRange(ValueFault):
    """A value that no such sensor can measure."""

    kind: Literal["out_of_range"] = "out_of_range"
    value: float
    p: Percent = 1.0

    def reported(self, value: F8, now: Moment, since_ms: int, draws: Stream) -> float:  # noqa: ARG002 - the hook
        return self.value


class MissingCode(ValueFault):
    """A number that stands for "no reading"."""

    kind: Literal["missing_code"] = "missing_code"
    value: float = -200.0
    p: Percent = 1.0

    def reported(self, value: F8, now: Moment, since_ms: int, draws: Stream) -> float:  # noqa: ARG002 - the hook
        return self.value


class UnitMixUp(ValueFault):
    """Another unit than announced: scale * value + offset (°F for °C unless given)."""

    kind: Literal["unit_mix_up"] = "unit_mix_up"
    scale: float = 1.8
    offset: float = 32.0

    def reported(self, value: F8, now: Moment, since_ms: int, draws: Stream) -> F8:  # noqa: ARG002 - the hook
        return value * self.scale + self.offset


class HeatUp(SensorFault):
    """Loss of cooling of a thermal metric: it drifts to the ambient until a command moves its setpoint."""

    kind: Literal["heat_up"] = "heat_up"
    repair: Literal["command", "none"] = "command"

    def disturbance(self, window: Window, devices: Devices) -> Disturbance:  # noqa: ARG002 - the hook's
        return CoolingLoss(window, repairable=self.repair == "command")

    def misfit(self, spec: Metric) -> str | None:
        if isinstance(spec, Thermal):
            return None
        return f"'{self.metric}' is not of model thermal, so it cannot heat up"


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


class Event(SensorFault):
    """A physical cause: the value moves to `to` within `rise`, and back when it is over."""

    kind: Literal["event"] = "event"
    to: float
    rise: Duration = 10_000

    def disturbance(self, window: Window, devices: Devices) -> Disturbance:  # noqa: ARG002 - the hook's
        return Led(self, window)


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

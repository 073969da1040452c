"""Faults of a sensor: what it reports is wrong or missing. The true values, and what follows from them, stay.

What a kind does to columns is imported when it does it: a check of a file needs no numpy.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from fleet_config.durations import Duration, Percent
from fleet_recordings import faults
from fleet_sim.faults.fault import Fault
from fleet_sim.kinds import kinds_of
from fleet_sim.signals.metric import Metric, MetricName
from fleet_sim.signals.models import States, Thermal

if TYPE_CHECKING:
    from fleet_sim.faults.disturbances import Window
    from fleet_sim.noise import F8, Stream
    from fleet_sim.signals.disturbance import Disturbance
    from fleet_sim.signals.moment import Devices, Moment

__all__ = ["SensorFault", "ValueFault"]


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
        from fleet_sim.faults.disturbances import Falsified

        return Falsified(self, window, devices)

    def reported(self, value: F8, now: Moment, since_ms: int, draws: Stream) -> F8 | float:
        """Return what is reported for the values of k devices.

        The fault is on since `since_ms` (ms since 1970); `draws` are numbers for it alone.
        """
        raise NotImplementedError


class Spike(ValueFault):
    """Single readings far off."""

    kind: Literal["spike"] = "spike"
    by: float
    p: Percent = 0.01

    def reported(self, value: F8, now: Moment, since_ms: int, draws: Stream) -> F8:  # noqa: ARG002 - the hook
        return faults.biased(value, self.by)


class Stuck(SensorFault):
    """The last reading before the fault, again and again."""

    on_words = True
    kind: Literal["stuck"] = "stuck"

    def disturbance(self, window: Window, devices: Devices) -> Disturbance:  # noqa: ARG002 - the hook's
        from fleet_sim.faults.disturbances import Frozen

        return Frozen(window)


class Drift(ValueFault):
    """An error that grows."""

    kind: Literal["drift"] = "drift"
    per_hour: float

    def reported(self, value: F8, now: Moment, since_ms: int, draws: Stream) -> F8:  # noqa: ARG002 - the hook
        return faults.drifted(value, self.per_hour, now.at_ms - since_ms)


class Bias(ValueFault):
    """A constant error."""

    kind: Literal["bias"] = "bias"
    by: float

    def reported(self, value: F8, now: Moment, since_ms: int, draws: Stream) -> F8:  # noqa: ARG002 - the hook
        return faults.biased(value, self.by)


class Noise(ValueFault):
    """More noise, by its standard deviation."""

    kind: Literal["noise"] = "noise"
    deviation: float = Field(gt=0)

    def reported(self, value: F8, now: Moment, since_ms: int, draws: Stream) -> F8:  # noqa: ARG002 - the hook
        return faults.noisy(value, self.deviation, draws.normal(now.rows, now.ticks))


class Dropout(SensorFault):
    """The metric is missing in the message."""

    on_words = True
    kind: Literal["dropout"] = "dropout"
    p: Percent = 1.0

    def disturbance(self, window: Window, devices: Devices) -> Disturbance:
        from fleet_sim.faults.disturbances import Luck, Missing

        return Missing(window.number, Luck(self.chance, window, devices))


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
        return faults.mixed_up(value, self.scale, self.offset)


class HeatUp(SensorFault):
    """Loss of cooling of a thermal metric: it drifts to the ambient until a command moves its setpoint."""

    kind: Literal["heat_up"] = "heat_up"
    repair: Literal["command", "none"] = "command"

    @property
    def repaired_by(self) -> str | None:
        return f"{self.metric}.setpoint" if self.repair == "command" else None

    def disturbance(self, window: Window, devices: Devices) -> Disturbance:  # noqa: ARG002 - the hook's
        from fleet_sim.faults.disturbances import CoolingLoss

        return CoolingLoss(window, repairable=self.repair == "command")

    def misfit(self, spec: Metric) -> str | None:
        if isinstance(spec, Thermal):
            return None
        return f"'{self.metric}' is not of model thermal, so it cannot heat up"


class Event(SensorFault):
    """A physical cause: the value moves to `to` within `rise`, and back when it is over."""

    kind: Literal["event"] = "event"
    to: float
    rise: Duration = 10_000

    def disturbance(self, window: Window, devices: Devices) -> Disturbance:  # noqa: ARG002 - the hook's
        from fleet_sim.faults.disturbances import Led

        return Led(self, window)

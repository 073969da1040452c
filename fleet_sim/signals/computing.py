"""What computes each model of a metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from fleet_sim.signals import models
from fleet_sim.signals.derived import DewPointSignal, DissolvedOxygenSignal, LinearSignal, PumpSignal
from fleet_sim.signals.metric import Metric
from fleet_sim.signals.moment import Devices, Signal
from fleet_sim.signals.stateful import (
    AutoregressiveSignal,
    OrnsteinUhlenbeckSignal,
    RandomWalkSignal,
    StatesSignal,
    TankSignal,
    ThermalSignal,
)
from fleet_sim.signals.timed import (
    ConstantSignal,
    CycleSignal,
    DrainSignal,
    RampSignal,
    SineSignal,
    StepSignal,
    WearSignal,
)
from fleet_sim.signals.weather import WeatherSignal

SIGNALS: Final[Mapping[type[Metric], Callable[[Any, Devices, str], Signal]]] = {
    models.Constant: ConstantSignal,
    models.Sine: SineSignal,
    models.Cycle: CycleSignal,
    models.Step: StepSignal,
    models.Ramp: RampSignal,
    models.Drain: DrainSignal,
    models.Wear: WearSignal,
    models.Weather: WeatherSignal,
    models.RandomWalk: RandomWalkSignal,
    models.OrnsteinUhlenbeck: OrnsteinUhlenbeckSignal,
    models.Autoregressive: AutoregressiveSignal,
    models.States: StatesSignal,
    models.Thermal: ThermalSignal,
    models.Tank: TankSignal,
    models.DewPoint: DewPointSignal,
    models.DissolvedOxygen: DissolvedOxygenSignal,
    models.Linear: LinearSignal,
    models.Pump: PumpSignal,
}


def signal_of(model: Metric, devices: Devices, name: str) -> Signal:
    """Return what computes the metric `name` for all devices of a group."""
    return SIGNALS[type(model)](model, devices, name)

"""The `metrics:` of a scenario: one model a metric, told apart by its key `model`."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from fleet_config.durations import Duration, Percent
from fleet_config.explain import wrong_kind
from fleet_config.yaml_source import Strict


def _as_pair(value: object) -> object:
    every = value if isinstance(value, (list, tuple)) else (value, value)
    if len(every) != 2 or not all(map(_is_number, every)):  # noqa: PLR2004 - a pair
        raise wrong_kind("a number or [low, high]")
    return tuple(every)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


Spread = Annotated[
    tuple[float, float],
    BeforeValidator(_as_pair),
    WithJsonSchema(
        {
            "description": "a number, or [low, high]: each device draws its own between them",
            "anyOf": [
                {"type": "number"},
                {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
            ],
        }
    ),
]
MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class Excursions(Strict):
    """Episodes that a metric makes by itself: shares of the time near its thresholds."""

    warning: Percent = 0.15
    critical: Percent = 0.05
    stay: Duration = 60_000
    """how long an episode lasts"""
    reach: tuple[float, float] = (0.95, 1.1)
    """the peak as a share of the way from the mean to the threshold: [1, 1.1] always crosses"""


class Metric(Strict):
    """What every model has besides its own keys."""

    noise: float = Field(default=0.0, ge=0)
    """standard deviation of the sensor's noise"""
    precision: float | None = Field(default=None, gt=0)
    """readings are multiples of it"""
    unit: str = ""
    label: str = ""
    min: float | None = None
    """told in the birth; the signal itself stays within, faults do not"""
    max: float | None = None
    warning: float | None = None
    critical: float | None = None
    every: Duration | None = None
    """sent less often than the device sends: in the first message of each such span of time"""
    quality: tuple[float, float] | None = None
    """the sensor's own doubt: each reading carries a quality drawn between these"""
    excursions: Excursions | None = None


class Constant(Metric):
    """Always the same value."""

    model: Literal["constant"]
    value: Spread


class Sine(Metric):
    """mean + amplitude * sin."""

    model: Literal["sine"]
    mean: Spread = (0.0, 0.0)
    amplitude: Spread
    period: Duration = Field(gt=0)
    phase: Spread = (0.0, 0.0)
    """in turns: 0.25 begins at the top"""


class Cycle(Metric):
    """Daily and weekly patterns, by UTC time of day."""

    model: Literal["cycle"]
    mean: Spread
    daily: Spread = (0.0, 0.0)
    """amplitude: highest at `peak`, lowest twelve hours later"""
    peak: Duration = 14 * 3_600_000
    weekend: Spread = (0.0, 0.0)
    """added on Saturdays and Sundays"""
    wander: float = Field(default=0.0, ge=0)
    """standard deviation of a slow deviation of each device, over about an hour"""


class RandomWalk(Metric):
    """A walk that is reflected at `min` and `max`."""

    model: Literal["random_walk"]
    start: Spread
    step: Spread
    """standard deviation after one minute; it grows with the square root of time"""


class OrnsteinUhlenbeck(Metric):
    """A deviation that is drawn back to the mean."""

    model: Literal["ou"]
    mean: Spread
    deviation: Spread
    """standard deviation in the long run"""
    memory: Duration = Field(default=600_000, gt=0)
    """after so long a deviation has fallen to 37 %"""


class Autoregressive(Metric):
    """AR(1) over the device's own readings."""

    model: Literal["ar1"]
    mean: Spread
    phi: float = Field(gt=-1, lt=1)
    deviation: Spread


class Step(Metric):
    """One value, and another from some time after the start on."""

    model: Literal["step"]
    before: Spread
    after: Spread
    at: Duration


class Ramp(Metric):
    """From one value to another; holds there, or begins again."""

    model: Literal["ramp"]
    start: Spread = Field(alias="from")
    to: Spread
    over: Duration = Field(gt=0)
    wait: Duration = 0
    repeat: bool = False


class States(Metric):
    """A word that changes now and then (a Markov process)."""

    model: Literal["states"]
    stay: dict[str, Duration] = Field(min_length=1)
    """how long the device stays in each state on average"""
    then: dict[str, dict[str, float]] = Field(default_factory=dict)
    """weights of what follows a state; all others alike unless given"""
    initial: str | None = None


class Drain(Metric):
    """A battery."""

    model: Literal["drain"]
    start: Spread = Field(default=(100.0, 100.0), alias="from")
    per_day: Spread
    to: float = 0.0


class FromWeather(Strict):
    """The air outside, shared by all devices of a site."""

    site: Literal["weather"]


class Thermal(Metric):
    """First order: it follows its target with a lag; without cooling the target is the ambient."""

    model: Literal["thermal"]
    setpoint: Spread
    ambient: Spread | FromWeather = (20.0, 20.0)
    lag: Duration = Field(gt=0)
    leak: Percent = 0.0
    """share of the difference to the ambient that cooling does not make up"""
    start: Spread | None = None


class Tank(Metric):
    """A level that is drawn down and refilled when low."""

    model: Literal["tank"]
    start: Spread = (20.0, 80.0)
    inflow: Spread
    """per minute, while it fills"""
    outflow: Spread
    """per minute, always"""
    low: float = 20.0
    high: float = 80.0


class Pump(Metric):
    """A centrifugal pump on its curve: head = speed² * shutoff - curve * flow², against a static head."""

    model: Literal["pump"]
    of: Literal["flow", "head", "power"] = "flow"
    speed: Spread = (1.0, 1.0)
    shutoff: Spread
    """head at no flow and full speed, m"""
    curve: Spread
    """m for a flow of 1"""
    static: Spread = (0.0, 0.0)
    """head the pump must overcome before anything flows, m"""
    running: dict[MetricName, str] = Field(default_factory=dict, alias="while", max_length=1)
    """a metric of states and the word at which the pump runs"""


class Wear(Metric):
    """Grows slowly at first and fast before failure, when the part is replaced."""

    model: Literal["wear"]
    start: Spread = Field(alias="from")
    to: Spread
    life: Duration = Field(gt=0)
    shape: int = Field(default=3, ge=1, le=8)


class Weather(Metric):
    """The weather of the device's site."""

    model: Literal["weather"]
    of: Literal["temperature", "humidity", "pressure", "wind"]
    offset: Spread = (0.0, 0.0)


class DewPoint(Metric):
    """From temperature (°C) and relative humidity (%), by the Magnus formula."""

    model: Literal["dew_point"]
    temperature: MetricName
    humidity: MetricName


class DissolvedOxygen(Metric):
    """mg/l at a share of saturation, which falls with temperature (Elmore and Hayes 1960)."""

    model: Literal["dissolved_oxygen"]
    temperature: MetricName
    saturation: Spread = (0.9, 0.9)


class Linear(Metric):
    """factor * another metric + offset."""

    model: Literal["linear"]
    of: MetricName
    factor: Spread = (1.0, 1.0)
    offset: Spread = (0.0, 0.0)


MetricSpec = Annotated[
    Constant
    | Sine
    | Cycle
    | RandomWalk
    | OrnsteinUhlenbeck
    | Autoregressive
    | Step
    | Ramp
    | States
    | Drain
    | Thermal
    | Tank
    | Pump
    | Wear
    | Weather
    | DewPoint
    | DissolvedOxygen
    | Linear,
    Field(discriminator="model"),
]


def sources(spec: Metric) -> tuple[str, ...]:
    """The metrics of the same device that a metric is computed from."""
    match spec:
        case DewPoint():
            return (spec.temperature, spec.humidity)
        case DissolvedOxygen():
            return (spec.temperature,)
        case Linear():
            return (spec.of,)
        case Pump():
            return tuple(spec.running)
        case _:
            return ()


_SETTINGS = {
    Constant: ("value",),
    Sine: ("mean", "amplitude"),
    Cycle: ("mean",),
    OrnsteinUhlenbeck: ("mean",),
    Autoregressive: ("mean",),
    States: ("state",),
    Thermal: ("setpoint",),
    Tank: ("inflow", "outflow"),
    Pump: ("speed",),
}


def settings_of(spec: Metric) -> tuple[str, ...]:
    """What a command can move, such as the `setpoint` of a thermal metric."""
    return _SETTINGS.get(type(spec), ())

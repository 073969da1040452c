"""The `metrics:` of a scenario: one model a metric, told apart by its key `model`.

A model is a class with the keys of the file; what computes it is in `computing.SIGNALS`. To add one, write both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Union

from pydantic import Field

from fleet_config.durations import Duration, Percent
from fleet_config.validation import Strict
from fleet_sim.kinds import kinds_of
from fleet_sim.signals.metric import Metric, MetricName, Spread


class Constant(Metric):
    """Always the same value."""

    movable = ("value",)
    model: Literal["constant"]
    value: Spread


class Sine(Metric):
    """mean + amplitude * sin."""

    movable = ("mean", "amplitude")
    model: Literal["sine"]
    mean: Spread = (0.0, 0.0)
    amplitude: Spread
    period: Duration = Field(gt=0)
    phase: Spread = (0.0, 0.0)
    """in turns: 0.25 begins at the top"""


class Cycle(Metric):
    """Daily and weekly patterns, by UTC time of day."""

    movable = ("mean",)
    model: Literal["cycle"]
    mean: Spread
    daily: Spread = (0.0, 0.0)
    """amplitude: highest at `peak`, lowest twelve hours later"""
    peak: Duration = 14 * 3_600_000
    weekend: Spread = (0.0, 0.0)
    """added on Saturdays and Sundays"""
    wander: float = Field(default=0.0, ge=0)
    """standard deviation of a slow deviation of each device, over about an hour"""


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


class Drain(Metric):
    """A battery."""

    model: Literal["drain"]
    start: Spread = Field(default=(100.0, 100.0), alias="from")
    per_day: Spread
    to: float = 0.0


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


class RandomWalk(Metric):
    """A walk that is reflected at `min` and `max`."""

    model: Literal["random_walk"]
    start: Spread
    step: Spread
    """standard deviation after one minute; it grows with the square root of time"""


class OrnsteinUhlenbeck(Metric):
    """A deviation that is drawn back to the mean."""

    movable = ("mean",)
    model: Literal["ou"]
    mean: Spread
    deviation: Spread
    """standard deviation in the long run"""
    memory: Duration = Field(default=600_000, gt=0)
    """after so long a deviation has fallen to 37 %"""


class Autoregressive(Metric):
    """AR(1) over the device's own readings."""

    movable = ("mean",)
    model: Literal["ar1"]
    mean: Spread
    phi: float = Field(gt=-1, lt=1)
    deviation: Spread


class States(Metric):
    """A word that changes now and then (a Markov process)."""

    movable = ("state",)
    model: Literal["states"]
    stay: dict[str, Duration] = Field(min_length=1)
    """how long the device stays in each state on average"""
    then: dict[str, dict[str, float]] = Field(default_factory=dict)
    """weights of what follows a state; all others alike unless given"""
    initial: str | None = None


class FromWeather(Strict):
    """The air outside, shared by all devices of a site."""

    site: Literal["weather"]


class Thermal(Metric):
    """First order: it follows its target with a lag; without cooling the target is the ambient."""

    movable = ("setpoint",)
    model: Literal["thermal"]
    setpoint: Spread
    ambient: Spread | FromWeather = (20.0, 20.0)
    lag: Duration = Field(gt=0)
    leak: Percent = 0.0
    """share of the difference to the ambient that cooling does not make up"""
    start: Spread | None = None


class Tank(Metric):
    """A level that is drawn down and refilled when low."""

    movable = ("inflow", "outflow")
    model: Literal["tank"]
    start: Spread = (20.0, 80.0)
    inflow: Spread
    """per minute, while it fills"""
    outflow: Spread
    """per minute, always"""
    low: float = 20.0
    high: float = 80.0


class DewPoint(Metric):
    """From temperature (°C) and relative humidity (%), by the Magnus formula."""

    model: Literal["dew_point"]
    temperature: MetricName
    humidity: MetricName

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.temperature, self.humidity)


class DissolvedOxygen(Metric):
    """mg/l at a share of saturation, which falls with temperature (Elmore and Hayes 1960)."""

    model: Literal["dissolved_oxygen"]
    temperature: MetricName
    saturation: Spread = (0.9, 0.9)

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.temperature,)


class Linear(Metric):
    """factor * another metric + offset."""

    model: Literal["linear"]
    of: MetricName
    factor: Spread = (1.0, 1.0)
    offset: Spread = (0.0, 0.0)

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.of,)


class Pump(Metric):
    """A centrifugal pump on its curve: head = speed² * shutoff - curve * flow², against a static head."""

    movable = ("speed",)
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

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(self.running)


if TYPE_CHECKING:
    MetricSpec = Metric
else:
    MetricSpec = Annotated[
        Union[tuple(kinds_of(Metric, "model").values())],  # noqa: UP007 - of a tuple
        Field(discriminator="model"),
    ]

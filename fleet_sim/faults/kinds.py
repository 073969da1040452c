"""The `faults:` of a scenario: what may go wrong with a sensor, a device or its link, by `kind`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from fleet_config.durations import Duration, Offset, Percent, Size, parse_duration, parse_offset
from fleet_config.match import Match, MatchSpec
from fleet_config.yaml_source import Strict
from fleet_sim.signals.spec import MetricName

Where = Literal["sensor", "device", "link"]


class Selection(Strict):
    """Devices that match, and of these a share, drawn by the seed for each device by itself."""

    match: MatchSpec = Match()
    share: Percent = 1.0


def _selection(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    share = {"share": value["share"]} if "share" in value else {}
    return {"match": {key: each for key, each in value.items() if key != "share"}, **share}


def _drift(value: Any) -> Any:
    """Milliseconds per millisecond of a clock that gains `5ms/m` (also written `5ms/min`)."""
    gain, slash, per = value.partition("/") if isinstance(value, str) else ("", "", "")
    if not slash:
        raise ValueError(f"'{value}' is no drift of a clock; write one like 5ms/m or -1s/d")
    unit = {"min": "m"}.get(per, per)
    return parse_offset(gain) / parse_duration(f"1{unit}")


class ExpectAlert(Strict):
    """The alert that the fault must raise, and how soon after it begins."""

    rule: str
    within: Duration
    level: Literal["critical", "warning", "info"] | None = None


class Fault(Strict):
    """What every kind of fault has."""

    where: ClassVar[Where]
    kind: str

    match: Annotated[
        Selection,
        BeforeValidator(_selection),
        WithJsonSchema(
            {
                "type": "object",
                "properties": {"share": {"type": ["number", "string"]}},
                "additionalProperties": {
                    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
                },
            }
        ),
    ] = Selection()
    phase: str | None = None
    """the phase in which it happens; the whole run unless given"""
    after: Duration = 0
    """since the start of the phase, or of the run"""
    for_: Duration | None = Field(default=None, alias="for")
    """to the end of the phase, or of the run, unless given"""
    expect_alert: ExpectAlert | None = None


class SensorFault(Fault):
    where = "sensor"
    metric: MetricName


class Spike(SensorFault):
    """Single readings far off."""

    kind: Literal["spike"] = "spike"
    by: float
    p: Percent = 0.01


class Stuck(SensorFault):
    """The last reading before the fault, again and again."""

    kind: Literal["stuck"] = "stuck"


class Drift(SensorFault):
    """An error that grows."""

    kind: Literal["drift"] = "drift"
    per_hour: float


class Bias(SensorFault):
    """A constant error."""

    kind: Literal["bias"] = "bias"
    by: float


class Noise(SensorFault):
    """More noise, by its standard deviation."""

    kind: Literal["noise"] = "noise"
    deviation: float = Field(gt=0)


class Dropout(SensorFault):
    """The metric is missing in the message."""

    kind: Literal["dropout"] = "dropout"
    p: Percent = 1.0


class NotANumber(SensorFault):
    """NaN on the wire."""

    kind: Literal["nan"] = "nan"
    p: Percent = 1.0


class OutOfRange(SensorFault):
    """A value that no such sensor can measure."""

    kind: Literal["out_of_range"] = "out_of_range"
    value: float
    p: Percent = 1.0


class MissingCode(SensorFault):
    """A number that stands for "no reading"."""

    kind: Literal["missing_code"] = "missing_code"
    value: float = -200.0
    p: Percent = 1.0


class UnitMixUp(SensorFault):
    """Another unit than announced: scale * value + offset (°F for °C unless given)."""

    kind: Literal["unit_mix_up"] = "unit_mix_up"
    scale: float = 1.8
    offset: float = 32.0


class HeatUp(SensorFault):
    """Loss of cooling of a thermal metric: it drifts to the ambient until a command moves its setpoint."""

    kind: Literal["heat_up"] = "heat_up"
    repair: Literal["command", "none"] = "command"


class Event(SensorFault):
    """A physical cause: the value is led to `to` within `rise`, and back when it is over."""

    kind: Literal["event"] = "event"
    to: float
    rise: Duration = 10_000


class DeviceFault(Fault):
    where = "device"


class LinkFault(Fault):
    where = "link"


class Reconnect(Strict):
    within: Duration = 3000
    """each device at its own random moment in this span"""


class Disconnect(LinkFault):
    """The connection is cut once; the device connects again."""

    kind: Literal["disconnect"] = "disconnect"
    reconnect: Reconnect = Reconnect()


class Storm(LinkFault):
    """All connections cut at once, again and again."""

    kind: Literal["storm"] = "storm"
    times: int = Field(default=1, ge=1, le=1000)
    every: Duration = 30_000
    reconnect: Reconnect = Reconnect()


class Outage(LinkFault):
    """No connection for the whole time; what is measured waits in the buffer."""

    kind: Literal["offline"] = "offline"


class Flap(LinkFault):
    """The link goes down and comes up again, over and over."""

    kind: Literal["flap"] = "flap"
    every: Duration = 10_000
    down: Duration = 2000

    @model_validator(mode="after")
    def _is_up_between(self) -> Self:
        if not 0 < self.down < self.every:
            raise ValueError("'down' must be shorter than 'every'")
        return self


class Delay(LinkFault):
    """Everything takes longer, in both directions."""

    kind: Literal["delay"] = "delay"
    by: Duration = 200


class Bandwidth(LinkFault):
    """So many bytes a second come through, in each direction."""

    kind: Literal["bandwidth"] = "bandwidth"
    bytes_per_second: int = Field(ge=1)


class BlackHole(LinkFault):
    """Nothing comes through and nobody is told: the connection stays until one side finds the other too quiet."""

    kind: Literal["black_hole"] = "black_hole"


class BatteryDeath(DeviceFault):
    """The device is gone without a word; at the fault's end a new battery starts it, with a new boot, nothing kept."""

    kind: Literal["battery_death"] = "battery_death"


class Reboot(DeviceFault):
    """A clean restart: a new boot number, the buffer kept."""

    kind: Literal["reboot"] = "reboot"
    takes: Duration = 5000


class Crash(DeviceFault):
    """A restart without goodbye: a new boot number, the buffer lost."""

    kind: Literal["crash"] = "crash"
    takes: Duration = 5000


class Duplicate(DeviceFault):
    """A message is sent twice."""

    kind: Literal["duplicate"] = "duplicate"
    p: Percent = 0.01


class Reorder(DeviceFault):
    """A message is sent after its successors."""

    kind: Literal["reorder"] = "reorder"
    p: Percent = 0.01
    by: int = Field(default=1, ge=1, le=100)


class LateBatch(DeviceFault):
    """Messages are held back and sent together."""

    kind: Literal["late_batch"] = "late_batch"
    hold: Duration = 30_000


class ClockSkew(DeviceFault):
    """The device's clock is off, and goes at another pace."""

    kind: Literal["clock_skew"] = "clock_skew"
    offset: Offset = 0
    drift: Annotated[
        float,
        BeforeValidator(_drift),
        WithJsonSchema({"type": "string", "examples": ["5ms/m"]}),
    ] = 0.0
    """ms per ms, from `5ms/m`"""


class ClockJump(DeviceFault):
    """The device's clock is set."""

    kind: Literal["clock_jump"] = "clock_jump"
    by: Offset


class WrongType(DeviceFault):
    """A text where a number belongs."""

    kind: Literal["wrong_type"] = "wrong_type"
    metric: MetricName | None = None
    p: Percent = 0.01


class Truncated(DeviceFault):
    """A payload that ends too early."""

    kind: Literal["truncated"] = "truncated"
    p: Percent = 0.01


class RandomPayload(DeviceFault):
    """A payload of random bytes."""

    kind: Literal["random"] = "random"
    p: Percent = 0.01


class Oversize(DeviceFault):
    """A payload beyond what is allowed."""

    kind: Literal["oversize"] = "oversize"
    p: Percent = 0.01
    size: Size = 70_000


class PhaseActions(Strict):
    """`do:` of a phase: device and link faults at its start, by their kind."""

    disconnect: Disconnect | None = None
    storm: Storm | None = None
    offline: Outage | None = None
    flap: Flap | None = None
    delay: Delay | None = None
    bandwidth: Bandwidth | None = None
    black_hole: BlackHole | None = None
    reboot: Reboot | None = None
    crash: Crash | None = None
    battery_death: BatteryDeath | None = None
    late_batch: LateBatch | None = None
    clock_jump: ClockJump | None = None

    def faults(self) -> Iterator[Fault]:
        """Those that are given."""
        for name in type(self).model_fields:
            fault = getattr(self, name)
            if fault is not None:
                yield fault


AnyFault = Annotated[
    Spike
    | Stuck
    | Drift
    | Bias
    | Noise
    | Dropout
    | NotANumber
    | OutOfRange
    | MissingCode
    | UnitMixUp
    | HeatUp
    | Event
    | Disconnect
    | Storm
    | Outage
    | Flap
    | Delay
    | Bandwidth
    | BlackHole
    | Reboot
    | Crash
    | BatteryDeath
    | Duplicate
    | Reorder
    | LateBatch
    | ClockSkew
    | ClockJump
    | WrongType
    | Truncated
    | RandomPayload
    | Oversize,
    Field(discriminator="kind"),
]
Faults = tuple[AnyFault, ...]

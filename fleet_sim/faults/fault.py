"""What every kind of fault has, and the hook by which each level of them acts.

A kind is one class: its fields are the keys of a scenario file, its methods what it does. Nothing lists the kinds.

==============  ============================================================================
`SensorFault`   `disturbance`: acts on a metric, in the signals (sensor.py)
`ClockFault`    `ahead_ms`: moves what its device takes for the time (clock.py)
`ContentFault`  `corrupt`: changes what a message says (content.py)
`SendingFault`  `takes`, `follows`: changes how a message goes out (sending.py)
any of them     `deeds`: does something to its devices at certain times (link.py, restart.py)
==============  ============================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BeforeValidator, Field, WithJsonSchema

from fleet_config.durations import Duration, Percent
from fleet_config.match import Match, MatchSpec
from fleet_config.validation import Strict

if TYPE_CHECKING:
    from fleet_sim.faults.targets import Targets

__all__ = ["Deed", "DeviceFault", "ExpectAlert", "Fault", "LinkFault", "Selection", "Where"]

Where = Literal["sensor", "device", "link"]


class Deed(NamedTuple):
    """Something done to the devices of a fault at a time, in ms since the run's start.

    `ends`: it ends what an earlier deed of the fault began, and is done early where the run stops before its time.
    """

    at_ms: float
    do: Callable[[Targets], None]
    ends: bool = False


class Selection(Strict):
    """Devices that match, and a share of them, drawn by the seed for each device independently."""

    match: MatchSpec = Match()
    share: Percent = 1.0


def _selection(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    share = {"share": value["share"]} if "share" in value else {}
    return {"match": {key: each for key, each in value.items() if key != "share"}, **share}


class ExpectAlert(Strict):
    """The alert that the fault must raise, and how soon after it begins."""

    rule: str
    within: Duration
    level: Literal["critical", "warning", "info"] | None = None


class Fault(Strict):
    """What every kind of fault has."""

    where: ClassVar[Where]
    in_phase: ClassVar[bool] = False
    """whether `do:` of a phase may name it"""
    once: ClassVar[bool] = False
    """whether it happens and is over, whatever `for` says"""
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
    ] = Selection.model_construct()
    phase: str | None = None
    """the phase in which it happens; the whole run unless given"""
    after: Duration = 0
    """since the start of the phase, or of the run"""
    for_: Duration | None = Field(default=None, alias="for")
    """to the end of the phase, or of the run, unless given"""
    expect_alert: ExpectAlert | None = None

    @property
    def repaired_by(self) -> str | None:
        """The setting that a command changes to end it early, such as `temperature.setpoint`; None: no command can."""
        return None

    @property
    def chance(self) -> float:
        """The share of readings or messages that it strikes; a kind without the key `p` strikes all."""
        return float(getattr(self, "p", 1.0))

    def deeds(self, from_ms: int, until_ms: int) -> Iterable[Deed]:  # noqa: ARG002 - for those that have any
        """Return what it does to its devices at certain times, when it lasts from `from_ms` to `until_ms`."""
        return ()


class DeviceFault(Fault):
    where = "device"


class LinkFault(Fault):
    where = "link"

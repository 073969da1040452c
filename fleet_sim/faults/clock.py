"""Faults of a device's clock."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, WithJsonSchema

from fleet_config.durations import Offset, parse_duration, parse_offset
from fleet_sim.faults.fault import DeviceFault

__all__ = ["ClockFault"]


class ClockFault(DeviceFault):
    """A kind that puts a device's clock off; the offsets of several faults add up."""

    def ahead_ms(self, since_ms: float) -> float:
        """Return how far the clock is ahead, in ms, when the fault is on for `since_ms`."""
        raise NotImplementedError


def _drift(value: Any) -> Any:
    """Milliseconds per millisecond of a clock that gains `5ms/m` (also written `5ms/min`)."""
    gain, slash, per = value.partition("/") if isinstance(value, str) else ("", "", "")
    if not slash:
        raise ValueError(f"'{value}' is no drift of a clock; write one like 5ms/m or -1s/d")
    unit = {"min": "m"}.get(per, per)
    return parse_offset(gain) / parse_duration(f"1{unit}")


class ClockSkew(ClockFault):
    """The device's clock is off, and goes at another pace."""

    kind: Literal["clock_skew"] = "clock_skew"
    offset: Offset = 0
    drift: Annotated[
        float,
        BeforeValidator(_drift),
        WithJsonSchema({"type": "string", "examples": ["5ms/m"]}),
    ] = 0.0
    """ms per ms, from `5ms/m`"""

    def ahead_ms(self, since_ms: float) -> float:
        return float(self.offset) + self.drift * since_ms


class ClockJump(ClockFault):
    """The device's clock is set."""

    in_phase = True
    kind: Literal["clock_jump"] = "clock_jump"
    by: Offset

    def ahead_ms(self, since_ms: float) -> float:  # noqa: ARG002 - the hook's
        return float(self.by)

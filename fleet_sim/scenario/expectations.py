"""What a scenario may expect of a run: a measure, compared with a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EXPECTABLE", "REQUIRED", "REQUIRED_OF_ALERTS", "Expectation"]


class Expectation(NamedTuple):
    """A comparison such as `"< 250ms"`; durations in ms, percentages as shares."""

    comparison: str
    limit: float
    text: str

    def holds(self, value: float) -> bool:
        """Return whether a measured value (times in ms) is as expected; NaN never is."""
        match self.comparison:
            case "<":
                return value < self.limit
            case "<=":
                return value <= self.limit
            case ">":
                return value > self.limit
            case ">=":
                return value >= self.limit
            case "==":
                return value == self.limit
            case _:
                return value != self.limit and value == value  # noqa: PLR0124 - NaN


REQUIRED: Final[Mapping[str, Expectation]] = {
    name: Expectation("==", 0.0, "== 0")
    for name in ("connect.failed", "publish.refused", "delivery.unacknowledged")
}
"""What holds of every run unless its scenario expects another value."""
REQUIRED_OF_ALERTS: Final[Mapping[str, Expectation]] = {
    name: Expectation("==", 0.0, "== 0")
    for name in ("alerts.missed", "alerts.false", "alerts.repeated", "commands.repeated")
}
"""What holds of every grade unless the scenario expects another value."""

_PERCENTILES: Final = ("p50", "p90", "p95", "p99", "max")
EXPECTABLE: Final = frozenset(
    {
        "connect.failed",
        "connect.lost",
        "devices.connected",
        "publish.rate",
        "publish.refused",
        *(f"publish.ack.{each}" for each in _PERCENTILES),
        *(f"delivery.{each}" for each in ("lost", "duplicate", "unacknowledged", "dropped")),
        *(f"alerts.{each}" for each in ("missed", "false", "repeated", "precision", "recall")),
        *(f"alerts.latency.{each}" for each in _PERCENTILES),
        *(f"commands.{each}" for each in ("received", "rejected", "failed", "repeated")),
        *(f"commands.{what}.{each}" for what in ("latency", "ack") for each in _PERCENTILES),
        *(f"pacing.lag.{each}" for each in _PERCENTILES),
        "pacing.overruns",
        "windows.wrong",
        "windows.missing",
    }
)

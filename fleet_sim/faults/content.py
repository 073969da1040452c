"""Faults of the content of messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

from fleet_config.durations import Percent
from fleet_sim.faults.fault import DeviceFault
from fleet_sim.signals.metric import MetricName

__all__ = ["WRONG", "ContentFault"]

WRONG: Final = "not a number"


class ContentFault(DeviceFault):
    """A kind that changes a message before it is encoded."""

    def corrupt(self, content: dict[str, Any]) -> Iterable[str]:
        """Change one message (metric -> value) in place; return the metrics that a receiver cannot read any more."""
        raise NotImplementedError


class WrongType(ContentFault):
    """A text where a number belongs."""

    kind: Literal["wrong_type"] = "wrong_type"
    metric: MetricName | None = None
    p: Percent = 0.01

    def corrupt(self, content: dict[str, Any]) -> Iterable[str]:
        names = [name for name in content if self.metric in (None, name)]
        content.update(dict.fromkeys(names, WRONG))
        return names

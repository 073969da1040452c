"""The `metrics:` of a scenario: one model a metric, told apart by its key `model`.

A model is a class with the keys of the file and, beside it, the signal that computes it for all devices of a group.
To add one, write both in the module where they belong; nothing lists them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from fleet_sim.kinds import kinds_of
from fleet_sim.signals import derived, stateful, timed, weather
from fleet_sim.signals.metric import Metric

__all__ = ["MODULES", "MetricSpec"]

MODULES = (timed, stateful, derived, weather)
"""Where models are defined: a new module belongs here, so that it is imported."""

if TYPE_CHECKING:
    MetricSpec = Metric
else:
    MetricSpec = Annotated[
        Union[tuple(kinds_of(Metric, "model").values())],  # noqa: UP007 - of a tuple
        Field(discriminator="model"),
    ]

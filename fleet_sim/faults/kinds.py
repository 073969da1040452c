"""The `faults:` of a scenario, and `do:` of its phases: every kind there is, as the grammar of a file.

A kind is a class in one of the modules below; nothing else names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Field, create_model

from fleet_config.validation import Strict
from fleet_sim.faults import clock, content, link, restart, sending, sensor
from fleet_sim.faults.fault import Fault
from fleet_sim.kinds import kinds_of

__all__ = ["MODULES", "AnyFault", "PhaseActions", "StartActions"]

MODULES = (sensor, link, restart, sending, clock, content)
"""Where kinds are defined: a new module belongs here, so that it is imported."""


class StartActions(Strict):
    """`do:` of a phase: device and link faults at its start, by their kind."""

    def faults(self) -> Iterator[Fault]:
        """Return those that are given."""
        for name in type(self).model_fields:
            fault = getattr(self, name)
            if fault is not None:
                yield fault


def _actions() -> dict[str, Any]:
    return {word: (kind | None, None) for word, kind in kinds_of(Fault, "kind").items() if kind.in_phase}


if TYPE_CHECKING:
    AnyFault = Fault
    PhaseActions = StartActions
else:
    AnyFault = Annotated[
        Union[tuple(kinds_of(Fault, "kind").values())],  # noqa: UP007 - of a tuple
        Field(discriminator="kind"),
    ]
    PhaseActions = create_model(
        "PhaseActions", __base__=StartActions, __doc__=StartActions.__doc__, **_actions()
    )

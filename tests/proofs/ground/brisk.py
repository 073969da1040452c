"""The gateway with short files and frequent maintenance: its seconds hold what takes others hours.

`python -m tests.proofs.ground.brisk run --config …`: a checkpoint as soon as there is something new, segments of a few
commits, a reserve of one page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tests.proofs.ground.failpoints import NoSuchPoint, Place
from tests.proofs.ground.sabotaged import Sabotage

CONSTANTS: Final = {
    "edge_gateway.service.maintenance:LOOK_EVERY": 0.15,
    "edge_gateway.service.maintenance:CHECKPOINT_EVERY": 0.5,
}
DEFAULTS: Final = {
    ("edge_gateway.journal.journal:Journal.open", "segment_bytes"): 6_000,
    ("edge_gateway.journal.reserve:Reserve.__init__", "size"): 4_096,
}
"""Keyword arguments of functions, and their defaults here."""


@dataclass(frozen=True, slots=True)
class Brisk(Sabotage):
    """A gateway that is only made quicker, not broken."""

    def command(self) -> list[str]:
        return ["-m", "tests.proofs.ground.brisk"]


def hasten() -> None:
    """Give the gateway of this process other intervals and sizes; NoSuchPoint where one of them is gone."""
    for place, seconds in CONSTANTS.items():
        Place.of(place).put(seconds)
    for (place, argument), size in DEFAULTS.items():
        defaults_of(place, argument)[argument] = size


def defaults_of(place: str, argument: str) -> dict[str, Any]:
    """The keyword defaults of a function, which can be changed; NoSuchPoint where `argument` has none."""
    *_, function = Place.of(place).resolve()
    defaults: dict[str, Any] = getattr(function, "__func__", function).__kwdefaults__ or {}
    if argument not in defaults:
        raise NoSuchPoint(f"{place} has no default for {argument}")
    return defaults


if __name__ == "__main__":
    hasten()
    from edge_gateway.cli import main

    main()

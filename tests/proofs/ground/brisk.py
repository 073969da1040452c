"""Run the gateway with small files and frequent maintenance, so that seconds contain what usually takes hours.

`python -m tests.proofs.ground.brisk run --config …`: a checkpoint every half second, segments of a few commits, a
reserve of one page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tests.proofs.ground.failpoints import Attribute, NoSuchPoint
from tests.proofs.ground.sabotaged import Sabotage

CONSTANTS: Final = {
    "edge_gateway.service.maintenance:LOOK_EVERY": 0.15,
    "edge_gateway.service.maintenance:CHECKPOINT_EVERY": 0.5,
}
DEFAULTS: Final = {
    ("edge_gateway.journal.segments:Journal.open", "segment_bytes"): 6_000,
    ("edge_gateway.journal.reserve:Reserve.__init__", "size"): 4_096,
}
"""Keyword arguments of functions, and their defaults here."""


@dataclass(frozen=True, slots=True)
class Brisk(Sabotage):
    """A start of the gateway with small files and frequent maintenance, and no fault."""

    def command(self) -> list[str]:
        return ["-m", "tests.proofs.ground.brisk"]


def hasten() -> None:
    """Change intervals and sizes of the gateway in this process; NoSuchPoint if one does not exist."""
    for place, seconds in CONSTANTS.items():
        Attribute.parse(place).put(seconds)
    for (place, argument), size in DEFAULTS.items():
        defaults_of(place, argument)[argument] = size


def defaults_of(place: str, argument: str) -> dict[str, Any]:
    """Return the keyword defaults of a function, to be changed; NoSuchPoint if `argument` has none."""
    *_, function = Attribute.parse(place).resolve()
    defaults: dict[str, Any] = getattr(function, "__func__", function).__kwdefaults__ or {}
    if argument not in defaults:
        raise NoSuchPoint(f"{place} has no default for {argument}")
    return defaults


if __name__ == "__main__":
    hasten()
    from edge_gateway.cli import main

    main()

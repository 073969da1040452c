"""The gateway with short files and frequent chores, so that seconds of it hold what hours of another do.

`python -m tests.proofs.ground.brisk run --config …`: a checkpoint as soon as there is something new, segments of a few
commits, a reserve of one page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.proofs.ground.sabotaged import Sabotage

LOOK_EVERY: Final = 0.15
CHECKPOINT_EVERY: Final = 0.5
SEGMENT_BYTES: Final = 6_000
RESERVE_BYTES: Final = 4_096


@dataclass(frozen=True, slots=True)
class Brisk(Sabotage):
    """Nothing happens to it but haste."""

    def command(self) -> list[str]:
        return ["-m", "tests.proofs.ground.brisk"]


def hasten() -> None:
    """Give the gateway of this process other intervals and sizes."""
    from edge_gateway.journal.journal import Journal
    from edge_gateway.journal.reserve import Reserve
    from edge_gateway.service import maintenance

    maintenance.LOOK_EVERY, maintenance.CHECKPOINT_EVERY = LOOK_EVERY, CHECKPOINT_EVERY
    _defaults(Journal.open)["segment_bytes"] = SEGMENT_BYTES
    _defaults(Reserve.__init__)["size"] = RESERVE_BYTES


def _defaults(function: Callable[..., object]) -> dict[str, Any]:
    """What a function takes for arguments by name that it is not given; it can be changed."""
    defaults: dict[str, Any] | None = function.__kwdefaults__
    assert defaults is not None
    return defaults


if __name__ == "__main__":
    hasten()
    from edge_gateway.cli import main

    main()

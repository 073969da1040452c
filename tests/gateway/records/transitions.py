"""An alert transition of a freezer, for tests of whatever takes one."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from edge_gateway.records.alerts import Transition

WALL = 1_760_000_000_000
TOO_WARM = Transition(
    id="a1",
    group="cold",
    rule="TooWarm",
    level="critical",
    state="firing",
    subject="frz-1",
    site="berlin",
    metric="temperature",
    value=-9.5,
    limit=-12.0,
    at=WALL,
    boot=3,
    seq=7,
    event="firing",
    cause="reading",
)


def too_warm(**changes: Any) -> Transition:
    """The freezer is too warm, but for `changes`."""
    return replace(TOO_WARM, **changes)

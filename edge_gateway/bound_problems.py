"""What comes near a bound of the disk or of the fleet, and who uses most: a warning before anything has to give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from edge_gateway.durable.budget import late_bytes
from edge_gateway.status import Gravity
from fleet_wire.printable import printable

if TYPE_CHECKING:
    from edge_gateway.config import GatewayConfig
    from edge_gateway.durable.budget import SpoolBytes
    from edge_gateway.durable.store import StoreFacts
    from edge_gateway.pipeline import Pipeline

NEAR: Final = 80
FULL: Final = 98
"""Percent: above it a bound is reached; what gives way leaves a little room."""
MOST_NAMED: Final = 5

Users = Sequence[tuple[str, int]]
"""(device, bytes) of those who use most, the biggest first."""


class BoundProblem(NamedTuple):
    """A problem, over where the text is empty."""

    code: str
    text: str
    gravity: Gravity = Gravity.WARNING


def percent(used: int, most: int) -> int:
    """How much of a bound is used."""
    return used * 100 // max(most, 1)


def problems(
    config: GatewayConfig, pipeline: Pipeline, facts: StoreFacts, used: SpoolBytes, in_quarantine: Users
) -> Iterator[BoundProblem]:
    """Yield every bound's problem; `in_quarantine` need not be known while that is not nearly full."""
    spool = config.spool.max_bytes
    yield _quarantine(facts.quarantine_bytes, config.limits.quarantine, in_quarantine)
    yield _near(
        "late_table", used.late, late_bytes(spool), "of what late readings may take; beyond, deliveries wait"
    )
    yield _near("spool_space", used.total, spool, "of spool.max_bytes; beyond, on_full says what happens")
    yield _near(
        "history",
        facts.history_bytes,
        config.history.max_bytes,
        "of history.max_bytes; beyond, the oldest goes",
    )
    yield _near(
        "devices",
        pipeline.registry.alive,
        config.limits.devices,
        "of limits.devices; beyond, new ones are refused",
    )
    yield BoundProblem("late_share", _late_share(pipeline))


def _near(code: str, used: int, most: int, what: str) -> BoundProblem:
    part = percent(used, most)
    return BoundProblem(code, f"{min(part, 100)} % {what}" if part >= NEAR else "")


def _quarantine(used: int, most: int, users: Users) -> BoundProblem:
    """One device that fills it is that device's trouble; many of them are the gateway's."""
    part = percent(used, most)
    if part < NEAR:
        return BoundProblem("quarantine", "")
    named = ", ".join(f"{printable(name, 64)} {percent(size, most)} %" for name, size in users[:MOST_NAMED])
    by_many = bool(users) and 2 * users[0][1] < used
    gravity = Gravity.FAILURE if part >= FULL and by_many else Gravity.WARNING
    told = f"{min(part, 100)} % of limits.quarantine; beyond, the oldest goes of whoever has most"
    return BoundProblem("quarantine", f"{told}: {named}" if named else told, gravity)


def _late_share(pipeline: Pipeline) -> str:
    registry = pipeline.registry
    near = pipeline.windows.late_share.nearly_used_up(registry.now)
    if not near:
        return ""
    named = [
        f"{registry.device_site[device]}/{registry.device_name[device]} {part} %"
        for device, part in near[:MOST_NAMED]
    ]
    more = f" and {len(near) - MOST_NAMED} more" if len(near) > MOST_NAMED else ""
    return f"late readings take most of their device's share; beyond, they are merged nowhere: {', '.join(named)}{more}"

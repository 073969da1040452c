"""What a run itself can measure, under the names that a scenario's `expect` uses."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleet_sim.devices.counters import Counters

__all__ = ["measures_of"]


def measures_of(
    counters: Counters, devices: int, seconds: float, *, unacked: int = 0, unsent: int = 0, failed: int = 0
) -> dict[str, float]:
    """Return the measures of a run that need neither a gateway nor a database; times in ms.

    `unacked` and `unsent` count messages, `failed` devices that never connected, gave up or had no connection at the
    end.
    """
    found: dict[str, float] = {
        "connect.failed": failed,
        "connect.lost": counters.connections_lost,
        "devices.connected": min(devices, counters.connects - counters.reconnects),
        "publish.rate": counters.published / seconds,
        "publish.refused": counters.refused,
        "delivery.unacknowledged": unacked + unsent,
        "delivery.dropped": counters.lost,
        "commands.received": counters.commands,
        "pacing.overruns": counters.overruns,
    }
    for name, times, endless in (("publish.ack", counters.ack, unacked), ("pacing.lag", counters.lag, 0)):
        if times.count:
            for label, share in (("p50", 0.50), ("p90", 0.90), ("p95", 0.95), ("p99", 0.99)):
                found[f"{name}.{label}"] = times.percentile(share, endless=endless) / 1000.0
            found[f"{name}.max"] = math.inf if endless else times.most / 1000.0
    return found

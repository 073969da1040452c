"""What a run has come to, for tests of how that is shown and judged."""

from pathlib import Path

from fleet_sim.devices.counters import Counters, Snapshot
from fleet_sim.devices.pacing import Percentiles, Verdict
from fleet_sim.runtime.deployment import RunResult
from fleet_sim.runtime.measures import measures_of


def snapshot(**changed: object) -> Snapshot:
    ack, lag = (
        Percentiles(9, 1000.0, 1500.0, 2000.0, 4100.0, 5000.0),
        Percentiles(9, 100.0, 150.0, 200.0, 800.0, 900.0),
    )
    facts: dict[str, object] = {
        "seconds": 12.2, "devices": 1000, "up": 1000, "published": 2400, "rate": 200.0, "acked": 2400, "unacked": 0,
        "waiting": 0, "lost": 0, "resent": 0, "reconnects": 0, "receipts": 0, "commands": 3, "notices": 0,
        "alerts": 0, "overruns": 0, "gave_up": 0, "connections_lost": 0,
        "ack": ack, "lag": lag, "lag_now": lag, "ack_now": ack,
    }  # fmt: skip
    return Snapshot(**{**facts, **changed})  # type: ignore[arg-type]


def result(
    reason: str = "finished",
    *,
    saturated: bool = False,
    refused: int = 0,
    connects: int = 5,
    gave_up: int = 0,
    disconnected: int = 0,
    refused_messages: int = 0,
    unacked: int = 0,
    unsent: int = 0,
) -> RunResult:
    """A run; `refused` devices never connected."""
    counters = Counters(connects=connects, refused=refused_messages)
    failed = {
        "unacked": unacked,
        "unsent": unsent,
        "failed": refused + gave_up + disconnected,
    }
    return RunResult(
        directory=Path(),
        reason=reason,
        seconds=1.0,
        last=snapshot(),
        counters=counters.as_dict() | {"unfinished": unacked + unsent, "unsent": unsent},
        verdict=Verdict(saturated, "late" * saturated),
        unfinished=unacked + unsent,
        never_connected={"not authorised": refused} if refused else {},
        gave_up={"taken over": gave_up} if gave_up else {},
        disconnected={"cannot reach it": disconnected} if disconnected else {},
        refused_messages={"not authorised (0x87)": refused_messages} if refused_messages else {},
        measures=measures_of(counters, 1000, 1.0, **failed),
    )

"""What a run has come to, for tests of how that is shown and judged."""

from pathlib import Path

from fleet_sim.devices.counters import Counters, Snapshot
from fleet_sim.devices.pacing import Percentiles, Verdict
from fleet_sim.runtime.deployment import RunResult


def snapshot(**changed: object) -> Snapshot:
    ack, lag = (
        Percentiles(9, 1000.0, 1500.0, 2000.0, 4100.0, 5000.0),
        Percentiles(9, 100.0, 150.0, 200.0, 800.0, 900.0),
    )
    facts: dict[str, object] = {
        "seconds": 12.2, "devices": 1000, "up": 1000, "published": 2400, "rate": 200.0, "acked": 2400, "unacked": 0,
        "waiting": 0, "lost": 0, "resent": 0, "reconnects": 0, "receipts": 0, "commands": 3, "notices": 0,
        "alerts": 0, "overruns": 0, "ack": ack, "lag": lag, "lag_now": lag, "ack_now": ack,
    }  # fmt: skip
    return Snapshot(**{**facts, **changed})  # type: ignore[arg-type]


def result(
    reason: str = "finished", *, saturated: bool = False, refused: int = 0, connects: int = 5
) -> RunResult:
    counters = Counters(connects=connects).as_dict() | {"unfinished": 0}
    refusals = {"not authorised": refused} if refused else {}
    return RunResult(
        Path(), reason, 1.0, snapshot(), counters, Verdict(saturated, "late" * saturated), 0, refusals, {}
    )

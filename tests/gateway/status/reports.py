"""Reports of a gateway that has just begun."""

from __future__ import annotations

from typing import Any

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.recovery.settings import fold_settings
from edge_gateway.status.collect import Now, Reporter
from edge_gateway.status.counters import Counters
from edge_gateway.status.report import (
    BrokerStatus,
    ClockStatus,
    GatewayStatus,
    OpenProblem,
    SinkWork,
    SpoolParts,
    SpoolStatus,
)
from edge_gateway.store.database import StoreFacts
from edge_gateway.store.outbox import Waiting

CONFIG = GatewayConfig.model_validate(
    {"mqtt": {"url": "mqtt://localhost"}, "metrics": {"flow": {"unit": "l/s", "range": [0, 9]}}}
)
BROKER = BrokerStatus(
    connected=True, caught_up=True, lag=12, listening=0, waiting=0, unacknowledged=0, outgoing=0
)
CLOCK = ClockStatus(state="plausible", trusted=True, agree=0, differ=0, off=0, held=0)
SPOOL = SpoolStatus(
    record=3,
    committed=3,
    journal_bytes=0,
    checkpoint=0,
    uncommitted=0,
    unstored=0,
    recovered_in_ms=1,
    bytes=SpoolParts(0, 0, 0, 0),
    max_bytes=1 << 30,
    reserve=True,
)


def store_facts(**some: Any) -> StoreFacts:
    facts: dict[str, Any] = {
        "applied": 0,
        "floor": 0,
        "late_pending": 0,
        "salvaging": False,
        "late_held": False,
        "quarantine_bytes": 0,
        "history_bytes": 0,
        "waiting": {"influx": Waiting(1, 20, 300, 1_700_000_000_000)},
        "counters": {},
    }
    return StoreFacts(**facts | some)


def report_of(
    *,
    pipeline: Pipeline | None = None,
    facts: StoreFacts | None = None,
    counters: Counters | None = None,
    problems: tuple[OpenProblem, ...] = (),
) -> GatewayStatus:
    """A report of what is given, and of nothing else."""
    now = Now(
        state="online",
        at=2_000,
        started=1_000,
        nonce="0" * 16,
        rules_on_disk="",
        counters=counters or Counters(),
        problems=problems,
        clock=CLOCK,
        broker=BROKER,
        spool=SPOOL,
        sinks={"influx": SinkWork(requests=7)},
    )
    folded = pipeline or build_pipeline("gw", fold_settings(CONFIG))
    return Reporter.of("gw", CONFIG).report(folded, facts or store_facts(), now)

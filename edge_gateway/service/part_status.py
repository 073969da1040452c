"""The broker and spool sections of the status report."""

from __future__ import annotations

from edge_gateway.journal.commit_queue import CommitQueue
from edge_gateway.mqtt.caught_up_clock import CaughtUpClock
from edge_gateway.mqtt.control_session import Control
from edge_gateway.mqtt.source import Source
from edge_gateway.recovery.startup import Startup
from edge_gateway.service.disk_guard import DiskGuard
from edge_gateway.service.engine import Engine
from edge_gateway.service.maintenance import Maintenance
from edge_gateway.status.report import BrokerStatus, SpoolParts, SpoolStatus
from edge_gateway.store.store_thread import StoreThread


def broker_status(listening: CaughtUpClock, source: Source, control: Control, now: int) -> BrokerStatus:
    """Return the state of both connections; `now`: monotonic milliseconds."""
    return BrokerStatus(
        connected=listening.subscribed,
        caught_up=listening.caught_up and not listening.is_behind(now),
        lag=listening.lag(now),
        listening=listening.elapsed,
        waiting=source.waiting,
        unacknowledged=source.unacknowledged,
        outgoing=control.queued,
    )


def spool_status(
    *,
    startup: Startup,
    engine: Engine,
    commits: CommitQueue,
    store: StoreThread,
    maintenance: Maintenance,
    disk: DiskGuard,
) -> SpoolStatus:
    """Return how full the spool is and how far each of its parts is behind."""
    return SpoolStatus(
        record=engine.newest,
        committed=engine.committed,
        journal_bytes=startup.journal.total_bytes,
        checkpoint=maintenance.checkpointed,
        uncommitted=commits.pending,
        unstored=store.pending,
        recovered_in_ms=round(startup.seconds * 1000),
        bytes=SpoolParts(*disk.used),
        max_bytes=disk.section.max_bytes,
        reserve=disk.reserve.held,
    )

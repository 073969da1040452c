"""The broker and spool sections of the report say what the parts say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from edge_gateway.mqtt.caught_up_clock import CaughtUpClock
from edge_gateway.service.part_status import broker_status, spool_status
from edge_gateway.status.report import SpoolParts
from edge_gateway.store.budget import SpoolBytes


def some(**values: Any) -> Any:
    return cast("Any", SimpleNamespace(**values))


def test_the_broker_section_has_the_lag_of_an_echo_that_is_out() -> None:
    listening = CaughtUpClock(elapsed=7_000)
    listening.connected(0)
    echo = listening.echo_due(0)
    assert echo is not None
    status = broker_status(listening, some(waiting=3, unacknowledged=400), some(queued=5), 250)
    assert (status.connected, status.caught_up, status.lag) == (True, False, 250)
    listening.echo_received(300, echo)
    status = broker_status(listening, some(waiting=3, unacknowledged=400), some(queued=5), 900)
    assert (status.caught_up, status.lag, status.listening) == (True, 300, 7_000)
    assert (status.waiting, status.unacknowledged, status.outgoing) == (3, 400, 5)


def test_the_spool_section_has_each_part_of_the_budget_and_milliseconds() -> None:
    status = spool_status(
        startup=some(journal=some(total_bytes=1_000), seconds=1.2346),
        engine=some(newest=9, committed=7),
        commits=some(pending=2),
        store=some(pending=4),
        maintenance=some(checkpointed=5),
        disk=some(used=SpoolBytes(1, 2, 3, 4), section=some(max_bytes=10_000), reserve=some(held=True)),
    )
    assert (status.record, status.committed, status.checkpoint) == (9, 7, 5)
    assert (status.uncommitted, status.unstored, status.recovered_in_ms) == (2, 4, 1_235)
    assert status.bytes == SpoolParts(journal=1, checkpoints=2, late=3, quarantine=4)
    assert (status.journal_bytes, status.max_bytes, status.reserve) == (1_000, 10_000, True)

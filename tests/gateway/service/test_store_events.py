"""What the store's thread tells becomes a problem, and ends as one."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any, cast

from edge_gateway.service.gateway import Gateway
from edge_gateway.status.problems import Problems

FULL = OSError(errno.ENOSPC, "No space left on device")


def listening(refusal: Exception | None) -> tuple[Any, list[Exception]]:
    """A gateway with no more to it than what hears of the store."""
    refused: list[Exception] = []
    gateway = cast("Any", Gateway.__new__(Gateway))
    gateway.problems = Problems(lambda: 0)
    gateway._store = SimpleNamespace(refusal=refusal)
    gateway._disk_guard = SimpleNamespace(refused=refused.append)
    return gateway, refused


def told(gateway: Any) -> dict[str, str]:
    return {one.code: one.text for one in gateway.problems}


def test_a_store_that_stalls_asks_for_room_and_is_well_again_when_it_resumes() -> None:
    gateway, refused = listening(FULL)
    gateway._store_event("store_stalled", "database or disk is full")
    assert told(gateway) == {"store_stalled": "database or disk is full"}
    assert refused == [FULL]
    gateway._store.refusal = None
    gateway._store_event("store_resumed", "")
    assert told(gateway) == {}


def test_a_store_that_was_salvaged_stays_told_as_damaged() -> None:
    gateway, refused = listening(None)
    gateway._store_event("store_corrupt", "damaged")
    gateway._store_event("store_salvaged", "all but 3 rows are back")
    assert told(gateway) == {"store_corrupt": "all but 3 rows are back"}
    assert not refused

"""What a running fleet is asked over its socket, and what it answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from fleet_sim.runtime.requests import SOCKET_NAME, answering, socket_of
from tests.sim.results import result, snapshot


class Run:
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.failed = False

    def snapshot(self) -> Any:
        return snapshot(up=3)

    def stop(self) -> None:
        self.asked.append(("stop",))

    async def ended(self) -> Any:
        return None if self.failed else result("stopped")

    def start_fault(self, kind: str, match: dict[str, Any], **settings: Any) -> int:
        self.asked.append((kind, match, settings))
        return 5

    def disconnect(self, match: dict[str, Any], for_ms: int) -> int:
        self.asked.append(("disconnect", match, for_ms))
        return 6


async def test_each_request_is_carried_out_and_answered() -> None:
    run = Run()
    answer = answering(cast("Any", run))
    assert (await answer({"do": "status"}))["up"] == 3
    fault = {"kind": "bias", "match": {"site": "lyon"}, "metric": "t", "by": 3}
    assert await answer({"do": "fault", "fault": fault}) == {"number": 5}
    assert await answer({"do": "disconnect", "match": {}, "for": 3000}) == {"number": 6}
    assert (await answer({"do": "stop"}))["reason"] == "stopped"
    assert run.asked == [
        ("bias", {"site": "lyon"}, {"metric": "t", "by": 3}),
        ("disconnect", {}, 3000),
        ("stop",),
    ]


async def test_a_request_that_cannot_be_answered_says_why() -> None:
    run = Run()
    run.failed = True
    answer = answering(cast("Any", run))
    with pytest.raises(ValueError, match="the run failed"):
        await answer({"do": "stop"})
    with pytest.raises(ValueError, match="cannot dance; one of status, stop, fault, disconnect"):
        await answer({"do": "dance"})


def test_the_socket_is_in_the_run_directory() -> None:
    assert socket_of(Path("runs/live")) == Path("runs/live") / SOCKET_NAME

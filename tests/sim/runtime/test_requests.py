"""What a running fleet is asked over its socket, and what it answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fleet_sim.faults.plan import PlannedFault, plan_now
from fleet_sim.runtime.requests import SOCKET_NAME, answering, socket_of, started
from fleet_sim.scenario.planning import plan_devices
from tests.sim.faults.field import SCENARIO
from tests.sim.results import result, snapshot


class Run:
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.failed = False
        self.options = SimpleNamespace(speed=1.0)
        self.fault = plan_now(5, {"kind": "reboot"}, plan_devices(SCENARIO), 1, 0)

    def snapshot(self) -> Any:
        return snapshot(up=3)

    def stop(self) -> None:
        self.asked.append(("stop",))

    async def ended(self) -> Any:
        return None if self.failed else result("stopped")

    def start_fault(self, kind: str, match: dict[str, Any], /, **settings: Any) -> PlannedFault:
        self.asked.append((kind, match, settings))
        return self.fault

    def disconnect(self, match: dict[str, Any], for_ms: int) -> PlannedFault:
        self.asked.append(("disconnect", match, for_ms))
        return replace(self.fault, number=6)


async def test_each_request_is_carried_out_and_answered() -> None:
    run = Run()
    answer = answering(cast("Any", run))
    assert (await answer({"do": "status"}))["up"] == 3
    fault = {"kind": "bias", "match": {"site": "lyon"}, "metric": "t", "by": 3}
    told = await answer({"do": "fault", "fault": fault})
    assert told == started(run.fault, 1.0, 0.0)
    assert (await answer({"do": "disconnect", "match": {}, "for": 3000}))["number"] == 6
    assert (await answer({"do": "stop"}))["reason"] == "stopped"
    assert run.asked == [
        ("bias", {"site": "lyon"}, {"metric": "t", "by": 3}),
        ("disconnect", {}, 3000),
        ("stop",),
    ]


def planned(kind: str, **settings: Any) -> PlannedFault:
    return plan_now(5, {"kind": kind, **settings}, plan_devices(SCENARIO), 1, 60_000)


def test_a_fault_is_described_with_its_devices_and_its_end_in_real_time() -> None:
    stuck = planned("stuck", metric="temperature", after="10s", **{"for": "20s"})
    assert started(stuck, 10.0, 1_000.0) == {
        "number": 5, "kind": "stuck", "metric": "temperature", "devices": 4,
        "named": ["frz-00000", "frz-00001", "frz-00002", "frz-00003"],
        "once": False, "until": 1_003_000, "repaired_by": None,
    }  # fmt: skip
    heated = started(planned("heat_up", metric="temperature"), 1.0, 0.0)
    assert (heated["until"], heated["repaired_by"]) == (None, "temperature.setpoint")
    assert started(planned("heat_up", metric="temperature", repair="none"), 1.0, 0.0)["repaired_by"] is None
    once = started(planned("reboot", **{"for": "20s"}), 1.0, 0.0)
    assert (once["once"], once["until"]) == (True, None)


def test_a_fault_of_many_devices_names_the_first() -> None:
    many = replace(planned("offline"), devices=tuple(f"d{i}" for i in range(900)))
    assert started(many, 1.0, 0.0)["named"] == ["d0", "d1", "d2", "d3", "d4"]
    assert started(many, 1.0, 0.0)["devices"] == 900


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"do": "stop"}, "the run failed; its own output says why"),
        ({"do": "dance"}, "do: 'dance' is no request; one of status, stop, fault, disconnect"),
        ({}, "do: 'None' is no request"),
        ({"do": "fault", "fault": ["stuck"]}, "fault: must be a mapping"),
        ({"do": "disconnect", "match": "all", "for": 3}, "match: must be a mapping"),
        ({"do": "disconnect"}, "for: must be a whole number of milliseconds above 0"),
        ({"do": "disconnect", "for": "3s"}, "for: must be a whole number"),
        ({"do": "disconnect", "for": 0}, "for: must be a whole number"),
    ],
)
async def test_a_request_that_cannot_be_answered_says_why(request_: dict[str, Any], said: str) -> None:
    run = Run()
    run.failed = True
    with pytest.raises(ValueError, match=said):
        await answering(cast("Any", run))(request_)


def test_the_socket_is_in_the_run_directory() -> None:
    assert socket_of(Path("runs/live")) == Path("runs/live") / SOCKET_NAME

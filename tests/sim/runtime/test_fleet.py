"""A fleet runs as its scenario says, takes faults while it runs, and refuses those that its devices cannot have."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fleet_sim.devices.counters import Snapshot
from fleet_sim.devices.endpoint import CannotReach, Endpoint
from fleet_sim.ledger.expected import acked_rows
from fleet_sim.ledger.reading import read_ledger
from fleet_sim.ledger.writing import LedgerWriter
from fleet_sim.runtime.fleet import (
    DEFAULT_RATE,
    LONGEST_NAP,
    MOST_GATHERED,
    SHORTEST_NAP,
    FleetRun,
    RunOptions,
)
from fleet_sim.scenario.loading import load_scenario, scaled
from tests.servers.broker import Broker
from tests.servers.process import free_port

WITHIN = 60.0
SCENARIO = """
version: 1
name: trial
seed: 5
fleet:
  box:
    count: 4
    id: "{site}-{{i}}"
    site: [{site}]
    interval: {{every: 100ms, start: spread}}
    metrics:
      air: {{model: thermal, setpoint: -18, ambient: 20, lag: 1m}}
      humidity: {{model: sine, mean: 50, amplitude: 5, period: 1s, warning: 60, critical: 70,
                 excursions: {{warning: 50%, critical: 20%, stay: 200ms}}}}
      door: {{model: states, stay: {{shut: 2s, open: 2s}}}}
{more}
"""


def run_of(directory: Path, port: int, site: str, more: str = "", **options: Any) -> FleetRun:
    path = directory / "trial.yaml"
    path.write_text(SCENARIO.format(site=site, more=more))
    scenario = load_scenario(str(path), env={})
    return FleetRun(scenario, RunOptions(Endpoint("127.0.0.1", port), directory / "run", **options))


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN):
        while not holds():  # noqa: ASYNC110 - what the broker does is looked at, not told
            await asyncio.sleep(0.01)


@asynccontextmanager
async def going(run: FleetRun) -> AsyncIterator[None]:
    """Run a fleet while the block runs, with all its devices connected; then stop it."""
    task = asyncio.create_task(run.run())
    try:
        await until(lambda: task.done() or (run.up == len(run.plans)))
        yield
    finally:
        run.stop("done")
        async with asyncio.timeout(WITHIN):
            await task


@pytest.mark.parametrize(
    ("kind", "metric", "why"),
    [("bias", "door", "'door' is a word"), ("heat_up", "battery", "not of model thermal")],
)
async def test_a_fault_that_does_not_fit_its_metric_is_refused(
    kind: str, metric: str, why: str, tmp_path: Path
) -> None:
    scenario = scaled(load_scenario("cold-chain", env={}), sensors=3)
    run = FleetRun(scenario, RunOptions(Endpoint("127.0.0.1", 1), tmp_path / "run"))
    with LedgerWriter(tmp_path / "run") as ledger:
        run._prepare(ledger, boot=1)
        settings = {"by": 7} if kind == "bias" else {}
        with pytest.raises(ValueError, match=why):
            run.start_fault(kind, {}, metric=metric, **settings)
        assert run.start_fault("stuck", {}, metric="door").number == 1, "one of the scenario has number 0"
    run.deployment.abandon()


async def test_settings_of_any_name_and_matches_of_any_kind_are_refused_in_words(tmp_path: Path) -> None:
    scenario = scaled(load_scenario("cold-chain", env={}), sensors=3)
    run = FleetRun(scenario, RunOptions(Endpoint("127.0.0.1", 1), tmp_path / "run"))
    with LedgerWriter(tmp_path / "run") as ledger:
        run._prepare(ledger, boot=1)
        settings = {"self": 1}
        with pytest.raises(ValueError, match="unknown key 'self'"):
            run.start_fault("reboot", {}, **settings)
        with pytest.raises(ValueError, match=r"^match: "):
            run.start_fault("reboot", [1])  # type: ignore[arg-type]
    run.deployment.abandon()


async def test_before_the_broker_has_answered_there_is_no_fleet(tmp_path: Path) -> None:
    run = run_of(tmp_path, free_port(), "none")
    assert (list(run.devices), run.up) == ([], 0)
    with pytest.raises(RuntimeError, match="the run has not begun"):
        run.snapshot()
    with pytest.raises(CannotReach, match="no broker at"):
        await run.run()


async def test_a_run_ends_when_its_scenario_does(tmp_path: Path, broker: Broker) -> None:
    phases = "phases:\n- {name: warm, for: 300ms, connect: 50/s}\n- {name: hot, for: 700ms, connect: 200/s}"
    run = run_of(tmp_path, broker.port, "whole", phases, boot=7)
    shown: list[Snapshot] = []
    run.on_second = shown.append
    found = await run.run()
    assert found == await run.ended()
    assert (found.reason, found.unfinished, found.counters["connects"]) == ("finished", 0, 4)
    assert run.deployment.connector.rate == 200.0, "as the last phase says"
    ledger = read_ledger(tmp_path / "run")
    assert ledger.header["name"] == "trial"
    assert (ledger.header["boot"], ledger.header["devices"]) == (7, 4)
    assert [row["name"] for row in ledger.of_kind("phase")] == ["warm", "hot"]
    assert [row["at"] for row in ledger.of_kind("over")] == [ledger.header["start_ms"] + 1_000]
    [group] = ledger.groups
    assert acked_rows(ledger, group).all()
    assert len(group.table) == found.counters["acked"] > 0
    episodes = ledger.of_kind("episode")
    assert episodes, "excursions are labels"
    assert {row["metric"] for row in episodes} == {"humidity"}
    assert len({(row["row"], row["from_ms"]) for row in episodes}) == len(episodes), "each once"


async def test_a_limit_of_messages_ends_a_run(tmp_path: Path, broker: Broker) -> None:
    found = await run_of(tmp_path, broker.port, "limited", limit=20, rate=1_000.0).run()
    assert (found.reason, found.unfinished) == ("finished", 0)
    assert found.counters["made"] >= 20


async def test_a_fleet_that_is_told_to_stop_stops_for_the_first_reason(
    tmp_path: Path, broker: Broker
) -> None:
    run = run_of(tmp_path, broker.port, "stopped", rate=1_000.0)
    async with going(run):
        assert len(run.devices) == run.snapshot().devices == 4
        assert not [name for name in run.statuses if name == "nobody"]
        run.stop("first")
        run.stop("second")
    found = await run.ended()
    assert found is not None
    assert found.reason == "first"


async def test_a_fault_that_is_started_by_hand_acts_and_is_a_label(tmp_path: Path, broker: Broker) -> None:
    run = run_of(tmp_path, broker.port, "faulty", rate=1_000.0)
    async with going(run):
        offline = run.disconnect({"device": "faulty-2"}, 300)
        await until(lambda: run.up == 3)
        stuck = run.start_fault("stuck", {"share": "100%"}, metric="air", for_="10s")
        await until(lambda: run.up == 4)
    assert (offline.number, offline.devices) == (0, ("faulty-2",))
    assert (stuck.number, len(stuck.devices)) == (1, 4)
    faults = read_ledger(tmp_path / "run").of_kind("fault")
    assert [(row["number"], row["kind"]) for row in faults] == [(0, "offline"), (1, "stuck")]
    assert faults[0]["until"] - faults[0]["from"] == 300


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("offline", {"for_": "10m"}),
        ("offline", {}),
        ("flap", {"every": "10m", "down": "9m", "for_": "20m"}),
        ("black_hole", {"for_": "10m"}),
        ("delay", {"by": "5m", "for_": "10m"}),
        ("bandwidth", {"bytes_per_second": 1, "for_": "10m"}),
        ("late_batch", {"hold": "10m"}),
        ("disconnect", {"reconnect": {"within": "10m"}}),
    ],
)
async def test_a_stop_ends_the_faults_that_are_on_and_all_is_sent(
    kind: str, settings: dict[str, Any], tmp_path: Path, broker: Broker
) -> None:
    site = f"cut-{kind}-{len(settings)}"
    run = run_of(tmp_path, broker.port, site, rate=1_000.0, settle=WITHIN)
    async with going(run):
        run.start_fault(kind, {"device": f"{site}-1"}, **settings)
        made = run.deployment.counters.made
        await until(lambda: run.deployment.counters.made > made + 20)
    found = await run.ended()
    assert found is not None
    assert (found.unfinished, found.never_connected, found.gave_up) == (0, {}, {})
    assert found.counters["acked"] == found.counters["made"]
    ledger = read_ledger(tmp_path / "run")
    assert acked_rows(ledger, ledger.groups[0]).all()


@pytest.mark.parametrize(
    ("kind", "settings"), [("battery_death", {"for_": "10m"}), ("reboot", {"takes": "10m"})]
)
async def test_a_stop_brings_a_device_back_that_is_off(
    kind: str, settings: dict[str, Any], tmp_path: Path, broker: Broker
) -> None:
    run = run_of(tmp_path, broker.port, f"off-{kind}", rate=1_000.0, settle=WITHIN)
    async with going(run):
        run.start_fault(kind, {"device": f"off-{kind}-1"}, **settings)
        await until(lambda: run.up == 3)
    found = await run.ended()
    assert found is not None
    assert found.unfinished == 0


async def test_a_command_that_repairs_a_fault_is_recorded(tmp_path: Path, broker: Broker) -> None:
    run = run_of(tmp_path, broker.port, "repaired", rate=1_000.0)
    async with going(run):
        heated = run.start_fault("heat_up", {"device": "repaired-1"}, metric="air")
        await until(lambda: run.snapshot().published > 8)
        run._apply(run.devices[1], "air.setpoint", -25.0)
        run._apply(run.devices[0], "air.setpoint", -25.0)
    repaired = read_ledger(tmp_path / "run").of_kind("repaired")
    assert [(row["fault"], row["device"]) for row in repaired] == [(heated.number, 1)]


async def test_a_run_faster_than_time_ends_now(tmp_path: Path, broker: Broker) -> None:
    run = run_of(tmp_path, broker.port, "fast", "phases:\n- {name: all, for: 20s}", speed=40.0, rate=1_000.0)
    before = time.time() * 1000
    await run.run()
    start = read_ledger(tmp_path / "run").header["start_ms"]
    assert before - 20_000 <= start <= time.time() * 1000 - 19_000


async def test_a_run_that_fails_lets_go_of_its_devices_and_tells_who_waits(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path, broker.port, "failing", rate=1_000.0)
    monkeypatch.setattr(run, "_enough", lambda: 1 / 0)
    with pytest.raises(ExceptionGroup) as failed:
        await run.run()
    assert failed.group_contains(ZeroDivisionError)
    assert await run.ended() is None
    assert read_ledger(tmp_path / "run").end is None


async def test_connects_are_as_many_a_second_as_the_user_or_the_scenario_says(tmp_path: Path) -> None:
    for more, options, rate in (
        ("", {}, DEFAULT_RATE),
        ("phases:\n- {name: all, connect: 30/s}", {}, 30.0),
        ("phases:\n- {name: all, connect: 30/s}", {"rate": 7.0}, 7.0),
    ):
        assert run_of(tmp_path, 1, "rated", more, **options)._ramps()[0].rate == rate


async def test_naps_grow_with_the_rate_within_bounds(tmp_path: Path) -> None:
    run = run_of(tmp_path, 1, "napping")
    with LedgerWriter(tmp_path / "run") as ledger:
        run._prepare(ledger, boot=1)
        naps = []
        for run.deployment.rate in (0.0, 3_000.0, 1e6):
            naps.append(run._shortest_nap())
        assert naps == [SHORTEST_NAP, pytest.approx(0.00375), MOST_GATHERED]
        assert run._turn() <= LONGEST_NAP  # type: ignore[operator]
        run._end_ms = -math.inf
        assert run._turn() is None
    run.deployment.abandon()

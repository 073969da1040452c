"""Requests to a running fleet over its socket; a killed simulator leaves a readable ledger."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fleet_sim.ledger.expected import acked_rows
from fleet_sim.ledger.reading import read_ledger
from tests.servers.broker import Broker


@asynccontextmanager
async def running(broker: Broker, directory: Path, site: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A fleet in a process of its own, up and sending."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fleet_sim.cli", "run", "cold-chain", "--sensors", "5", "--interval", "100ms",
        "-H", "127.0.0.1", "-p", str(broker.port), "--report", str(directory), "--set", f"fleet.freezer.site=[{site}]",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    while b"5 of 5 connected" not in await asyncio.wait_for(process.stdout.readline(), 60):
        pass
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ctl(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fleet_sim.cli", "ctl", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), err.decode()


async def test_a_running_fleet_obeys_its_control_commands(tmp_path: Path, broker: Broker) -> None:
    run = tmp_path / "run"
    async with running(broker, run, "ctl") as process:
        status, out, _ = await ctl("status", str(run), "--json")
        assert status == 0
        assert json.loads(out)["up"] == 5
        assert (await ctl("disconnect", str(run), "--match", "device=frz-00001", "--for", "1s"))[0] == 0
        stuck = (
            "fault",
            str(run),
            "stuck",
            "--match",
            "share=100%",
            "--set",
            "metric=temperature",
            "--set",
            "for=5s",
        )
        assert (await ctl(*stuck))[0] == 0
        status, _, err = await ctl("fault", str(run), "haunted")
        assert status == 2
        assert "haunted" in err
        status, out, _ = await ctl("stop", str(run), "--json")
        assert status == 0
        outcome = json.loads(out)
        assert outcome["reason"] == "stopped"
        assert outcome["counters"]["acked"] == outcome["counters"]["published"] > 0
        assert read_ledger(run).end is not None, "it has ended when this is told"
        assert await asyncio.wait_for(process.wait(), 60) == 0
    ledger = read_ledger(run)
    kinds = [(fault["kind"], len(fault["devices"])) for fault in ledger.of_kind("fault")]
    assert ("offline", 1) in kinds
    assert ("stuck", 5) in kinds
    assert ledger.end is not None
    assert ledger.end["reason"] == "stopped"
    assert (await ctl("status", str(run)))[0] == 3, "it is gone"


async def test_a_slow_stop_is_reported(tmp_path: Path, broker: Broker) -> None:
    run = tmp_path / "run"
    async with running(broker, run, "slow") as process:
        with broker.paused():
            status, _, err = await ctl("stop", str(run), "--within", "300ms")
        assert status == 1
        assert "still settling" in err
        assert await asyncio.wait_for(process.wait(), 60) == 0


async def test_a_kill_of_the_simulator_costs_at_most_the_last_second(tmp_path: Path, broker: Broker) -> None:
    run = tmp_path / "run"
    async with running(broker, run, "killed") as process:
        assert process.stdout is not None
        await asyncio.wait_for(process.stdout.readline(), 60)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    ledger = read_ledger(run)
    assert ledger.end is None
    [group] = ledger.groups
    assert len(group.table) >= 40
    assert acked_rows(ledger, group)[:30].all()
    assert group.table["seq"].tolist().count(0) == 5

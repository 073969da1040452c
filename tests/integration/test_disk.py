"""A full disk, a read-only one, and damaged files: reported, survived and repaired."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.integration.conftest import GatewayFactory
from tests.integration.field import (
    RULES,
    Fleet,
    assert_history_exact,
    assert_identities,
    assert_quiet,
    scenario_text,
    settled,
    stored,
    wait_settled,
)
from tests.integration.stranger import Device, now_ms
from tests.integration.test_life import kept, problem, refused
from tests.proofs.disk import full_disk
from tests.proofs.disk.full_disk import MIB, fill
from tests.proofs.proof import Unavailable
from tests.servers.broker import Broker

pytestmark = pytest.mark.broker


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """Mount a small file system; the test is skipped where mounting is not permitted."""
    try:
        with full_disk.small_disk(place, size):
            yield place
    except Unavailable as missing:
        pytest.skip(str(missing))


def test_a_full_disk_stops_acknowledging_until_there_is_room_again(
    broker: Broker, gateways: GatewayFactory, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 96 * MIB) as disk:
        gateway = gateways(broker, "gw-full", spool={"path": str(disk / "spool"), "commit_interval": "50ms"})
        gateway.spool = disk / "spool"
        gateway.write_rules(RULES)
        gateway.start()
        text = scenario_text("gw-full-site", devices=100, every="500ms", seed=23)
        with Fleet(broker, tmp_path / "run", text) as fleet:
            gateway.wait_for(lambda report: report["messages"]["new"] > 300)
            ballast = fill(disk)
            report = gateway.wait_for(lambda report: bool(problem(report, "disk")))
            assert "nothing is acknowledged" in problem(report, "disk")
            stopped = report["spool"]["committed"]
            fill(disk)
            report = gateway.wait_for(lambda report: report["broker"]["unacknowledged"] > 20_000)
            assert report["spool"]["committed"] <= stopped + 50
            ballast.unlink()
            gateway.wait_for(lambda report: not problem(report, "disk"))
        report = wait_settled(gateway, fleet.ledger)
        assert_identities(report)
        assert_history_exact(gateway, fleet.ledger, report)
        assert_quiet(gateway)
        gateway.kill()


def test_a_start_and_a_kill_on_a_full_disk_lose_nothing(
    broker: Broker, gateways: GatewayFactory, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 96 * MIB) as disk:
        gateway = gateways(
            broker, "gw-filled", spool={"path": str(disk / "spool"), "commit_interval": "50ms"}
        )
        gateway.spool = disk / "spool"
        gateway.start()
        with Device(broker.host, broker.port, "gw-filled-site", "filled") as device:
            device.be_born()
            device.measure(temperature=1.0)
            gateway.wait_for(lambda report: report["messages"]["new"] == 1 and stored(report))
            ballast = fill(disk)
            (gateway.spool / "reserve").unlink(missing_ok=True)
            fill(disk, "more")
            chance = random.Random(3)
            for _ in range(400):
                device.measure(
                    temperature=chance.random(), pressure=chance.random(), humidity=chance.random()
                )
            gateway.wait_for(lambda report: bool(problem(report, "disk")))
            gateway.kill()
            gateway.start(ready=False)
            device.measure(temperature=3.0)
            ballast.unlink(missing_ok=True)
            (disk / "more").unlink(missing_ok=True)
            report = gateway.wait_for(lambda report: report["messages"]["new"] == 402 and settled(report))
        assert report["messages"]["received"] == 402
        assert kept(gateway, "filled") == 402
        gateway.kill()


def test_a_spool_that_may_not_be_written_is_refused(
    broker: Broker, gateways: GatewayFactory, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", MIB) as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        gateway = gateways(broker, "gw-readonly", spool={"path": str(disk / "spool")})
        said = refused(gateway)
    assert "cannot use the spool" in said
    assert "spool.path" in said


PAGE = 4_096


def corrupt(path: Path) -> None:
    """Change bytes in the middle of a file, as a failing card does; in a database whole pages, which are half empty."""
    size = path.stat().st_size
    corrupted = PAGE if size > 16 * PAGE else 64
    with path.open("r+b") as file:
        for place in (size // 3, size // 2, 2 * size // 3):
            file.seek(place)
            file.write(os.urandom(min(corrupted, size)))


class Rot(NamedTuple):
    """A damaged file, the problem it raises, and how many of the 200 readings must be left."""

    name: str
    pattern: str
    left: int


@pytest.mark.parametrize(
    "rot",
    [
        Rot("checkpoint", "checkpoints/checkpoint-*", 200),
        Rot("store", "store.sqlite", 200),
        Rot("journal", "journal/*", 0),
    ],
    ids=lambda rot: rot.name,
)
def test_damaged_files_are_set_aside_and_the_gateway_starts(
    broker: Broker, gateways: GatewayFactory, rot: Rot
) -> None:
    name = rot.name
    gateway = gateways(broker, f"gw-rot-{name}", time={"allowed_lateness": "500ms", "idle_close": "1s"})
    site = f"gw-rot-{name}-site"
    gateway.start()
    with Device(broker.host, broker.port, site, f"rot-{name}") as device:
        device.be_born()
        for value in range(200):
            device.measure(temperature=float(value))
        gateway.wait_for(lambda report: report["messages"]["new"] == 200 and settled(report))
        gateway.kill()
        corrupt(max(gateway.spool.glob(rot.pattern)))
        gateway.start()
        report = gateway.ask(do="status")
        assert problem(report, f"{name}_corrupt"), report["problems"]
        assert list(gateway.spool.rglob("*.corrupt-*"))
        before = report["messages"]["new"]
        later = now_ms() + 2_000
        for value in range(20):
            device.measure(at=later + value, temperature=float(value))
        gateway.wait_for(lambda report: report["messages"]["new"] == before + 20 and settled(report))
        assert kept(gateway, f"rot-{name}") >= rot.left + 20
        gateway.kill()
        gateway.start()
        report = gateway.ask(do="status")
        assert report["messages"]["new"] == before + 20
    assert_quiet(gateway)

"""The spool directory: one process at a time, private files, and the starts it remembers."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_gateway.errors import BadInput, SpoolInUse
from edge_gateway.journal import spool
from edge_gateway.journal.files import FILES, write_whole
from edge_gateway.journal.reserve import Reserve
from edge_gateway.store.schema import open_store
from tests.integration.conftest import GatewayFactory, gateways
from tests.integration.field import stored
from tests.integration.stranger import Device
from tests.servers.broker import Broker
from tests.servers.process import free_port

__all__ = ["gateways"]


@pytest.fixture(autouse=True)
def careless_umask() -> Iterator[None]:
    before = os.umask(0o000)
    yield
    os.umask(before)


def modes(place: Path) -> dict[str, str]:
    """By relative path, of all that is there."""
    found = [place, *place.rglob("*")]
    return {str(path.relative_to(place)): oct(stat.S_IMODE(path.lstat().st_mode)) for path in found}


def judge(place: Path) -> None:
    for name, mode in modes(place).items():
        path = place / name
        wanted = 0o750 if path.is_dir() else 0o660 if path.is_socket() else 0o640
        assert int(mode, 8) & ~wanted == 0, f"{name} is {mode}"


def test_whatever_makes_a_file_makes_it_private(tmp_path: Path) -> None:
    place = tmp_path / "spool"
    with spool.held(place):
        FILES.make_directory(place / spool.JOURNAL)
        write_whole(FILES, place / spool.JOURNAL / "x", b"x")
        assert Reserve(place / spool.RESERVE, size=10).make()
        db, _ = open_store(place / spool.STORE)
        db.execute("INSERT INTO meta VALUES('x', 1)")
        assert len(list(place.glob("store.sqlite*"))) == 3
        judge(place)
        db.close()


def test_what_an_older_program_left_is_tightened(tmp_path: Path) -> None:
    place = tmp_path / "spool"
    made = ["journal/1.seg", "journal/1.seg.corrupt-5", "checkpoints/c", "store.sqlite", "store.sqlite-wal"]
    made += [
        "store.sqlite.corrupt-7",
        "store.sqlite.corrupt-7-shm",
        "broker/mosquitto.db",
        "broker/mosquitto.db.corrupt-9",
    ]
    for name in made:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("x")
        (place / name).chmod(0o666)
    outside = tmp_path / "outside"
    outside.write_text("x")
    outside.chmod(0o644)
    (place / "broker" / "link").symlink_to(outside)
    with spool.held(place):
        assert {name: mode for name, mode in modes(place).items() if name in made} == dict.fromkeys(
            made, "0o640"
        )
        assert modes(place)["."] == "0o750"
        assert modes(place)["journal"] == "0o750"
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644


def test_what_is_no_part_of_a_spool_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("x")
    (tmp_path / "tool").chmod(0o755)
    tmp_path.chmod(0o755)
    with spool.held(tmp_path):
        assert modes(tmp_path) == {".": "0o755", "tool": "0o755", "lock": "0o640"}


def test_one_process_at_a_time_holds_a_spool(tmp_path: Path) -> None:
    with (
        spool.held(tmp_path),
        pytest.raises(SpoolInUse, match=r"another gateway is using the spool .* set another spool.path"),
        spool.held(tmp_path),
    ):
        pass
    with spool.held(tmp_path) as place:
        assert place == tmp_path


def test_a_spool_that_cannot_be_used_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(BadInput, match=r"cannot use the spool .*file: .*; set spool.path to a directory"),
        spool.held(tmp_path / "file"),
    ):
        pass


def test_each_start_gets_a_nonce_of_its_own_and_the_newest_are_remembered(tmp_path: Path) -> None:
    first = spool.note_start(tmp_path)
    second = spool.note_start(tmp_path)
    assert second[:-1] == first
    (tmp_path / spool.STARTS).write_bytes(b"\xff garbage\n" + first[0].encode() + b"\nzz\n")
    assert spool.note_start(tmp_path)[:-1] == first
    for _ in range(spool.MOST_STARTS):
        newest = spool.note_start(tmp_path)
    assert len(set(newest)) == len(newest) == spool.MOST_STARTS
    assert first[0] not in newest


@pytest.mark.broker
def test_a_gateway_at_work_leaves_nothing_for_others(broker: Broker, gateways: GatewayFactory) -> None:
    gateway = gateways(broker, "gw-modes")
    gateway.start()
    with Device(broker.host, broker.port, "gw-modes-site", "modes") as device:
        device.be_born()
        device.measure(temperature=1.0)
        gateway.wait_for(lambda report: report["messages"]["new"] == 1 and stored(report))
    judge(gateway.spool)
    assert stat.S_IMODE((gateway.spool / "control.sock").stat().st_mode) == 0o660
    assert gateway.stop() == 0
    gateway.run("spool", "inspect", "--json")
    judge(gateway.spool)


@pytest.mark.broker
def test_an_embedded_broker_leaves_nothing_for_others(broker: Broker, gateways: GatewayFactory) -> None:
    """`broker` stands for a Mosquitto that is installed."""

    gateway = gateways(f"mqtt://localhost:{free_port()}", "gw-own")
    gateway.start(embedded=True)
    assert gateway.stop() == 0
    assert (gateway.spool / "broker" / "mosquitto.db").exists()
    judge(gateway.spool)

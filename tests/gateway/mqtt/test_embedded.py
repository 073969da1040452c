import asyncio
import os
import signal
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest

from edge_gateway.errors import CannotReach
from edge_gateway.mqtt import broker_database, embedded
from edge_gateway.mqtt.embedded import EmbeddedBroker, embedded_configuration, find_mosquitto
from tests.servers.process import accepts, wait_until

pytestmark = pytest.mark.broker

TOPIC = "fleet/v1/berlin/frz-00042/status"


def quickly() -> Iterator[float]:
    while True:
        yield 0.05


async def publish_retained(broker: EmbeddedBroker, payload: bytes = b"birth") -> None:
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.publish(TOPIC, payload, qos=1, retain=True)


async def retained(broker: EmbeddedBroker) -> bytes | None:
    """The retained message of the topic, None where there is none: a marker is sent behind it."""
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.subscribe([(TOPIC, 1), ("marker", 1)])
        await client.publish("marker", b"", qos=1)
        async for message in client.messages:
            return bytes(message.payload) if str(message.topic) == TOPIC else None
    raise AssertionError


@pytest.fixture
async def saved(tmp_path: Path) -> EmbeddedBroker:
    """A broker that has stopped and left a database with retained messages, a session and its queue."""
    broker = EmbeddedBroker(tmp_path / "broker", port=0)
    async with broker:
        async with aiomqtt.Client(
            broker.host, broker.port, identifier="absent", clean_session=False
        ) as absent:
            await absent.subscribe("queue/#", qos=1)
        await publish_retained(broker)
        async with aiomqtt.Client(broker.host, broker.port) as client:
            for number in range(20):
                await client.publish(f"queue/{number}", bytes(100), qos=1)
    return broker


def database(broker: EmbeddedBroker) -> Path:
    return broker.directory / "mosquitto.db"


def aside(broker: EmbeddedBroker) -> list[Path]:
    return list(broker.directory.glob("mosquitto.db.corrupt-*"))


async def test_what_is_retained_survives_a_stop_and_a_start(saved: EmbeddedBroker) -> None:
    assert broker_database.fault(database(saved)) == ""
    async with saved:
        assert await retained(saved) == b"birth"
    assert not aside(saved)


def test_every_cut_is_found_or_leaves_whole_chunks(saved: EmbeddedBroker, tmp_path: Path) -> None:
    whole = database(saved).read_bytes()
    boundaries = {23}
    at = 23
    while at < len(whole):
        at += 8 + struct.unpack_from(">I", whole, at + 4)[0]
        boundaries.add(at)
    cut = tmp_path / "cut.db"
    sound = set()
    for size in range(1, len(whole) + 1):
        cut.write_bytes(whole[:size])
        if not broker_database.fault(cut):
            sound.add(size)
    assert sound == boundaries


@pytest.mark.parametrize("left", [1, 14, 22, 30, 0.3, 0.6, 0.9])
async def test_a_truncated_database_is_moved_aside(saved: EmbeddedBroker, left: float) -> None:
    whole = database(saved).read_bytes()
    damaged = whole[: left if isinstance(left, int) else int(len(whole) * left)]
    database(saved).write_bytes(damaged)
    async with saved:
        assert await retained(saved) is None
        await publish_retained(saved, b"again")
    assert [path.read_bytes() for path in aside(saved)] == [damaged]
    async with saved:
        assert await retained(saved) == b"again"


@pytest.mark.parametrize("zeros_from", [0, 15, 23, 0.5])
async def test_a_zeroed_database_is_moved_aside(saved: EmbeddedBroker, zeros_from: float) -> None:
    whole = database(saved).read_bytes()
    start = zeros_from if isinstance(zeros_from, int) else int(len(whole) * zeros_from)
    database(saved).write_bytes(whole[:start] + bytes(len(whole) - start))
    async with saved:
        assert accepts(saved.host, saved.port)
    assert len(aside(saved)) == 1


async def test_content_that_only_the_broker_finds_bad_is_moved_aside(saved: EmbeddedBroker) -> None:
    # The chunk's length is right, and the lengths inside it are not.
    damaged = (
        b"\x00\xb5\x00mosquitto db" + struct.pack(">II", 0, 6) + struct.pack(">II", 2, 40) + b"\xff" * 40
    )
    database(saved).write_bytes(damaged)
    assert broker_database.fault(database(saved)) == ""
    async with saved:
        await publish_retained(saved)
    assert [path.read_bytes() for path in aside(saved)] == [damaged]


async def test_an_empty_database_is_left_to_the_broker(saved: EmbeddedBroker) -> None:
    database(saved).write_bytes(b"")
    async with saved:
        assert await retained(saved) is None
    assert not aside(saved)


async def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(CannotReach, match=rf"127\.0\.0\.1:{port}.*another port"):
            await EmbeddedBroker(tmp_path, port=port).start()


def test_a_missing_program_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("edge_gateway.mqtt.embedded._PLACES", ())
    with pytest.raises(CannotReach, match="apt install mosquitto"):
        find_mosquitto()


def test_the_program_is_found_outside_the_path_of_users(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "sbin"
    place.mkdir()
    (place / "mosquitto").write_text("#!/bin/sh\n")
    (place / "mosquitto").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("edge_gateway.mqtt.embedded._PLACES", (str(place),))
    assert find_mosquitto() == place / "mosquitto"


async def test_a_program_that_ends_at_once_is_quoted(tmp_path: Path) -> None:
    program = tmp_path / "mosquitto"
    program.write_text("#!/bin/sh\necho '12: Error: the disk is on fire.' >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(CannotReach, match=r"the disk is on fire.*mosquitto\.log"):
        await EmbeddedBroker(tmp_path / "broker", port=0, program=program).start()


async def test_a_program_that_never_accepts_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "START_WITHIN", 0.3)
    program = tmp_path / "mosquitto"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    broker = EmbeddedBroker(tmp_path / "broker", port=0, program=program)
    with pytest.raises(CannotReach, match="nothing accepts"):
        await broker.start()
    assert broker.pid is None


async def test_it_is_restarted_after_a_kill(saved: EmbeddedBroker) -> None:
    async with saved:
        supervisor = asyncio.create_task(saved.supervise(quickly))
        first = saved.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await asyncio.to_thread(wait_until, lambda: saved.restarts > 0, 20, "it runs again")
        assert saved.pid not in {first, None}
        assert await retained(saved) == b"birth"
        supervisor.cancel()
    assert saved.pid is None


async def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = (
        "import asyncio, pathlib, sys\n"
        "from edge_gateway.mqtt.embedded import EmbeddedBroker\n"
        "async def main():\n"
        "    broker = EmbeddedBroker(pathlib.Path(sys.argv[1]), port=0)\n"
        "    await broker.start()\n"
        "    print(broker.port, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    port = int(await parent.stdout.readline())
    assert accepts("127.0.0.1", port)
    parent.kill()
    await parent.wait()
    await asyncio.to_thread(wait_until, lambda: not accepts("127.0.0.1", port), 20, "the broker ends")
    assert (tmp_path / "mosquitto.db").stat().st_size > 0


async def test_ctrl_c_of_the_terminal_is_left_to_the_gateway(saved: EmbeddedBroker) -> None:
    await saved.start()
    try:
        assert saved._process is not None
        assert os.getpgid(saved._process.pid) != os.getpgrp()
    finally:
        await saved.stop()


async def test_a_long_log_is_kept_once(saved: EmbeddedBroker) -> None:
    log = saved.directory / "mosquitto.log"
    log.write_bytes(b"x" * ((1 << 20) + 1))
    async with saved:
        assert log.with_name("mosquitto.log.1").stat().st_size == (1 << 20) + 1
        assert log.stat().st_size < 10_000


def test_only_root_keeps_its_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "user root" not in embedded_configuration(tmp_path, 1883)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "user root" in embedded_configuration(tmp_path, 1883)

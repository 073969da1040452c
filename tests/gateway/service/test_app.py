"""How the gateway starts, lives and stops, and how long it waits for a spool that cannot be written."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import resource
import sqlite3
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

import aiomqtt
import pytest

from edge_gateway.configuration.credentials import Credentials
from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.errors import BadInput
from edge_gateway.recovery.startup import Startup
from edge_gateway.service import app
from edge_gateway.service.app import ControlClients, SpoolRecovery, run, session_options
from edge_gateway.service.local_api import LocalEndpoint
from edge_gateway.service.watchdog import ProgressMark
from fleet_config.problems import ProblemsFound
from fleet_wire import local_socket, topics
from fleet_wire.telemetry import encode_telemetry
from tests.other_users import AS_ROOT, SOMEBODY, acting_as, open_to_all
from tests.servers.broker import Broker
from tests.servers.process import free_port

WITHIN = 60.0

FULL = OSError(errno.ENOSPC, "No space left on device")
RECOVERED = cast("Startup", object())


def config(**mqtt: Any) -> GatewayConfig:
    return GatewayConfig.model_validate({"mqtt": {"url": "mqtt://localhost:2883", **mqtt}})


@pytest.fixture
def recovery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SpoolRecovery:
    monkeypatch.setattr(app, "RETRY_EVERY", 0.001)
    return SpoolRecovery(tmp_path, LocalEndpoint(), ProgressMark(at=0.0))


def test_the_session_is_configured_in_seconds_and_with_the_current_password(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("one")
    given = config(user="gw", password=f"file:{secret}", keepalive="20s", session_expiry="1h")
    credentials = Credentials(given)
    options = session_options(given.mqtt, credentials, client_id="edge-gw")
    assert (options.host, options.port, options.client_id, options.username) == (
        "localhost",
        2883,
        "edge-gw",
        "gw",
    )
    assert (options.keep_alive, options.session_expiry, options.password) == (20, 3600, b"one")
    secret.write_text("two")
    again = session_options(given.mqtt, credentials, client_id="edge-gw", session_expiry=0)
    assert (again.session_expiry, again.password) == (0, b"two")


async def test_a_client_that_stands_by_never_has_the_id_of_another() -> None:
    given = config()
    clients = ControlClients(given.mqtt, Credentials(given), "edge-gw-control")
    names = {clients.standing_by().identifier for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("edge-gw-control-by-") for name in names)


async def test_a_full_disk_is_waited_for_and_reported_on_the_local_socket(recovery: SpoolRecovery) -> None:
    errors: list[Exception] = [FULL, sqlite3.OperationalError("database or disk is full"), FULL]
    errors[1].sqlite_errorcode = sqlite3.SQLITE_FULL  # type: ignore[attr-defined]
    said: list[str] = []

    def recover() -> Startup:
        said.append(recovery.endpoint.message)
        if errors:
            raise errors.pop()
        return RECOVERED

    assert await recovery.recover(recover, asyncio.Event()) is RECOVERED
    assert "is reading its spool" in said[0]
    assert all(
        f"the disk of the spool {recovery.place} is full: free some space" in text for text in said[1:]
    )
    assert recovery.progress.at > 0, "the watchdog sees each try"


async def test_a_stop_ends_the_wait(recovery: SpoolRecovery) -> None:
    stop = asyncio.Event()

    def recover() -> Startup:
        loop.call_soon_threadsafe(stop.set)
        raise FULL

    loop = asyncio.get_running_loop()
    assert await recovery.recover(recover, stop) is None


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
async def test_a_spool_that_may_not_be_written_is_not_waited_for(
    recovery: SpoolRecovery, number: int
) -> None:
    def recover() -> Startup:
        raise OSError(number, "no")

    with pytest.raises(BadInput, match="it is unchanged"):
        await recovery.recover(recover, asyncio.Event())


@AS_ROOT
@pytest.mark.parametrize("error", [PermissionError(errno.EACCES, "no"), None])
async def test_a_file_that_root_left_in_the_spool_is_named_with_its_owner(
    recovery: SpoolRecovery, error: OSError | None
) -> None:
    def recover() -> Startup:
        raise error or read_only_database()

    os.chown(recovery.place, SOMEBODY, SOMEBODY)
    (recovery.place / "starts").touch(mode=0o640)
    open_to_all(recovery.place.parent)
    said = rf"may not use {recovery.place}/starts, which belongs to root\)"
    with acting_as(SOMEBODY), pytest.raises(BadInput, match=said):
        await recovery.recover(recover, asyncio.Event())


def read_only_database() -> sqlite3.Error:
    error = sqlite3.OperationalError("attempt to write a readonly database")
    error.sqlite_errorcode = sqlite3.SQLITE_READONLY
    return error


async def test_a_read_only_database_is_not_waited_for(recovery: SpoolRecovery) -> None:
    def recover() -> Startup:
        raise read_only_database()

    with pytest.raises(BadInput, match="readonly database"):
        await recovery.recover(recover, asyncio.Event())


async def test_any_other_error_ends_the_start(recovery: SpoolRecovery) -> None:
    def recover() -> Startup:
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        await recovery.recover(recover, asyncio.Event())


# --- a whole life, in this process


RULES = """version: 1
groups:
- name: g
  rules:
  - {alert: Hot, expr: heat, above: 10}
"""


@pytest.fixture
def process_as_before() -> Iterator[None]:
    """Undo what a gateway changes in its process: hooks, garbage collection, limit of open files."""
    hooks, unraisable = threading.excepthook, sys.unraisablehook
    limits, thresholds = resource.getrlimit(resource.RLIMIT_NOFILE), gc.get_threshold()
    yield
    threading.excepthook, sys.unraisablehook = hooks, unraisable
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    gc.set_threshold(*thresholds)
    gc.unfreeze()


class Life:
    """A running gateway, asked over its local socket."""

    def __init__(self, place: Path, url: str, **sections: Any) -> None:
        self.rules = place / "rules"
        self.rules.mkdir(exist_ok=True)
        if not any(self.rules.iterdir()):
            (self.rules / "none.yaml").write_text("version: 1\ngroups: []\n")
        self.socket = place / "control.sock"
        self.config = GatewayConfig.model_validate({
            "gateway": {"id": "gw-life", "sites": ["life"]},
            "mqtt": {"url": url},
            "spool": {"path": str(place / "spool"), "commit_interval": "50ms"},
            "rules": {"path": str(self.rules)},
            "http": {"listen": None},
            "windows": [{"every": "1s", "bucket": "telemetry", "keep": "30d"}],
            **sections,
        })  # fmt: skip

    @asynccontextmanager
    async def running(self, *, embedded: bool = False) -> AsyncIterator[None]:
        stop = asyncio.Event()
        task = asyncio.create_task(run(self.config, stop=stop, socket=self.socket, embedded=embedded))
        try:
            await self.until(lambda status: status["broker"]["connected"], task)
            yield
        finally:
            stop.set()
            async with asyncio.timeout(WITHIN):
                await task

    async def ask(self, do: str, **more: Any) -> Any:
        return await local_socket.call(self.socket, {"do": do, **more}, timeout=WITHIN)

    async def until(self, holds: Callable[[Any], bool], task: asyncio.Task[None] | None = None) -> Any:
        """Wait until the status is as wanted, or the gateway ended; return the status."""
        async with asyncio.timeout(WITHIN):
            while task is None or not task.done():
                with suppress(local_socket.NotRunning, local_socket.RequestFailed):
                    status = await self.ask("status")
                    if holds(status):
                        return status
                await asyncio.sleep(0.02)
        return await task


async def send(host: str, port: int, seq: int, heat: float) -> None:
    now = time.time_ns() // 1_000_000
    async with aiomqtt.Client(host, port) as client:
        topic = topics.device_topic("life", "f1", topics.TELEMETRY)
        await client.publish(topic, encode_telemetry(1, seq, now, {"heat": heat}), qos=1)


@pytest.mark.usefixtures("process_as_before")
async def test_a_gateway_takes_readings_and_the_next_one_goes_on(
    tmp_path: Path, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    token = tmp_path / "token"
    token.write_text("secret")
    nobody = f"http://127.0.0.1:{free_port()}"
    life = Life(tmp_path, broker.url, influx={"url": nobody, "org": "o", "token": f"file:{token}"})
    (life.rules / "a.yaml").write_text(RULES)
    async with life.running():
        assert life.socket.stat().st_mode & 0o777 == 0o660
        await send(broker.host, broker.port, 1, 20.0)
        await life.until(lambda status: status["alerts"]["firing"] == 1)
        assert [one["device"] for one in await life.ask("devices")] == ["f1"]
        assert [one["rule"] for one in await life.ask("alerts")] == ["Hot"]
        (life.rules / "b.yaml").write_text(RULES.replace("g\n", "h\n").replace("Hot", "Cold"))
        assert (await life.ask("reload")).startswith("2 rules, ")
        with pytest.raises(local_socket.RequestRefused, match="no device 'f2'"):
            await life.ask("forget", device="f2")
        status = await life.until(lambda status: status["sinks"]["influx"]["waiting"]["lines"])
        assert status["state"] == "online"
        assert (status["messages"]["new"], status["rules"]["count"]) == (1, 2)
    last = caplog.messages[-1]
    assert last.startswith("stopped: record ")
    assert last.endswith("for influx"), "nobody took its lines"

    (life.rules / "a.yaml").write_text("version: 7\n")
    async with life.running():
        assert "the rule files are invalid; the rules last in force stay in force" in caplog.text
        assert (await life.ask("status"))["alerts"]["firing"] == 1
        await send(broker.host, broker.port, 2, 1.0)
        status = await life.until(lambda status: status["alerts"]["firing"] == 0)
        assert status["messages"]["new"] == 2
        assert [one["code"] for one in status["problems"] if one["code"] == "rules"] == ["rules"]


@pytest.mark.usefixtures("process_as_before")
async def test_a_database_that_is_away_before_and_after_a_restart_is_away_since_before_it(
    tmp_path: Path, broker: Broker
) -> None:
    (tmp_path / "token").write_text("secret")
    nobody = f"http://127.0.0.1:{free_port()}"
    influx = {"url": nobody, "org": "o", "token": f"file:{tmp_path / 'token'}"}
    life = Life(tmp_path, broker.url, influx=influx)
    (life.rules / "a.yaml").write_text(RULES)
    since = []
    for seq in (1, 2):
        async with life.running():
            await send(broker.host, broker.port, seq, 1.0)
            status = await life.until(lambda status: any(map(is_of_influx, status["problems"])))
            since += [one["since"] for one in status["problems"] if is_of_influx(one)]
    assert since[0] == since[1]


def is_of_influx(problem: dict[str, Any]) -> bool:
    return bool(problem["code"] == "sink_influx")


@pytest.mark.usefixtures("process_as_before")
async def test_a_first_start_needs_rules_that_are_valid(tmp_path: Path, broker: Broker) -> None:
    life = Life(tmp_path, broker.url)
    (life.rules / "a.yaml").write_text("version: 7\n")
    with pytest.raises(ProblemsFound, match="version"):
        await run(life.config, stop=asyncio.Event(), socket=life.socket, embedded=False)


@pytest.mark.usefixtures("process_as_before")
async def test_an_embedded_gateway_brings_its_broker(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    port = free_port()
    life = Life(tmp_path, f"mqtt://127.0.0.1:{port}")
    async with life.running(embedded=True):
        await send("127.0.0.1", port, 1, 2.0)
        await life.until(lambda status: status["messages"]["new"] == 1)
    assert f"the embedded broker listens on mqtt://127.0.0.1:{port}" in caplog.messages
    assert caplog.messages[-1].endswith("left for the next start: nothing")


@pytest.mark.usefixtures("process_as_before")
async def test_a_stop_before_the_spool_is_read_is_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    life, stop = Life(tmp_path, "mqtt://127.0.0.1:1"), asyncio.Event()
    stop.set()
    await run(life.config, stop=stop, socket=life.socket, embedded=False)
    assert caplog.messages[-1] == "stopped before the spool was read; the next start reads it"


@pytest.mark.usefixtures("process_as_before")
async def test_a_socket_that_cannot_be_made_ends_the_start(tmp_path: Path) -> None:
    life = Life(tmp_path, "mqtt://127.0.0.1:1")
    life.socket.write_text("in the way")
    with pytest.raises(BadInput, match=r"cannot listen on .*control\.sock"):
        await run(life.config, stop=asyncio.Event(), socket=life.socket, embedded=False)


@pytest.mark.usefixtures("process_as_before")
async def test_a_disk_too_full_for_the_socket_is_tried_again_once_the_spool_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Path] = []

    def full(path: Path, _: object) -> AbstractAsyncContextManager[None]:
        tried.append(path)
        raise FULL

    monkeypatch.setattr(local_socket, "serve", full)
    life = Life(tmp_path, "mqtt://127.0.0.1:1")
    with pytest.raises(BadInput, match="the disk is full"):
        await run(life.config, stop=asyncio.Event(), socket=life.socket, embedded=False)
    assert tried == [life.socket] * 2

"""How the gateway connects, and how long it waits for a spool that cannot be written."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from pathlib import Path
from typing import Any, cast

import pytest

from edge_gateway.configuration.credentials import Credentials
from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.errors import BadInput
from edge_gateway.recovery.startup import Startup
from edge_gateway.service import app
from edge_gateway.service.app import ControlClients, SpoolRecovery, session_options
from edge_gateway.service.local_api import LocalEndpoint
from edge_gateway.service.watchdog import ProgressMark

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


async def test_a_read_only_database_is_not_waited_for(recovery: SpoolRecovery) -> None:
    def recover() -> Startup:
        error = sqlite3.OperationalError("attempt to write a readonly database")
        error.sqlite_errorcode = sqlite3.SQLITE_READONLY
        raise error

    with pytest.raises(BadInput, match="readonly database"):
        await recovery.recover(recover, asyncio.Event())


async def test_any_other_error_ends_the_start(recovery: SpoolRecovery) -> None:
    def recover() -> Startup:
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        await recovery.recover(recover, asyncio.Event())

"""Gateways and sessions that a test may start; none outlives it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.integration.session_clients import Client, Clients
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.influx import Influx


class GatewayFactory(Protocol):
    """`gateways(broker, "gw-name", windows=…)`: a gateway of its own id, site and directory, not started."""

    def __call__(self, broker: Broker | str, name: str, **sections: Any) -> Gateway: ...


def forwarding(influx: Influx, directory: Path) -> dict[str, str]:
    """The `influx` section of a gateway that forwards to a server of the tests."""
    token = directory / "influx.token"
    token.write_text(influx.token)
    token.chmod(0o600)
    return {"url": influx.url, "org": influx.org, "token": f"file:{token}"}


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[GatewayFactory]:
    made: list[Gateway] = []

    def make(broker: Broker | str, name: str, **sections: Any) -> Gateway:
        url = broker if isinstance(broker, str) else broker.url
        of_its_own = {"gateway": {"id": name, "sites": [f"{name}-site"]}}
        gateway = Gateway(tmp_path / name, url, **{**of_its_own, **sections})
        made.append(gateway)
        return gateway

    yield make
    for gateway in made:
        gateway.kill()


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    """Make clients, and end them with the test."""
    made: list[Client] = []

    def make(*arguments: Any, **options: Any) -> Client:
        made.append(Client(*arguments, **options))
        return made[-1]

    yield make
    for client in made:
        client.session.abort()
    await asyncio.sleep(0)

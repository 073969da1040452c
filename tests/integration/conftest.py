"""Gateways that a test may start, kill and start again; none outlives its test."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

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

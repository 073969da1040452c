"""An InfluxDB that takes a request and says nothing does not keep the gateway from stopping."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.integration.conftest import GatewayFactory
from tests.integration.stranger import Device
from tests.servers.broker import Broker
from tests.servers.gateway import GENEROUS

pytestmark = pytest.mark.broker

NAME = "gw-hanging"


def test_a_stop_while_a_request_hangs_ends_in_time(
    broker: Broker, gateways: GatewayFactory, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    token.chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(GENEROUS)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        influx = {"url": url, "org": "fleet", "token": f"file:{token}", "timeout": "10m"}
        gateway = gateways(broker, NAME, influx=influx)
        gateway.start()
        with Device(broker.host, broker.port, f"{NAME}-site", "device") as device:
            device.be_born()
            device.measure(temperature=1.0)
            request, _ = silent.accept()
        with request:
            assert request.recv(1)
            libraries = Path(f"/proc/{gateway.pid}/maps").read_text()
            assert gateway.stop() == 0, gateway.words()
    assert "Traceback" not in gateway.words()
    assert "numpy" in libraries
    assert "aiohttp" not in libraries  # 12 MB, which nothing of a gateway needs

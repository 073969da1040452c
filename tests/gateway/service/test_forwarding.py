"""The sink for InfluxDB is built from the configuration, and reads its token anew for each request."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from edge_gateway.configuration.credentials import Credentials
from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.errors import BadInput
from edge_gateway.service.forwarding import forwarding
from edge_gateway.status.catalogue import Problem
from tests.fakes import FakeInflux
from tests.gateway.sinks.outlet import line


def config(url: str, token: Path) -> GatewayConfig:
    influx = {"url": url, "org": "fleet", "token": f"file:{token}", "timeout": "5s"}
    return GatewayConfig.model_validate({"mqtt": {"url": "mqtt://localhost"}, "influx": influx})


def built(given: GatewayConfig) -> Any:
    assert given.influx is not None
    return forwarding(given.influx, cast("Any", None), Credentials(given))


async def test_each_write_has_the_token_of_the_moment(tmp_path: Path) -> None:
    token = tmp_path / "token"
    async with FakeInflux() as server:
        token.write_text("one")
        writer, sink = built(config(server.url, token))
        async with writer:
            await writer.write("telemetry", line(1))
            token.write_text("two")
            await writer.write("telemetry", line(2))
    assert sink.part is Problem.PART_SINK_INFLUX
    assert [request.token for request in server.requests] == ["Token one", "Token two"]


async def test_a_token_that_cannot_be_read_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="token"):
        built(config("http://localhost:8086", tmp_path / "missing"))


def test_a_gateway_loads_none_of_the_large_clients() -> None:
    """They would take a tenth of its memory; the simulator and the tests use them."""
    code = "import sys, edge_gateway.service.app; print({'aiohttp', 'influxdb_client', 'urllib3'} & {*sys.modules})"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert printed.stdout == "set()\n"

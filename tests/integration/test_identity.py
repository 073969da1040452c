"""A client with a device's password can act as that device only, whatever client id it asks for.

The thief has the password of frz-1. Gateway and broker are real; the broker has the shipped field configuration.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_gateway.configuration.gateway_id import client_id
from fleet_sim.ledger.reading import read_ledger
from tests.integration.conftest import GatewayFactory
from tests.integration.stranger import Device, now_ms, pack
from tests.servers.broker import Broker
from tests.servers.field_broker import DEVICES, GATEWAYS, PASSWORD, FieldBroker
from tests.servers.gateway import Gateway

pytestmark = pytest.mark.broker

ID = "gw-thieves"
SITE = f"{ID}-site"
USERS = ("frz-1", "frz-2", "operator", "fleet-sim", *(f"probe-{number}" for number in range(3)))
COUNT = 200
SOUGHT = (client_id(ID), client_id(ID, "control"), "frz-2", "")
FLEET = f"""\
version: 1
name: field
seed: 1
fleet:
  probe:
    count: 3
    site: {SITE}
    id: "probe-{{i}}"
    interval: 200ms
    metrics:
      heat: {{model: constant, value: 5}}
phases:
- {{name: all, for: 4s}}
"""


@pytest.fixture(params=[False, True], ids=["passwords", "certificates"])
def field(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[FieldBroker]:
    broker = FieldBroker(tmp_path, USERS, mutual=request.param)
    for user in ("frz-1", "frz-2"):
        broker.issue(user, user)
    yield broker
    broker.process.kill()


@pytest.fixture
def gateway(field: FieldBroker, gateways: GatewayFactory) -> Gateway:
    return gateways("mqtt://unused", ID, mqtt=field.gateway_section)


def device(field: FieldBroker, name: str, **options: Any) -> aiomqtt.Client:
    """A client as this device: by password or by certificate, as the broker wants it."""
    return field.client(name, certificate=name, **options)


async def send(client: aiomqtt.Client, numbers: range) -> None:
    """Readings of frz-2, each until the broker has acknowledged it."""
    for seq in numbers:
        reading = {"v": 1, "boot": 7, "seq": seq, "ts": now_ms(), "m": {"heat": float(seq)}}
        await client.publish(f"fleet/v1/{SITE}/frz-2/telemetry", pack(reading), qos=1)


def steal(field: FieldBroker) -> None:
    """Connect with the secret of frz-1 and each valuable client id, on both listeners."""
    for sought in SOUGHT:
        assert field.answer("frz-1", sought, certificate="frz-1")[3] == 0, "he comes in, as frz-1"
        assert field.answer("frz-1", sought, certificate="frz-1", port=GATEWAYS) == b""


@contextlib.asynccontextmanager
async def thieves(field: FieldBroker) -> AsyncIterator[None]:
    """Try to steal client ids while the block runs."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            steal(field)

    await asyncio.to_thread(steal, field)
    task = asyncio.create_task(asyncio.to_thread(work))
    try:
        yield
    finally:
        over.set()
        await task


def assert_all_there(gateway: Gateway, count: int) -> None:
    report = gateway.wait_for(lambda report: report["messages"]["new"] >= count)
    assert report["messages"]["new"] == count
    assert "broker_sessions_lost" not in report["counters"]
    assert "taken_over" not in report["counters"]
    assert not report["problems"]
    assert json.loads(gateway.run("devices", "--json"))[0]["gaps"] == []


async def test_a_stolen_client_id_loses_no_reading_while_the_gateway_runs(
    field: FieldBroker, gateway: Gateway
) -> None:
    await asyncio.to_thread(gateway.start)
    async with thieves(field), device(field, "frz-2") as honest:
        await send(honest, range(COUNT))
    await asyncio.to_thread(assert_all_there, gateway, COUNT)


async def test_a_stolen_client_id_loses_no_reading_while_the_gateway_is_away_and_the_broker_restarts(
    field: FieldBroker, gateway: Gateway
) -> None:
    await asyncio.to_thread(gateway.start)
    await asyncio.to_thread(gateway.stop)
    async with thieves(field), device(field, "frz-2") as honest:
        await send(honest, range(COUNT // 2))
    await asyncio.to_thread(field.process.restart)
    async with thieves(field), device(field, "frz-2") as honest:
        await send(honest, range(COUNT // 2, COUNT))
    await asyncio.to_thread(gateway.start)
    await asyncio.to_thread(assert_all_there, gateway, COUNT)


async def test_a_device_cannot_drop_the_session_of_another_device(field: FieldBroker) -> None:
    topic = f"fleet/v1/{SITE}/frz-2/command"
    lasting: dict[str, Any] = {"identifier": "frz-2", "clean_start": False}
    async with device(field, "frz-2", properties=_expiry(600), **lasting) as honest:
        await honest.subscribe(topic, qos=1)
    async with field.client("gateway") as commands:
        await commands.publish(topic, b"cool", qos=1)
    await asyncio.to_thread(steal, field)
    async with device(field, "frz-2", properties=_expiry(0), **lasting) as honest:
        async for message in honest.messages:
            assert message.payload == b"cool"
            break
        async with field.client("gateway") as commands:
            await asyncio.to_thread(steal, field)
            await commands.publish(topic, b"cooler", qos=1)
        async for message in honest.messages:
            assert message.payload == b"cooler", "its connection stood"
            break


def _expiry(seconds: int) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = seconds
    return properties


@pytest.mark.parametrize("certificate", [None, "frz-1", "forged"])
def test_only_the_gateways_certificate_opens_its_listener(
    field: FieldBroker, certificate: str | None
) -> None:
    """Not even one with the gateway's name that the devices' CA signed, as `forged` is."""
    field.issue("forged", "edge:gateway")
    assert field.answer("frz-1", client_id(ID), port=GATEWAYS, certificate=certificate) == b""
    assert field.answer(None, client_id(ID), port=GATEWAYS, certificate="gateway")[3] == 0


@pytest.mark.parametrize("field", [False], ids=["passwords"], indirect=True)
def test_no_password_file_user_can_have_the_gateways_name(field: FieldBroker) -> None:
    """Neither its client id nor the user that the ACL gives its rights to."""
    for name in ("edge:gateway", *SOUGHT[:2]):
        command = ["mosquitto_passwd", "-b", str(field.directory / "passwords"), name, PASSWORD]
        assert subprocess.run(command, check=False, capture_output=True).returncode != 0


@pytest.mark.parametrize("field", [False], ids=["passwords"], indirect=True)
def test_a_simulated_fleet_logs_in_as_its_devices(
    field: FieldBroker, gateway: Gateway, tmp_path: Path
) -> None:
    """And hears the gateway as `fleet-sim`: the ledger has its status."""
    gateway.start()
    (tmp_path / "fleet.yaml").write_text(FLEET)
    options = [
        "--host",
        "localhost",
        "--port",
        str(field.ports[DEVICES]),
        "--cafile",
        str(tmp_path / "ca.crt"),
    ]
    run = [sys.executable, "-m", "fleet_sim.cli", "run", "fleet.yaml", "--user", "{id}", *options]
    subprocess.run(
        [*run, "--report", "run", "--quiet"],
        cwd=tmp_path,
        check=True,
        timeout=120,
        env={**os.environ, "FLEET_SIM_PASSWORD": PASSWORD, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    report = gateway.wait_for(lambda report: not report["fleet"]["open_readings"])
    assert report["messages"]["new"] >= 3 * 10
    assert not report["problems"]
    statuses = read_ledger(tmp_path / "run").of_kind("status")
    assert [status["gateway"] for status in statuses[:1]] == [ID]


def test_a_session_that_the_broker_lost_is_a_problem_that_says_since_when(
    broker: Broker, gateways: GatewayFactory
) -> None:
    """On a broker without passwords anybody may do what the field's broker refuses."""
    gateway = gateways(broker, f"{ID}-open")
    gateway.start()
    with Device(broker.host, broker.port, f"{ID}-open-site", "frz-1", boot=7) as device:
        device.measure(temperature=-18.0)
    gateway.wait_for(lambda report: report["messages"]["new"] == 1)
    gateway.stop()
    stopped = now_ms()
    asyncio.run(_take_over(broker, client_id(f"{ID}-open")))
    gateway.start()
    report = gateway.wait_for(lambda report: bool(report["problems"]))
    [problem] = report["problems"]
    assert (problem["code"], problem["gravity"]) == ("session_lost", "warning")
    assert report["counters"]["broker_sessions_lost"] == 1
    since, until = _stamps(problem["text"])
    assert stopped - 30_000 <= since <= stopped <= until + 1_000 <= now_ms() + 1_000
    gateway.kill()
    gateway.start()
    report = gateway.wait_for(lambda report: report["broker"]["connected"])
    assert report["problems"] == [problem], "what may be missing is missing after a restart too"
    assert "session_lost" in gateway.run("alerts")


async def _take_over(broker: Broker, name: str) -> None:
    async with aiomqtt.Client(broker.host, broker.port, identifier=name, clean_session=True):
        pass


def _stamps(text: str) -> list[int]:
    found = re.findall(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)Z", text)
    return [int(datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp() * 1000) for stamp in found]

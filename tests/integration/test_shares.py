"""A device that invents texts and metrics without end, beside an honest one, at a running gateway."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import msgpack
import pytest

from tests.integration.conftest import GatewayFactory
from tests.integration.field import assert_identities, assert_quiet, settled
from tests.integration.stranger import Client5, Device, now_ms, pack
from tests.servers.broker import Broker
from tests.servers.process import free_port

pytestmark = pytest.mark.broker

WARM = """\
version: 1
groups:
- name: cold
  rules:
  - {alert: TooWarm, expr: temperature, above: -10, severity: critical}
"""


def invent(device: Device, seq: int, **values: Any) -> None:
    """One message of many values, as no honest device sends them."""
    message = {"v": 1, "boot": device.boot, "seq": seq, "ts": now_ms(), "m": values}
    device.client.publish(device.topic("telemetry"), msgpack.packb(message), qos=1)


def problems(report: dict[str, Any]) -> dict[str, str]:
    return {one["code"]: one["text"] for one in report["problems"]}


def test_a_device_that_floods_metrics_and_texts_loses_only_its_own_values(
    broker: Broker, gateways: GatewayFactory
) -> None:
    name, site, port = "gw-shares", "gw-shares-site", free_port()
    gateway = gateways(broker, name, http={"listen": f"127.0.0.1:{port}"})
    gateway.write_rules(WARM)
    gateway.start()
    with Device(broker.host, broker.port, site, "evil") as evil:
        for seq in range(782):
            invent(evil, seq, **{f"m{seq}_{number}": 1.0 for number in range(256)})
        for seq in range(782, 838):
            invent(evil, seq, **{f"m0_{number}": f"{seq} {number}" for number in range(256)})
        report = gateway.wait_for(lambda report: report["messages"]["received"] == 838)
    assert report["messages"]["quarantined"] == 0
    assert report["values"]["bad"] == 838 * 256 - 1_000
    assert report["counters"]["refused_too_many_series"] == 782 * 256 - 1_000
    with Device(broker.host, broker.port, site, "freezer") as freezer:
        freezer.be_born()
        freezer.measure(temperature=50.0, door="a text of its own")
        report = gateway.wait_for(lambda report: report["messages"]["new"] == 839)
        of_rules = [
            (one["rule"], one["subject"]) for one in gateway.ask(do="alerts") if one["subject"] != "_gateway"
        ]
        assert of_rules == [("TooWarm", "freezer")]
        report = gateway.wait_for(lambda report: "device_shares" in problems(report))
    assert "/evil: it has all its 1,000 series (limits.device_series)" in problems(report)["device_shares"]
    assert "/evil: " in problems(report)["bad_values"]
    assert {one["gravity"] for one in report["problems"]} == {"warning"}
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
        assert answer.status == 200
    assert_identities(report)
    gateway.kill()
    gateway.start()
    report = gateway.wait_for(settled)
    assert report["messages"]["new"] == 839
    assert report["fleet"]["series"] == 1_002
    rows = {row["metric"]: row for row in gateway.query("last", "--device", "freezer")}
    assert rows["temperature"]["max"] == 50.0
    assert_quiet(gateway)


def test_forgetting_a_metric_lets_its_kind_be_decided_again(broker: Broker, gateways: GatewayFactory) -> None:
    gateway = gateways(broker, "gw-forget")
    gateway.start()
    command, reply = "edge/v1/gw-forget/command", "edge/v1/gw-forget/reply"
    with (
        Device(broker.host, broker.port, "gw-forget-site", "freezer") as device,
        Client5(broker.host, broker.port, "operator", reply) as operator,
    ):
        device.measure(temperature="init", door=1.0)
        device.measure(temperature=-20.0, door="open")
        gateway.wait_for(lambda report: report["values"]["bad"] == 2)
        told = gateway.run("devices", "forget", "freezer", "temperature")
        assert "freezer temperature: starts afresh with its next value" in told
        operator.publish(
            command, pack({"id": "1", "do": "forget", "args": {"device": "freezer", "metric": "door"}})
        )
        answer = operator.wait_for(lambda heard: heard.topic == reply).body
        assert answer == {"id": "1", "ok": True, "detail": "freezer door: starts afresh with its next value"}
        device.measure(temperature=-20.0, door="open")
        report = gateway.wait_for(lambda report: report["messages"]["new"] == 3)
        assert (report["values"]["bad"], report["values"]["accepted"]) == (2, 4)
        gateway.kill()
        gateway.start()
        device.measure(temperature=-21.0, door="closed")
        report = gateway.wait_for(lambda report: report["messages"]["new"] == 4)
        assert (report["values"]["bad"], report["values"]["accepted"]) == (2, 6)
    gateway.run("devices", "forget", "nobody", status=2)
    (row,) = json.loads(gateway.run("devices", "freezer", "--json"))
    assert row["bad"] == {"temperature: type": 1, "door: type": 1}
    assert [one["device"] for one in json.loads(gateway.run("devices", "--json"))] == ["freezer"]
    assert "freezer" in gateway.run("devices")
    assert_quiet(gateway)

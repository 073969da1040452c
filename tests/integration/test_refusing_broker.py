"""A real broker that refuses: ACL, packet size, no retained messages, and other clients' full queues."""

from __future__ import annotations

import json
import signal
import socket
import time
from typing import Any

import pytest

from tests.conftest import BrokerFactory
from tests.integration.conftest import GatewayFactory
from tests.integration.field import assert_quiet
from tests.integration.stranger import Client5, Device, now_ms, pack
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.process import free_port

pytestmark = pytest.mark.broker

RULES = """\
version: 1
groups:
- name: cold
  rules:
  - alert: TooWarm
    expr: temperature
    above: -10
    severity: critical
    annotations: {summary: "SUMMARY"}
    commands:
    - {name: compressor, args: ARGS, on: [firing], cooldown: 0s, expires: 120s}
"""
READS_ONLY = (
    "topic read #\ntopic read $SYS/#\ntopic write fleet/v1/+/+/telemetry\ntopic write fleet/v1/+/+/status\n"
)
ECHO = "topic write edge/v1/+/echo\n"
ALL = "topic readwrite #\ntopic read $SYS/#\n"


def rules(summary: str = "warm", args: str = "{value: -22}") -> str:
    return RULES.replace("SUMMARY", summary).replace("ARGS", args)


def problems(report: dict[str, Any]) -> dict[str, str]:
    return {one["code"]: one["text"] for one in report["problems"]}


def command_of(gateway: Gateway, device: str) -> dict[str, Any]:
    rows = gateway.query("commands", "--device", device)
    return rows[0] if rows else {}


def listing(broker: Broker, text: str) -> None:
    """Replace the broker's ACL and let it reload."""
    path = broker.directory / "acl"
    path.write_text(text)
    path.chmod(0o700)


def test_messages_the_acl_refuses_are_reported_and_sent_once_it_allows_them(
    broker_factory: BrokerFactory, gateways: GatewayFactory
) -> None:
    broker = broker_factory()
    listing(broker, READS_ONLY + ECHO)
    broker.configure(f"acl_file {broker.directory / 'acl'}")
    broker.restart()
    gateway = gateways(broker, "gw-acl")
    gateway.write_rules(rules())
    gateway.start()
    topic = "edge/v1/gw-acl/alerts/gw-acl-site/frz-acl/TooWarm"
    with (
        Device(broker.host, broker.port, "gw-acl-site", "frz-acl") as device,
        Client5(broker.host, broker.port, "acl-onlooker", topic) as onlooker,
    ):
        device.be_born()
        device.measure(temperature=-5.0)
        kinds = {"refused_alerts", "refused_commands", "refused_statuses"}
        report = gateway.wait_for(lambda report: kinds <= problems(report).keys())
        told = problems(report)
        assert "not authorised: check the ACL for edge/v1/gw-acl/alerts/#" in told["refused_alerts"]
        assert "check the ACL for fleet/v1/+/+/command (of frz-acl)" in told["refused_commands"]
        assert "check the ACL for edge/v1/gw-acl/status" in told["refused_statuses"]
        gateway.wait_for(lambda _: command_of(gateway, "frz-acl").get("state") == "refused")
        assert "not authorised" in command_of(gateway, "frz-acl")["detail"]
        assert not onlooker.heard

        listing(broker, ALL)
        broker.reload()
        assert device.command().body["name"] == "compressor"
        onlooker.wait_for(lambda one: one.topic == topic and one.body["state"] == "firing", within=60)
        gateway.wait_for(lambda report: not kinds & problems(report).keys())
        assert gateway.end(signal.SIGTERM) == 0
    assert_quiet(gateway)


def test_a_refused_echo_is_reported(broker_factory: BrokerFactory, gateways: GatewayFactory) -> None:
    broker = broker_factory()
    listing(broker, READS_ONLY)
    broker.configure(f"acl_file {broker.directory / 'acl'}")
    broker.restart()
    gateway = gateways(broker, "gw-echo")
    gateway.start()
    report = gateway.wait_for(lambda report: "echo" in problems(report))
    assert "check the ACL for edge/v1/gw-echo/echo" in problems(report)["echo"]
    listing(broker, ALL)
    broker.reload()
    gateway.wait_for(lambda report: "echo" not in problems(report) and report["broker"]["caught_up"])
    gateway.end(signal.SIGTERM)


def test_a_broker_with_small_packets_still_carries_alerts_commands_and_a_status(
    broker_factory: BrokerFactory, gateways: GatewayFactory
) -> None:
    broker = broker_factory("max_packet_size 600")
    gateway = gateways(broker, "gw-small", commands={"per_device": "1000/m"})
    gateway.write_rules(rules("x" * 900))
    gateway.start()
    topic = "edge/v1/gw-small/alerts/gw-small-site/frz-small/TooWarm"
    with (
        Client5(broker.host, broker.port, "small-onlooker", "edge/v1/gw-small/#") as onlooker,
        Device(broker.host, broker.port, "gw-small-site", "frz-small") as device,
    ):
        device.measure(temperature=-5.0)
        assert device.command().body["args"] == {"value": -22}
        heard = onlooker.wait_for(lambda one: one.topic == topic)
        assert heard.body["state"] == "firing"
        said = onlooker.wait_for(lambda one: one.topic.endswith("/status") and one.body["state"] == "online")
        assert said.body["left_out"]
        report = gateway.wait_for(lambda report: "packet_size" in problems(report))
        assert "control_connections_lost" not in report["counters"]
        assert {one["gravity"] for one in report["problems"]} == {"warning"}

        gateway.write_rules(rules(args="{text: '" + "y" * 900 + "'}"))
        gateway.wait_for(lambda report: report["counters"]["rule_reloads"] == 2)
        with Device(broker.host, broker.port, "gw-small-site", "frz-large") as large:
            large.measure(temperature=-5.0)
            report = gateway.wait_for(
                lambda report: "commands are not sent" in problems(report)["packet_size"]
            )
            gateway.wait_for(lambda _: command_of(gateway, "frz-large").get("state") == "failed")
            assert "too large for the broker" in command_of(gateway, "frz-large")["detail"]
        begun = time.monotonic()
        assert gateway.end(signal.SIGTERM) == 0
        assert time.monotonic() - begun < 30
    assert_quiet(gateway)


def test_a_broker_without_retained_messages_is_reported_and_used(
    broker_factory: BrokerFactory, gateways: GatewayFactory
) -> None:
    broker = broker_factory("retain_available false")
    gateway = gateways(broker, "gw-forgets")
    gateway.write_rules(rules())
    gateway.start()
    topic = "fleet/v1/gw-forgets-site/frz-plain/telemetry"
    with Client5(
        broker.host, broker.port, "plain-device", "fleet/v1/gw-forgets-site/frz-plain/command"
    ) as device:
        device.publish(topic, pack({"v": 1, "boot": 1, "seq": 0, "ts": now_ms(), "m": {"temperature": -5.0}}))
        device.wait_for(lambda one: one.body["kind"] == "command")
    report = gateway.wait_for(lambda report: "no_retain" in problems(report))
    assert report["messages"]["new"] == 1
    assert {one["gravity"] for one in report["problems"]} == {"warning"}
    assert gateway.end(signal.SIGTERM) == 0


def healthz(port: int) -> tuple[int, dict[str, Any]]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def test_another_clients_overflowing_queue_makes_no_gateway_unhealthy(
    broker_factory: BrokerFactory, gateways: GatewayFactory
) -> None:
    broker = broker_factory("max_queued_messages 10", "sys_interval 1")
    port = free_port()
    gateway = gateways(broker, "gw-calm", http={"listen": f"127.0.0.1:{port}"})
    gateway.start()
    with Client5(broker.host, broker.port, "sleeper", "noise/#"):
        pass
    with Client5(broker.host, broker.port, "noisy", "nothing/#") as noisy:
        gateway.wait_for(lambda report: report["broker"]["caught_up"])

        def overflows(report: dict[str, Any]) -> bool:
            for number in range(20):
                noisy.publish(f"noise/{number}", b"x")
            return "broker_dropped" in problems(report)

        report = gateway.wait_for(overflows)
    assert "for clients whose queue is full" in problems(report)["broker_dropped"]
    assert {one["gravity"] for one in report["problems"]} == {"notice"}
    assert healthz(port) == (200, {"state": "online", "problems": [], "warnings": []})
    gateway.kill()
    gateway.start()
    report = gateway.wait_for(lambda report: report["broker"]["caught_up"])
    assert "broker_dropped" not in problems(report)


def test_an_unstable_connection_does_not_delay_a_stop(
    broker_factory: BrokerFactory, gateways: GatewayFactory
) -> None:
    """Somebody uses the control connection's client id in a loop, while the gateway is stopped again and again."""
    broker = broker_factory()
    gateway = gateways(broker, "gw-flaps")
    for pause in (0.0, 0.3, 0.7, 1.1):
        gateway.start()
        intruder = Client5(broker.host, broker.port, "edge-gw-flaps-control", "nothing")
        intruder.client.reconnect_delay_set(1, 1)
        with intruder:
            time.sleep(pause)
            begun = time.monotonic()
            assert gateway.end(signal.SIGTERM) == 0
            assert time.monotonic() - begun < 30

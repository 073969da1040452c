"""Starting, stopping, two gateways in conflict, and wrong configurations."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from typing import Any

import pytest

from edge_gateway.journal import spool
from edge_gateway.journal.checkpoint import refuse_other
from edge_gateway.journal.segments import read_unopened
from tests.conftest import BrokerFactory
from tests.integration.conftest import GatewayFactory
from tests.integration.field import assert_quiet, settled
from tests.integration.stranger import Client5, Device
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.process import free_port

pytestmark = pytest.mark.broker

WARM = """\
version: 1
groups:
- name: life
  rules:
  - {alert: Warm, expr: temperature, above: LIMIT, severity: warning}
"""
BROKEN = """\
version: 1
groups:
- name: life
  rules:
  - {alert: Warm, expr: "temperature +", above: 5, severity: warning}
"""


def rules(limit: int) -> str:
    return WARM.replace("LIMIT", str(limit))


def refused(gateway: Gateway, status: int = 2) -> str:
    """Start a gateway that must refuse to start; return what it printed."""
    gateway.log.unlink(missing_ok=True)
    gateway.start(ready=False)
    found, words = gateway.end(), gateway.words()
    assert found == status, words
    assert "Traceback" not in words, words
    return words


def problem(report: dict[str, Any], code: str) -> str:
    """Return the text of a problem, empty if there is none."""
    return next((str(one["text"]) for one in report["problems"] if one["code"] == code), "")


def kept(gateway: Gateway, device: str) -> int:
    """Count the readings of a device in stored base windows."""
    rows = gateway.query("windows", "--device", device, "--metric", "temperature", "--every", "2s")
    return sum(row["count"] for row in rows)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_sigterm_drains_and_the_next_start_has_the_whole_state(
    broker: Broker, gateways: GatewayFactory, number: int, status: int
) -> None:
    gateway = gateways(broker, f"gw-signal-{number}")
    site = f"gw-signal-{number}-site"
    gateway.start()
    with Device(broker.host, broker.port, site, f"sig-{number}") as device:
        device.be_born()
        for value in range(50):
            device.measure(temperature=float(value))
        gateway.wait_for(lambda report: report["messages"]["new"] == 50)
        assert gateway.end(number) == status
        newest = refuse_other(gateway.spool / spool.CHECKPOINTS)
        assert newest > 0
        assert not list(read_unopened(gateway.spool / spool.JOURNAL, newest + 1)), "an upgrade is free now"
        device.measure(temperature=50.0)
    gateway.start()
    report = gateway.wait_for(lambda report: report["messages"]["new"] == 51 and settled(report))
    assert report["messages"]["duplicate"] == 0
    assert kept(gateway, f"sig-{number}") == 51
    assert not report["problems"]
    assert_quiet(gateway)


def test_a_second_gateway_on_a_spool_is_refused(broker: Broker, gateways: GatewayFactory) -> None:
    first = gateways(broker, "gw-owner")
    first.start()
    second = gateways(broker, "gw-guest", spool={"path": str(first.spool)})
    said = refused(second)
    assert "another gateway is using the spool" in said
    assert str(first.spool) in said
    assert first.ask(do="status")["state"] == "online"


def test_two_gateways_with_one_id_do_not_keep_disconnecting_each_other(
    broker: Broker, gateways: GatewayFactory
) -> None:
    same = {"id": "gw-twin", "sites": ["gw-twin-site"]}
    older = gateways(broker, "gw-twin-a", gateway=same)
    newer = gateways(broker, "gw-twin-b", gateway=same)
    older.start()
    newer.start()
    report = older.wait_for(lambda report: bool(problem(report, "taken_over")))
    assert "another gateway uses this id" in problem(report, "taken_over")
    began = time.monotonic()
    with Device(broker.host, broker.port, "gw-twin-site", "twin") as device:
        for value in range(20):
            device.measure(temperature=float(value))
        report = newer.wait_for(
            lambda report: report["messages"]["new"] == 20 and time.monotonic() > began + 5
        )
    assert report["broker"]["connected"]
    assert "taken_over" not in report["counters"]
    assert older.ask(do="status")["counters"]["taken_over"] == 1


def test_a_wrong_password_is_reported_and_retried(
    broker_factory: BrokerFactory, gateways: GatewayFactory
) -> None:
    broker = broker_factory()
    passwords = broker.directory / "passwords"
    passwords.write_text("gateway:right\n")
    subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True)
    broker.configure(f"password_file {passwords}", anonymous=False)
    broker.restart()
    gateway = gateways(broker, "gw-password")
    secret = gateway.directory / "secret"
    secret.write_text("wrong")
    gateway.reconfigure(mqtt={"url": broker.url, "user": "gateway", "password": f"file:{secret}"})
    gateway.start(ready=False)
    report = gateway.wait_for(lambda report: bool(problem(report, "broker")))
    assert "password" in problem(report, "broker")
    assert "wrong" not in problem(report, "broker")
    passwords.write_text("gateway:wrong\n")
    subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True)
    broker.restart()
    report = gateway.wait_for(lambda report: report["broker"]["connected"])
    assert not problem(report, "broker")
    assert_quiet(gateway)


def test_a_broker_that_starts_later_is_waited_for(
    broker_factory: BrokerFactory, gateways: GatewayFactory
) -> None:
    broker = broker_factory()
    broker.stop()
    gateway = gateways(broker, "gw-early")
    gateway.start(ready=False)
    report = gateway.wait_for(lambda report: bool(problem(report, "broker")))
    assert f"{broker.host}:{broker.port}" in problem(report, "broker")
    broker.start()
    gateway.wait_for(lambda report: report["broker"]["connected"] and not report["problems"])
    assert_quiet(gateway)


def test_a_broken_rule_file_keeps_the_old_rules(broker: Broker, gateways: GatewayFactory) -> None:
    gateway = gateways(broker, "gw-rules")
    gateway.write_rules(rules(10))
    gateway.start()
    good = gateway.ask(do="status")["rules"]["hash"]
    with (
        Device(broker.host, broker.port, "gw-rules-site", "ruled") as device,
        Client5(broker.host, broker.port, "rules-watch", "edge/v1/gw-rules/status") as watch,
    ):
        gateway.write_rules(BROKEN)
        report = gateway.wait_for(lambda report: bool(problem(report, "rules")))
        assert "rules.yaml:5:" in problem(report, "rules")
        assert report["rules"]["hash"] == good != report["rules"]["on_disk_hash"]
        watch.wait_for(lambda one: any("rules.yaml:5:" in text for text in one.body["rules"]["problems"]))
        device.be_born()
        device.measure(temperature=20.0)
        device.wait_for(lambda one: one.topic.endswith("/command") and one.body["name"] == "Warm")
        firing = gateway.wait_for(lambda report: report["alerts"]["firing"] == 1)
        gateway.kill()
        gateway.start()
        report = gateway.wait_for(lambda report: bool(problem(report, "rules")))
        assert (report["rules"]["hash"], report["alerts"]["firing"]) == (good, firing["alerts"]["firing"])
        gateway.write_rules(rules(30))
        report = gateway.wait_for(lambda report: report["rules"]["hash"] != good)
        assert not report["problems"]
        assert report["rules"]["on_disk_hash"] == report["rules"]["hash"]
    assert_quiet(gateway)


def test_a_broken_rule_file_at_the_first_start_ends_it(broker: Broker, gateways: GatewayFactory) -> None:
    gateway = gateways(broker, "gw-first")
    gateway.write_rules(BROKEN)
    assert "rules.yaml:5:" in refused(gateway)


def test_windows_cannot_change_under_a_spool_that_holds_some(
    broker: Broker, gateways: GatewayFactory
) -> None:
    gateway = gateways(broker, "gw-change")
    gateway.start()
    with Device(broker.host, broker.port, "gw-change-site", "changed") as device:
        device.be_born()
        device.measure(temperature=1.0)
        gateway.wait_for(lambda report: report["messages"]["new"] == 1)
        gateway.kill()
        gateway.reconfigure(windows=[{"every": "3s", "bucket": "telemetry", "keep": "30d"}])
        said = refused(gateway)
        assert "2s" in said
        assert "3s" in said
        assert "spool.path" in said
        gateway.reconfigure(
            windows=[{"every": "2s", "bucket": "other", "keep": "60d"}],
            metrics={"temperature": {"unit": "°C", "range": [-40, 85]}},
            time={"allowed_lateness": "500ms", "idle_close": "1s"},
            commands={"mode": "dry_run"},
        )
        gateway.start()
        device.measure(temperature=2.0)
        device.measure(temperature=99.0)
        report = gateway.wait_for(lambda report: report["messages"]["new"] == 3 and settled(report))
    assert report["values"]["bad"] == 1
    assert report["windows"][0]["bucket"] == "other"
    assert kept(gateway, "changed") == 2
    assert_quiet(gateway)


def test_a_port_in_use_is_named(broker: Broker, gateways: GatewayFactory) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(gateways(broker, "gw-port", http={"listen": f"127.0.0.1:{port}"}))
    assert f"127.0.0.1:{port}" in said
    assert "http.listen" in said


def test_a_free_port_serves_metrics_and_health(broker: Broker, gateways: GatewayFactory) -> None:
    port = free_port()
    gateway = gateways(broker, "gw-http", http={"listen": f"127.0.0.1:{port}"})
    gateway.start()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"edge_gateway_messages_received_total 0" in answer

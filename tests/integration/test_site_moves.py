"""A site moves from one gateway to another while the broker still has messages queued for the first."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from tests.conftest import BrokerFactory
from tests.integration.conftest import GatewayFactory
from tests.integration.field import assert_quiet, settled
from tests.integration.stranger import Client5, Device
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway

pytestmark = pytest.mark.broker

HOT = """\
version: 1
groups:
- name: moves
  rules:
  - alert: Hot
    expr: temperature
    above: 30
    severity: critical
    commands:
    - {name: compressor, on: [firing], expires: 60s, confirm: {within: 20s, retries: 0}}
  - {alert: Quiet, expr: temperature, above: 1000, no_data: {after: 10s}, severity: warning}
"""


def problem(report: dict[str, Any], code: str) -> str:
    return next((str(one["text"]) for one in report["problems"] if one["code"] == code), "")


def quarantined(gateway: Gateway) -> list[tuple[str, str]]:
    """Return topic and reason of what is in quarantine."""
    return [(row["topic"], row["reason"]) for row in gateway.query("quarantine")]


def gateway_of(gateways: GatewayFactory, broker: Broker, name: str, *sites: str) -> Gateway:
    gateway = gateways(broker, name, gateway={"id": name, "sites": list(sites)})
    gateway.write_rules(HOT)
    return gateway


def move_to(gateway: Gateway, name: str, *sites: str) -> None:
    """Stop it, and start it with other sites."""
    assert gateway.stop() == 0
    gateway.reconfigure(gateway={"id": name, "sites": list(sites)})


@pytest.mark.parametrize("before", [["mv1-aa", "mv1-bb"], ["+"]])
def test_one_hot_reading_gives_one_command_after_its_site_moved(
    broker_factory: BrokerFactory, gateways: GatewayFactory, before: list[str]
) -> None:
    broker = broker_factory()
    first = gateway_of(gateways, broker, "gw-mv1-a", *before)
    first.start()
    move_to(first, "gw-mv1-a", "mv1-aa")
    second = gateway_of(gateways, broker, "gw-mv1-b", "mv1-bb")
    first.start()
    second.start()
    first.wait_for(lambda report: report["broker"]["caught_up"])
    with Device(broker.host, broker.port, "mv1-bb", "mv1-device") as device:
        device.be_born()
        device.measure(temperature=50.0)
        command = device.command()
        device.answer(command.body)
        second.wait_for(lambda report: report["messages"]["new"] == 1 and settled(report))
        with Device(broker.host, broker.port, "mv1-aa", "mv1-own") as own:
            own.be_born()
            own.measure(temperature=1.0)
            report = first.wait_for(lambda report: report["messages"]["new"] == 1 and settled(report))
        commands = [one for one in device.heard if one.topic.endswith("/command")]
        numbered = [one.body["n"] for one in commands if one.body["kind"] == "command"]
        assert numbered == [command.body["n"]]
    assert report["alerts"]["firing"] == 0
    assert report["messages"]["received"] == 1
    assert_quiet(first)
    assert_quiet(second)


def test_messages_queued_before_a_site_moved_are_quarantined_reported_and_count_when_replayed(
    broker_factory: BrokerFactory, gateways: GatewayFactory
) -> None:
    broker = broker_factory()
    gateway = gateway_of(gateways, broker, "gw-mv2", "mv2-aa", "mv2-bb")
    gateway.start()
    assert gateway.stop() == 0
    with Device(broker.host, broker.port, "mv2-bb", "mv2-device") as device:
        device.be_born()
        for value in range(5):
            device.measure(temperature=40.0 + value)
    gateway.reconfigure(gateway={"id": "gw-mv2", "sites": ["mv2-aa"]})
    gateway.start()
    report = gateway.wait_for(lambda report: report["counters"].get("refused_foreign_site", 0) >= 6)
    assert "mv2-bb" in problem(report, "foreign_site")
    assert {one["code"]: one["gravity"] for one in report["problems"]} == {"foreign_site": "warning"}
    assert (report["messages"]["new"], report["messages"]["quarantined"]) == (0, 5)
    assert report["fleet"]["devices"] == 0
    gateway.wait_for(settled)
    assert {reason for _, reason in quarantined(gateway)} == {"foreign_site"}
    assert gateway.stop() == 0
    gateway.reconfigure(gateway={"id": "gw-mv2", "sites": ["mv2-bb"]})
    assert "5" in gateway.run("spool", "replay-quarantine")
    gateway.start()
    report = gateway.wait_for(lambda report: report["messages"]["new"] == 5 and settled(report))
    assert report["messages"]["duplicate"] == 0
    assert_quiet(gateway)


def test_a_gateway_that_lost_its_spool_removes_stale_subscriptions(
    broker_factory: BrokerFactory, gateways: GatewayFactory
) -> None:
    broker = broker_factory()
    gateway = gateway_of(gateways, broker, "gw-mv3", "mv3-aa", "mv3-bb")
    gateway.start()
    assert gateway.stop() == 0
    shutil.rmtree(gateway.spool)
    gateway.reconfigure(gateway={"id": "gw-mv3", "sites": ["mv3-aa"]})
    gateway.start()
    with (
        Device(broker.host, broker.port, "mv3-bb", "mv3-foreign") as foreign,
        Device(broker.host, broker.port, "mv3-aa", "mv3-own") as own,
    ):
        foreign.measure(temperature=1.0)
        gateway.wait_for(lambda _: "removed subscriptions of an earlier configuration" in gateway.words())
        gateway.wait_for(lambda report: bool(problem(report, "foreign_site")))
        wait_until_removed(gateway, "fleet/v1/mv3-bb/+/telemetry")
        foreign.measure(temperature=2.0)
        own.measure(temperature=3.0)
        report = gateway.wait_for(lambda report: report["messages"]["new"] == 1 and settled(report))
    assert report["messages"]["received"] == 2
    assert_quiet(gateway)


def wait_until_removed(gateway: Gateway, filter_: str) -> None:
    gateway.wait_for(
        lambda _: any(
            "removed subscriptions" in line and filter_ in line for line in gateway.words().splitlines()
        )
    )


def test_alerts_windows_and_devices_of_a_site_that_left_are_closed(
    broker_factory: BrokerFactory, gateways: GatewayFactory
) -> None:
    broker = broker_factory()
    gateway = gateway_of(gateways, broker, "gw-mv4", "mv4-aa", "mv4-bb")
    gateway.start()
    topic = "edge/v1/gw-mv4/alerts/mv4-bb/mv4-device/Hot"
    with (
        Device(broker.host, broker.port, "mv4-bb", "mv4-device") as device,
        Client5(broker.host, broker.port, "mv4-watch", "edge/v1/gw-mv4/alerts/#") as watch,
    ):
        device.be_born()
        device.measure(temperature=50.0)
        device.command()
        move_to(gateway, "gw-mv4", "mv4-aa")
        gateway.start()
        watch.wait_for(lambda one: one.topic == topic and one.body and one.body["state"] == "resolved")
        watch.wait_for(lambda one: one.topic == topic and one.body is None)
        report = gateway.wait_for(lambda report: report["fleet"]["devices"] == 0 and settled(report))
        assert (report["fleet"]["retired"], report["commands"]["pending"]) == (1, 0)
        assert report["alerts"]["firing"] == 0
        assert [row["count"] for row in gateway.query("windows", "--every", "2s")] == [1]
        assert [row["state"] for row in gateway.query("commands")][-1] == "unconfirmed"
        assert not [one for one in watch.heard if one.topic.endswith("/Quiet")]
        assert not [one for one in device.heard if one.body and one.body.get("name") == "Quiet"]
    assert_quiet(gateway)


def test_a_device_of_a_site_that_is_back_is_asked_only_for_what_it_sent_meanwhile(
    broker_factory: BrokerFactory, gateways: GatewayFactory
) -> None:
    broker = broker_factory()
    gateway = gateway_of(gateways, broker, "gw-mv5", "mv5-aa", "mv5-bb")
    gateway.start()
    with Device(broker.host, broker.port, "mv5-bb", "mv5-device") as device:
        device.be_born()
        for _ in range(50):
            device.measure(temperature=1.0)
        gateway.wait_for(lambda report: report["messages"]["new"] == 50)
        move_to(gateway, "gw-mv5", "mv5-aa")
        gateway.start()
        gateway.wait_for(lambda report: report["fleet"]["devices"] == 0)
        stored = device.wait_for(lambda one: one.topic.endswith("/receipt") and one.body["upto"] == 49).body
        assert (stored["from"], stored["missing"]) == (0, [])
        for _ in range(5):
            device.measure(temperature=2.0)
        move_to(gateway, "gw-mv5", "mv5-aa", "mv5-bb")
        gateway.start()
        for _ in range(10):
            device.measure(temperature=3.0)
        report = gateway.wait_for(lambda report: report["messages"]["new"] == 60)
        asked = device.wait_for(lambda one: one.topic.endswith("/receipt") and one.body["upto"] > 49).body
        assert (asked["from"], asked["missing"]) == (50, [[50, 54]])
        assert report["gaps"]["messages"] == 5
    assert_quiet(gateway)

"""A device and an observer that use none of the product's code, with a running gateway."""

import pytest

from tests.integration.conftest import GatewayFactory
from tests.integration.field import stored
from tests.integration.stranger import Client5, Device, now_ms, pack
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway

pytestmark = pytest.mark.broker

NAME = "gw-stranger"
SITE = f"{NAME}-site"
ALERT = f"edge/v1/{NAME}/alerts/{SITE}/frz-strange/TooWarm"
STATUS = f"edge/v1/{NAME}/status"
RULES = """\
version: 1
groups:
- name: cold
  match: {type: freezer}
  rules:
  - alert: TooWarm
    expr: temperature
    above: -10
    clear: -12
    severity: critical
    annotations: {summary: "{{ device }} at {{ value | round(1) }}"}
    labels: {team: cold}
    commands:
    - {name: compressor, args: {value: -22}, on: [firing], cooldown: 0s, expires: 60s}
"""


@pytest.fixture
def gateway(broker: Broker, gateways: GatewayFactory) -> Gateway:
    gateway = gateways(broker, NAME, commands={"per_device": "1000/m"})
    gateway.write_rules(RULES)
    gateway.start()
    return gateway


def test_a_device_that_shares_no_code_is_served_from_birth_to_receipt(
    broker: Broker, gateway: Gateway
) -> None:
    with (
        Client5(broker.host, broker.port, "onlooker", f"edge/v1/{NAME}/#") as onlooker,
        Device(broker.host, broker.port, SITE, "frz-strange", boot=7) as device,
    ):
        device.be_born(line="L1")
        device.measure(temperature=-18.0, door="closed")
        warm = device.measure(temperature=-5.0)

        notice = device.wait_for(lambda one: one.topic.endswith("/command") and one.body["kind"] == "alert")
        assert notice.body["name"] == "TooWarm"
        assert "n" not in notice.body
        alert = notice.body["alert"]
        assert (alert["rule"], alert["group"], alert["level"], alert["state"]) == (
            "TooWarm",
            "cold",
            "critical",
            "firing",
        )
        assert (alert["boot"], alert["seq"], alert["value"], alert["limit"]) == (7, warm, -5.0, -10.0)
        assert alert["annotations"] == {"summary": "frz-strange at -5.0"}
        assert alert["labels"]["team"] == "cold"

        first = device.command()
        assert first.body["name"] == "compressor"
        assert first.body["args"] == {"value": -22}
        assert first.correlation == first.body["id"].encode()
        assert not first.retained
        assert first.expiry is not None
        assert 0 < first.expiry <= 60

        raised = onlooker.wait_for(lambda one: one.topic == ALERT and bool(one.body))
        assert raised.body["id"] == alert["id"]
        assert raised.body["state"] == "firing"
        with Client5(broker.host, broker.port, "latecomer", ALERT) as latecomer:
            kept = latecomer.wait_for(lambda one: one.topic == ALERT)
            assert kept.retained
            assert kept.body["id"] == alert["id"]

        device.answer(first.body)
        device.measure(temperature=-19.0)
        resolved = onlooker.wait_for(
            lambda one: one.topic == ALERT and bool(one.body) and one.body["state"] == "resolved"
        )
        assert resolved.body["id"] == alert["id"]
        onlooker.wait_for(lambda one: one.topic == ALERT and one.body is None)

        again = device.measure(temperature=-4.0)
        second = device.command(after=first.body["n"])
        assert second.body["id"] != first.body["id"]
        assert second.body["n"] > first.body["n"]
        device.answer(second.body)

        device.be_born(line="L1")
        receipt = device.wait_for(lambda one: one.topic.endswith("/receipt") and one.body["upto"] >= again)
        assert receipt.body == {"boot": 7, "from": 0, "upto": again, "missing": []}
        assert receipt.qos == 0

    report = gateway.wait_for(lambda report: report["messages"]["new"] == 4 and stored(report))
    assert report["messages"]["duplicate"] == 0
    assert report["values"]["accepted"] == 5
    states = {row["id"]: row["state"] for row in gateway.query("commands")}
    assert states == {first.body["id"]: "done", second.body["id"]: "done"}


def test_a_lost_reading_is_named_missing_and_accepted_when_it_arrives(
    broker: Broker, gateway: Gateway
) -> None:
    with Device(broker.host, broker.port, SITE, "frz-gap", boot=3) as device:
        device.be_born()
        device.measure(temperature=-18.0)
        device.seq = 3
        device.measure(temperature=-18.2)
        told = device.wait_for(lambda one: one.topic.endswith("/receipt") and bool(one.body["missing"]))
        assert told.body == {"boot": 3, "from": 0, "upto": 3, "missing": [[1, 2]]}
        assert gateway.ask(do="status")["gaps"] == {
            "devices": 1,
            "messages": 2,
            "ranges": [{"device": "frz-gap", "boot": 3, "from": 1, "to": 2}],
        }
        assert "2 messages of 1 device: frz-gap 1–2" in gateway.run("status")
        with Client5(broker.host, broker.port, "gap-watch", STATUS) as watchman:
            watchman.wait_for(lambda one: bool(one.body["gaps"]["messages"]))
        assert gateway.stop() == 0
        (known,) = gateway.query("devices", "--device", "frz-gap")
        assert known["gaps"] == [[3, 1, 2]]
        assert (known["counters"]["received"], known["counters"]["new"]) == (2, 2)
        gateway.start()
        device.seq = 1
        device.measure(temperature=-18.1)
        device.measure(temperature=-18.15)
        device.seq = 4
        device.be_born()
        device.wait_for(lambda one: one.topic.endswith("/receipt") and one.body["missing"] == [])
    report = gateway.ask(do="status")
    assert report["messages"]["new"] == 4
    assert report["gaps"] == {"devices": 0, "messages": 0, "ranges": []}


def test_the_will_of_a_killed_gateway_says_it_is_offline(broker: Broker, gateway: Gateway) -> None:
    with Client5(broker.host, broker.port, "watchman", STATUS) as watchman:
        online = watchman.wait_for(lambda one: one.body["state"] == "online")
        assert online.body["gateway"] == NAME
        assert online.body["windows"][0]["every"] == 2000
        gateway.kill()
        watchman.wait_for(lambda one: one.body["state"] == "offline")
        watchman.heard.clear()
        gateway.start()
        watchman.wait_for(lambda one: one.body["state"] == "online")
        watchman.heard.clear()
        assert gateway.stop() == 0
        watchman.wait_for(lambda one: one.body["state"] == "offline")
    with Client5(broker.host, broker.port, "next-day", STATUS) as late:
        assert late.wait_for(lambda one: one.body is not None).retained


def test_a_retained_alert_of_a_lost_spool_is_cleared(broker: Broker, gateway: Gateway) -> None:
    """What the broker retains of an alert that the gateway does not know any more goes away."""
    stale = f"edge/v1/{NAME}/alerts/{SITE}/frz-gone/TooWarm"
    with Client5(broker.host, broker.port, "archivist", f"edge/v1/{NAME}/alerts/#") as archivist:
        gateway.kill()
        alert = {"id": "gone", "group": "cold", "rule": "TooWarm", "level": "critical", "state": "firing",
                 "subject": "frz-gone", "metric": "temperature", "value": 1.0, "limit": -10.0, "at": now_ms(),
                 "boot": 1, "seq": 1, "labels": {}, "annotations": {}}  # fmt: skip
        archivist.publish(stale, pack(alert), retain=True)
        gateway.start()
        archivist.wait_for(lambda one: one.topic == stale and one.body is None)

"""A broker that lost what it retained retains the firing alerts again, and only those."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.conftest import GatewayFactory
from tests.integration.stranger import Client5, Device
from tests.servers.broker import Broker

RULES = """\
version: 1
groups:
- name: cold
  rules:
  - {alert: TooWarm, expr: temperature, above: -10}
"""
SITE = "gw-retained-site"
pytestmark = pytest.mark.broker


def topic_of(device: str) -> str:
    return f"edge/v1/gw-retained/alerts/{SITE}/{device}/TooWarm"


@pytest.mark.parametrize("how", ["crashed", "lost its database"])
def test_alerts_that_fire_are_retained_again(how: str, tmp_path: Path, gateways: GatewayFactory) -> None:
    broker = Broker(tmp_path / "broker")
    broker.start()
    try:
        gateway = gateways(broker, "gw-retained")
        gateway.write_rules(RULES)
        gateway.start()
        with (
            Device(broker.host, broker.port, SITE, "a") as first,
            Device(broker.host, broker.port, SITE, "b") as second,
        ):
            for device in (first, second):
                device.be_born()
                device.measure(temperature=-5.0)
            gateway.wait_for(lambda report: report["alerts"]["firing"] == 2)
            first.measure(temperature=-20.0)
            gateway.wait_for(lambda report: report["alerts"]["firing"] == 1)
        broker.kill()
        if how != "crashed":  # the shipped limits save every few minutes, so that a crash forgets as well
            broker.database.unlink(missing_ok=True)
        broker.start()
        with Client5(broker.host, broker.port, "watcher", "edge/v1/gw-retained/alerts/#") as watcher:
            again = watcher.wait_for(lambda heard: heard.topic == topic_of("b") and heard.body is not None)
        assert (again.body["state"], again.body["event"]) == ("firing", "firing")
        with Client5(broker.host, broker.port, "later", "edge/v1/gw-retained/alerts/#") as later:
            later.wait_for(lambda heard: heard.topic == topic_of("b") and heard.retained)
            assert topic_of("a") not in {heard.topic for heard in later.heard if heard.body is not None}
    finally:
        broker.kill()

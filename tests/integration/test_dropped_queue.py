"""A broker's queue that was too small for an absence of the gateway: retained births show what was dropped."""

from __future__ import annotations

import pytest

from tests.conftest import BrokerFactory
from tests.integration.conftest import GatewayFactory
from tests.integration.stranger import Client5, now_ms, pack
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway

pytestmark = pytest.mark.broker

SITE = "gw-dropped-site"
MESSAGES, QUEUE = 60, 5


@pytest.fixture
def broker(broker_factory: BrokerFactory) -> Broker:
    return broker_factory(f"max_queued_messages {QUEUE}")


@pytest.fixture
def gateway(broker: Broker, gateways: GatewayFactory) -> Gateway:
    return gateways(broker, "gw-dropped")


def reading(seq: int) -> bytes:
    return pack({"v": 1, "boot": 7, "seq": seq, "ts": now_ms(), "m": {"heat": 1.0}})


def birth(following: int) -> bytes:
    return pack({"state": "online", "type": "probe", "boot": 7, "next": following, "ts": now_ms()})


def test_messages_dropped_at_the_end_of_a_full_queue_show_as_missing_after_the_start(
    broker: Broker, gateway: Gateway
) -> None:
    topic = f"fleet/v1/{SITE}/probe-1"
    gateway.start()
    with Client5(broker.host, broker.port, "probe-1", f"{topic}/receipt") as device:
        device.publish(f"{topic}/telemetry", reading(0))
        gateway.wait_for(lambda report: report["messages"]["new"] == 1)
        gateway.stop()
        for seq in range(1, MESSAGES):
            device.publish(f"{topic}/telemetry", reading(seq))
        device.publish(f"{topic}/status", birth(MESSAGES), retain=True)
    gateway.start()
    report = gateway.wait_for(
        lambda report: report["messages"]["new"] + report["gaps"]["messages"] == MESSAGES
    )
    assert 0 < report["gaps"]["messages"] < MESSAGES

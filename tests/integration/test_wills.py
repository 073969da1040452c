"""Wills that do not follow the contract."""

from __future__ import annotations

from typing import Any

import pytest
from paho.mqtt.client import MQTTMessage

from tests.integration.conftest import GatewayFactory
from tests.integration.field import assert_quiet, settled
from tests.integration.stranger import Device, pack
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway

pytestmark = pytest.mark.broker

NAME = "gw-wills"


class Careless(Device):
    """A device whose will does not follow the contract."""

    def __init__(self, broker: Broker, name: str, will: bytes) -> None:
        super().__init__(broker.host, broker.port, f"{NAME}-site", name)
        self.will(self.topic("status"), will)

    def _on_message(self, _client: Any, _userdata: Any, message: MQTTMessage) -> None:
        pass

    def vanish(self) -> None:
        """Drop the connection, so that the broker publishes the will."""
        self.client.loop_stop()
        self.client.socket().close()  # type: ignore[union-attr]


def online(gateway: Gateway) -> dict[str, bool | None]:
    return {one["device"]: one["online"] for one in gateway.ask(do="devices")}


def test_an_unreadable_will_ends_being_online_and_is_reported(
    broker: Broker, gateways: GatewayFactory
) -> None:
    gateway = gateways(broker, NAME)
    gateway.start()
    wills = {
        "will-plain": b"offline",
        "will-json": b'{"state":"offline"}',
        "will-capitals": pack({"state": "OFFLINE"}),
        "will-unknown": pack({"state": "asleep"}),
    }
    for name, will in wills.items():
        device = Careless(broker, name, will).__enter__()
        device.be_born()
        device.measure(temperature=1.0)
        gateway.wait_for(lambda _, name=name: online(gateway).get(name) is True)  # type: ignore[misc]
        device.vanish()
    gateway.wait_for(lambda _: True not in online(gateway).values())
    assert online(gateway) == {
        "will-plain": False,
        "will-json": False,
        "will-capitals": False,
        "will-unknown": None,
    }
    report = gateway.wait_for(
        lambda report: (
            settled(report)
            and all(name in one["text"] for name in wills for one in report["problems"][:1])
            and bool(report["problems"])
        )
    )
    (problem,) = report["problems"]
    assert (problem["code"], problem["gravity"]) == ("devices_unheard", "warning")
    reasons = {row["topic"].split("/")[3]: row["reason"] for row in gateway.query("quarantine")}
    assert reasons["will-plain"] == "this is text, 'offline'; expected MessagePack"
    assert reasons["will-json"] == "this looks like JSON; expected MessagePack"
    for name in wills:
        with Device(broker.host, broker.port, f"{NAME}-site", name, boot=2) as mended:
            mended.be_born()
            mended.client.disconnect()
    gateway.wait_for(lambda report: not report["problems"])
    assert_quiet(gateway)

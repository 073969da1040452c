"""Two gateways of one id at one broker: one works, the other reports it and stands by, whatever their clocks."""

from __future__ import annotations

import shutil
import signal
from functools import partial
from typing import Any

import pytest

from tests.integration.conftest import GatewayFactory
from tests.integration.stranger import Client5, Device, Heard, pack
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway

pytestmark = pytest.mark.broker

YEAR_3000 = 32_503_680_000_000
STATUSES = 5


def told(report: dict[str, Any]) -> str:
    return next((str(one["text"]) for one in report["problems"] if one["code"] == "taken_over"), "")


def is_of(nonce: str, heard: Heard) -> bool:
    """Whether a status is of the start with this nonce, and online."""
    return bool(heard.body["nonce"] == nonce and heard.body["state"] == "online")


def heard_live(onlooker: Client5, least: int, _: Heard) -> bool:
    """Whether at least so many messages arrived that were not retained."""
    return sum(not one.retained for one in onlooker.heard) >= least


def pair(broker: Broker, gateways: GatewayFactory, name: str) -> tuple[Gateway, Gateway]:
    same = {"id": name, "sites": [f"{name}-site"]}
    return gateways(broker, f"{name}-a", gateway=same), gateways(broker, f"{name}-b", gateway=same)


def assert_one_works(broker: Broker, name: str, first: Gateway, second: Gateway) -> tuple[Gateway, Gateway]:
    """Wait until one stands by and the other takes what a device sends; returns who works and who stands by."""

    def divided(_: dict[str, Any]) -> bool:
        reports = [one.ask(do="status") for one in (first, second)]
        return sorted(report["broker"]["connected"] for report in reports) == [False, True] and any(
            map(told, reports)
        )

    first.wait_for(divided)
    works = first if first.ask(do="status")["broker"]["connected"] else second
    waits = second if works is first else first
    assert "another gateway uses this id" in told(waits.ask(do="status"))
    before = works.ask(do="status")["counters"]
    with (
        Device(broker.host, broker.port, f"{name}-site", f"{name}-frz") as device,
        Client5(broker.host, broker.port, f"{name}-onlooker", f"edge/v1/{name}/status") as onlooker,
    ):
        had = works.ask(do="status")["messages"]["new"]
        for value in range(20):
            device.measure(temperature=float(value))
        works.wait_for(lambda report: report["messages"]["new"] == had + 20)
        for number in range(1, STATUSES + 1):
            onlooker.publish(f"edge/v1/{name}/command", pack({"id": "r", "do": "report"}))
            onlooker.wait_for(partial(heard_live, onlooker, number))
        nonces = {heard.body["nonce"] for heard in onlooker.heard if not heard.retained}
        assert nonces == {works.ask(do="status")["nonce"]}
    after = works.ask(do="status")["counters"]
    lost = ("broker_connections_lost", "control_connections_lost")
    assert [after.get(one) for one in lost] == [before.get(one) for one in lost]
    return works, waits


def test_the_disconnected_gateway_stands_by_and_continues_when_the_other_is_gone(
    broker: Broker, gateways: GatewayFactory
) -> None:
    older, newer = pair(broker, gateways, "gw-pair")
    older.start()
    newer.start()
    works, waits = assert_one_works(broker, "gw-pair", older, newer)
    assert works.end(signal.SIGTERM) == 0
    report = waits.wait_for(lambda report: report["broker"]["connected"] and not told(report))
    assert report["counters"]["taken_over"] == 1
    assert waits.end(signal.SIGTERM) == 0


def test_gateways_of_a_copied_spool_are_told_apart(broker: Broker, gateways: GatewayFactory) -> None:
    original, copy = pair(broker, gateways, "gw-clone")
    original.start()
    assert original.end(signal.SIGTERM) == 0
    shutil.copytree(original.spool, copy.spool)
    original.start()
    copy.start()
    works, waits = assert_one_works(broker, "gw-clone", original, copy)
    assert works.end(signal.SIGTERM) == waits.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("state", ["online", "offline"])
def test_a_retained_status_from_the_future_makes_no_gateway_stand_by(
    broker: Broker, gateways: GatewayFactory, state: str
) -> None:
    name = f"gw-future-{state}"
    forged = {
        "v": 1,
        "gateway": name,
        "state": state,
        "started": YEAR_3000,
        "at": YEAR_3000,
        "nonce": "f" * 16,
    }
    topic = f"edge/v1/{name}/status"
    with Client5(broker.host, broker.port, f"{name}-forger", topic) as forger:
        forger.publish(topic, pack(forged), retain=True)
        gateway = gateways(broker, name)
        for _ in range(3):
            gateway.start()
            nonce = gateway.ask(do="status")["nonce"]
            forger.wait_for(partial(is_of, nonce))
            assert not told(gateway.ask(do="status"))
            gateway.kill()
        shutil.rmtree(gateway.spool)
        gateway.start()
        gateway.wait_for(lambda report: report["broker"]["caught_up"])
        assert not told(gateway.ask(do="status"))


def test_a_forged_status_is_reported_and_makes_no_gateway_stand_by(
    broker: Broker, gateways: GatewayFactory
) -> None:
    gateway = gateways(broker, "gw-forged")
    gateway.start()
    forged = {"v": 1, "gateway": "gw-forged", "state": "online", "started": YEAR_3000, "at": YEAR_3000}
    with Client5(broker.host, broker.port, "status-forger", "nothing") as forger:

        def forges(report: dict[str, Any]) -> bool:
            forger.publish("edge/v1/gw-forged/status", pack(forged), retain=True)
            return bool(told(report))

        report = gateway.wait_for(forges)
    assert "check for a second gateway" in told(report)
    assert {one["gravity"] for one in report["problems"]} == {"warning"}
    assert report["broker"]["connected"]
    assert "taken_over" not in report["counters"]

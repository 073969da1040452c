"""What a gateway forgets of a device costs no reading and counts none twice: a plain client over a real broker."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.conftest import GatewayFactory
from tests.integration.stranger import Device, now_ms, pack
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.process import wait_until

WITHIN = 60.0
WINDOWS = [{"every": "1h", "bucket": "hours", "keep": "30d"}]

pytestmark = pytest.mark.broker


def send(device: Device, seq: int, ts: int | None, value: float) -> None:
    """One reading; without a time if `ts` is None."""
    reading = {"v": 1, "boot": device.boot, "seq": seq, "m": {"heat": value}}
    device.publish(device.topic("telemetry"), pack(reading if ts is None else {**reading, "ts": ts}))


def received(gateway: Gateway, count: int) -> dict[str, int]:
    """The counts of messages, once so many have come."""
    counts: dict[str, int] = gateway.wait_for(lambda report: report["messages"]["received"] == count)[
        "messages"
    ]
    parts = ("new", "duplicate", "not_known", "quarantined")
    assert counts["received"] == sum(counts[part] for part in parts)
    return counts


def stored(gateway: Gateway, device: str) -> int:
    return sum(row["count"] for row in gateway.query("windows") if row["device"] == device)


def problems(report: dict[str, Any]) -> dict[str, str]:
    return {one["code"]: one["text"] for one in report["problems"]}


def started(broker: Broker, gateways: GatewayFactory, name: str) -> Gateway:
    gateway = gateways(broker, name, windows=WINDOWS, time={"idle_close": "1s"})
    gateway.start()
    return gateway


def test_what_a_forgotten_device_and_ten_boots_send_again_counts_once(
    broker: Broker, gateways: GatewayFactory
) -> None:
    gateway = started(broker, gateways, "gw-forgotten")
    begin = now_ms() - 1_000
    with Device(broker.host, broker.port, "gw-forgotten-site", "freezer") as device:
        for seq in range(10):
            send(device, seq, begin + seq, float(seq))
        wait_until(lambda: stored(gateway, "freezer") == 10, WITHIN, "the readings are stored")
        gateway.run("devices", "forget", "freezer")
        gateway.wait_for(lambda report: report["fleet"]["retired"] == 1)
        for seq in (7, 8, 9, 10):
            send(device, seq, begin + seq, float(seq))
        assert received(gateway, 14) | {"qos0": 0} == {
            "received": 14, "new": 11, "duplicate": 0, "not_known": 3, "quarantined": 0, "qos0": 0,
        }  # fmt: skip
        wait_until(lambda: stored(gateway, "freezer") == 11, WITHIN, "the new reading is stored")
    with Device(broker.host, broker.port, "gw-forgotten-site", "pump") as pump:
        for _ in range(2):
            for number in range(50):
                pump.boot = 1 + number // 5
                send(pump, number % 5, begin + number, float(number))
        counts = received(gateway, 114)
        assert (counts["new"], counts["duplicate"] + counts["not_known"]) == (61, 53)
        wait_until(lambda: stored(gateway, "pump") == 50, WITHIN, "each reading is stored once")


def test_no_receipt_says_stored_of_what_is_not(broker: Broker, gateways: GatewayFactory) -> None:
    gateway = started(broker, gateways, "gw-gaps")
    begin = now_ms() - 1_000
    with Device(broker.host, broker.port, "gw-gaps-site", "freezer") as device:
        for seq in (*range(0, 200, 2), *range(1, 200, 2)):
            send(device, seq, begin + seq, float(seq))
        counts = received(gateway, 200)
        told = device.wait_for(
            lambda one: one.topic.endswith("/receipt") and one.body["upto"] == 199 and not one.body["missing"]
        ).body
        wait_until(lambda: stored(gateway, "freezer") == counts["new"], WITHIN, "what is new is stored")
    assert counts["duplicate"] == 0
    assert counts["new"] + counts["not_known"] == 200
    assert 0 < counts["not_known"] <= told["from"] // 2, (
        "all that is not stored lies below what the receipt names"
    )


def test_an_erased_device_goes_on_if_its_birth_says_so_and_is_named_if_not(
    broker: Broker, gateways: GatewayFactory
) -> None:
    gateway = started(broker, gateways, "gw-erased")
    site = "gw-erased-site"
    with Device(broker.host, broker.port, site, "freezer") as device:
        device.be_born()
        for _ in range(10):
            device.measure(heat=1.0)
        received(gateway, 10)
        device.seq = 0
        device.be_born()
        for _ in range(12):
            device.measure(heat=2.0)
        counts = received(gateway, 22)
        assert (counts["new"], counts["quarantined"]) == (22, 0)
        told = device.wait_for(lambda one: one.topic.endswith("/receipt") and one.body["upto"] == 11).body
        assert told["from"] == 0
        gateway.kill()
        gateway.start()
        device.measure(heat=3.0)
        assert received(gateway, 23)["new"] == 23
        report = gateway.ask(do="status")
        assert (report["counters"]["boots_begun_anew"], "device_conflicts" in problems(report)) == (1, False)
    with Device(broker.host, broker.port, site, "clone") as clone:
        clone.be_born()
        for life in (1.0, 2.0):
            clone.seq = 0
            for seq in range(5):
                send(clone, seq, now_ms() + seq, life)
            received(gateway, 23 + 5 * int(life))
        report = gateway.wait_for(lambda report: "device_conflicts" in problems(report))
        assert f"{site}/clone" in problems(report)["device_conflicts"]
        assert report["messages"]["quarantined"] == 5
        clone.boot = 2
        clone.be_born()
        gateway.wait_for(lambda report: "device_conflicts" not in problems(report))
    assert [row["reason"] for row in gateway.query("quarantine")] == ["sequence_conflict"] * 5


def test_without_times_the_content_tells_a_repeat_from_a_number_used_again(
    broker: Broker, gateways: GatewayFactory
) -> None:
    gateway = started(broker, gateways, "gw-timeless")
    with Device(broker.host, broker.port, "gw-timeless-site", "freezer") as device:
        device.be_born()
        for seq in range(5):
            send(device, seq, None, float(seq))
        received(gateway, 5)
        send(device, 4, None, 4.0)
        assert received(gateway, 6)["duplicate"] == 1
        send(device, 3, None, 33.0)
        assert received(gateway, 7)["quarantined"] == 1
        device.be_born(line="L2")
        for seq in range(5):
            send(device, seq, None, 50.0 + seq)
        counts = received(gateway, 12)
        assert (counts["new"], counts["quarantined"], counts["duplicate"]) == (10, 1, 1)

"""Fuzzed topics and payloads at a running gateway: each is counted once, kept with its reason, and stops nothing."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from fleet_wire.topics import parse_device_topic
from tests.integration.conftest import GatewayFactory
from tests.integration.field import assert_identities, assert_quiet, stored
from tests.integration.stranger import Device, now_ms, pack
from tests.servers.broker import Broker

pytestmark = pytest.mark.broker

MESSAGES = 10_000
NAME = "gw-fuzz"
SITE = f"{NAME}-site"


def damaged(chance: random.Random, good: bytes) -> bytes:
    """Return a damaged reading: truncated, with flipped bits, spliced, or pure noise."""
    match chance.randrange(5):
        case 0:
            return good[: chance.randrange(len(good))]
        case 1:
            place = chance.randrange(len(good))
            return good[:place] + bytes([chance.randrange(256)]) + good[place + 1 :]
        case 2:
            place = chance.randrange(len(good))
            return good[:place] + chance.randbytes(chance.randrange(1, 9)) + good[place:]
        case 3:
            return good + chance.randbytes(chance.randrange(1, 30))
        case _:
            return chance.randbytes(chance.randrange(60))


def reading(chance: random.Random, seq: int) -> bytes:
    body = {"v": 1, "boot": 5, "seq": seq, "ts": now_ms(), "floor": 0, "m": {"temperature": 20.5, "door": "open"},
            "q": {"temperature": 0.9}, "s": [[10, {"temperature": chance.random()}]]}  # fmt: skip
    return pack(body)


def test_ten_thousand_bad_messages_are_counted_quarantined_and_harmless(
    broker: Broker, gateways: GatewayFactory
) -> None:
    gateway = gateways(broker, NAME)
    gateway.start()
    chance = random.Random(7)
    kinds = ["telemetry"] * 8 + ["status", "ack"]
    names = {
        "fuzz-1": True,
        "fuzz-2": True,
        "fuzz-3": True,
        "fuzz-ä": False,
        "fuzz 4": False,
        "x" * 65: False,
    }
    sent: Counter[tuple[str, bool]] = Counter()
    with Device(broker.host, broker.port, SITE, "fuzzer", boot=1) as device:
        for seq in range(MESSAGES):
            kind = chance.choice(kinds)
            name = chance.choice(list(names))
            payload = damaged(chance, reading(chance, seq))
            device.client.publish(f"fleet/v1/{SITE}/{name}/{kind}", payload, qos=1)
            sent[kind, names[name]] += 1
        device.measure(temperature=-18.0)
        readings = 1 + sum(sent.values()) - sent["status", True] - sent["ack", True]
        report = gateway.wait_for(
            lambda report: (
                report["messages"]["received"] >= readings
                and not report["broker"]["unacknowledged"]
                and stored(report)
            )
        )
    assert report["messages"]["received"] == readings
    assert_identities(report)
    assert report["messages"]["quarantined"] > MESSAGES / 2
    assert report["messages"]["new"] > 1
    rows = gateway.query("quarantine")
    assert len(rows) == report["counters"]["quarantined"]
    told = Counter(
        parse_device_topic(row["topic"]) is not None and row["topic"].rpartition("/")[2] for row in rows
    )
    assert told[False] == sum(count for (_, good), count in sent.items() if not good)
    assert told["telemetry"] == report["messages"]["quarantined"] - told[False]
    assert told["ack"] > sent["ack", True] / 2
    assert told["status"] > sent["status", True] / 4
    assert all(row["reason"] for row in rows)
    assert len({row["reason"] for row in rows}) > 10
    assert gateway.stop() == 0
    assert_quiet(gateway)
    gateway.start()
    after = gateway.ask(do="status")
    assert after["messages"] == report["messages"]
    assert len(gateway.query("quarantine")) == len(rows)
    assert {one["gravity"] for one in after["problems"]} <= {"warning"}


def test_a_message_that_is_too_long_or_of_another_version_is_quarantined_with_that_reason(
    broker: Broker, gateways: GatewayFactory
) -> None:
    gateway = gateways(broker, "gw-odd")
    gateway.start()
    site = "gw-odd-site"
    with Device(broker.host, broker.port, site, "odd-1", boot=1) as device:
        good = {"v": 1, "boot": 1, "seq": 0, "ts": now_ms(), "m": {"temperature": 1.0}}
        odd: dict[str, bytes] = {
            "version": pack({**good, "v": 2}),
            "length": pack({**good, "m": {"temperature": "x" * 200}}) + bytes(70_000),
            "missing": pack({"v": 1, "boot": 1, "ts": 1, "m": {}}),
            "far": pack({**good, "ts": 2**60}),
            "negative": pack({**good, "seq": -1}),
        }
        for payload in odd.values():
            device.publish(device.topic("telemetry"), payload)
        device.publish(f"fleet/v1/{site}/odd-1/telemetry", pack(good))
        gateway.wait_for(lambda report: report["messages"]["received"] == len(odd) + 1 and stored(report))
    rows = gateway.query("quarantine", "--device", "odd-1")
    assert [bytes.fromhex(row["payload"]) for row in rows] == list(odd.values())
    assert "65536" in rows[1]["reason"]
    assert "seq" in rows[2]["reason"]
    report = gateway.ask(do="status")
    assert (report["messages"]["new"], report["messages"]["quarantined"]) == (1, len(odd))
    assert_quiet(gateway)

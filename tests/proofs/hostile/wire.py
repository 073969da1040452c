"""Hostile messages over a real broker to a real gateway: each one the broker passes on is counted once.

The broker refuses some topics and payloads itself; only what it acknowledged is expected at the gateway. QoS 0 messages
may be lost, so they are sent last and counted separately.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from typing import Any

import msgspec

from tests.proofs.ground.field import settled
from tests.proofs.ground.judging import judge_devices, judge_identities, judge_log
from tests.proofs.ground.raw_client import RawClient
from tests.proofs.hostile.fuzz import Fuzz, Hostile, counts_as_telemetry
from tests.proofs.hostile.fuzz_bytes import anything, blob, table, text, whole
from tests.proofs.hostile.inside import must_be_quarantined
from tests.proofs.proof import Findings, Setting
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway

NAME = "gw-hostile"
SITE = f"{NAME}-site"
_heard = re.compile(rf"fleet/v1/{SITE}/[^/]*/(?:telemetry|status|ack)").fullmatch
MOST_PAYLOAD = 65_536
UNPROMISED = 20
"""The number of QoS 0 messages; any of them may be lost."""
WITHOUT_PROMISE = f"fleet/v1/{SITE}/unpromised/telemetry"
"""Their topic; a gateway that has reached its limit of devices puts them in quarantine."""
ODD_TOPICS = (
    *(
        b"$SYS/broker/uptime",
        b"$share/x/fleet/v1/+/+/telemetry",
        b"fleet/v1/+/dev/telemetry",
        b"#",
        b"fleet/#",
    ),
    *(b"", b"/", b"fleet/v1/\xff\xfe/dev/telemetry", b"fleet/v1/\xed\xa0\x80/dev/telemetry", b"a\x00b"),
    *(f"fleet/v1/{SITE}/\ufffe/telemetry".encode(), f"fleet/v1/{SITE}/e\u0301\u202e/telemetry".encode()),
    *(f"fleet/v1/{SITE}//telemetry".encode(), f"fleet/v1/{SITE}/{'y' * 60_000}/telemetry".encode()),
    *(f"fleet/v1/{SITE}/dev\x1f/telemetry".encode(), f"fleet/v1/{SITE}/\ufeffdev/ack".encode()),
    *(f"fleet/v1/{SITE}/$dev/telemetry".encode(), f"fleet/v2/{SITE}/dev/telemetry".encode()),
)


def attack(setting: Setting, count: int) -> None:
    """Send `count` messages to a gateway and check how it counts them."""
    broker, chance = setting.broker(), setting.rng
    gateway = setting.gateway(broker, NAME, limits={"devices": 500, "series": 3_000, "strings": 2_000})
    kept = [retained(number) for number in range(10)]
    sent: Counter[Hostile] = Counter()
    with RawClient(broker.host, broker.port, "client") as client:
        for one in kept:
            _publish(client, one, sent, retain=True)
        gateway.start()
        for one in waves(chance, count):
            _publish(client, one, sent)
        _operate(setting.findings, client, chance)
        for number in range(UNPROMISED):
            client.publish(WITHOUT_PROMISE.encode(), retained(number).payload, qos=0)
        for topic in ODD_TOPICS:
            _odd(client, topic, sent)
    judge(setting.findings, broker, gateway, Counter(one for one in sent.elements() if _heard(one.topic)))


def retained(number: int) -> Hostile:
    """Return telemetry to be retained, which a subscribing gateway gets like any other."""
    keys = {"boot": whole(7), "seq": whole(number), "m": table([(text("heat"), whole(number))])}
    payload = table([(text(key), value) for key, value in keys.items()])
    return Hostile(f"fleet/v1/{SITE}/kept-{number}/telemetry", payload, "retained")


def waves(chance: random.Random, count: int) -> list[Hostile]:
    """Return `count` messages, and a few that are empty, of the largest size and above it."""
    fuzz = Fuzz(chance, SITE, devices=40)
    now = _now()
    sizes = (0, 1, 60_000, MOST_PAYLOAD, MOST_PAYLOAD + 1, 70_000, 200_000)
    made = [fuzz.message(now) for _ in range(count)]
    for size in sizes:
        filled = table([(text("boot"), whole(1)), (text("x"), blob(bytes(max(0, min(size, 65_535) - 30))))])
        payload = (filled + bytes(max(0, size - len(filled))))[:size]
        made.append(Hostile(f"fleet/v1/{SITE}/evil-000/telemetry", payload, "size"))
    chance.shuffle(made)
    return made


def _now() -> int:
    return time.time_ns() // 1_000_000


def _publish(client: RawClient, one: Hostile, sent: Counter[Hostile], *, retain: bool = False) -> None:
    try:
        topic = one.topic.encode()
    except UnicodeEncodeError:
        return
    if len(topic) < MOST_PAYLOAD and client.publish(topic, one.payload, qos=1, retain=retain):
        sent[one] += 1


def _odd(client: RawClient, topic: bytes, sent: Counter[Hostile]) -> None:
    payload = b"\x80"
    if client.publish(topic, payload):
        sent[Hostile(topic.decode(), payload, "odd topic")] += 1


def _operate(findings: Findings, client: RawClient, chance: random.Random) -> None:
    """Send nonsense to the operators' topic, which must stop nothing."""
    for _ in range(50):
        payload = chance.choice(
            (anything(chance), msgspec.msgpack.encode({"id": "x", "do": "report", "args": 7}))
        )
        client.publish(f"edge/v1/{NAME}/command".encode(), payload)
        findings.faults["operator nonsense"] += 1


def judge(findings: Findings, broker: Broker, gateway: Gateway, came: Counter[Hostile]) -> None:
    """Check that every message the broker passed on is new, duplicate, or in quarantine with its bytes."""
    counted = sum(times for one, times in came.items() if counts_as_telemetry(one.topic))
    try:
        report = gateway.wait_for(
            lambda said: said["messages"]["received"] >= counted + said["messages"]["qos0"] and settled(said),
            within=120,
        )
    except AssertionError as error:
        findings.forbid("not counted", str(error)[-1500:])
        judge_log(findings, gateway)
        return
    unpromised = report["messages"]["qos0"]
    if report["messages"]["received"] != counted + unpromised or unpromised > UNPROMISED:
        findings.forbid("miscounted", f"{counted} let through, {report['messages']}")
    judge_identities(findings, report)
    judge_devices(findings, gateway)
    rows = gateway.query("quarantine")
    kept = [row for row in rows if row["topic"] != WITHOUT_PROMISE]
    aside = Counter((row["topic"], bytes.fromhex(row["payload"])) for row in kept)
    all_came = Counter({one[:2]: 0 for one in came})
    for one, times in came.items():
        all_came[one[:2]] += times
    for key, times in (aside - all_came).items():
        findings.forbid("not what was sent", f"{times} x {key[0]!r} {key[1][:60].hex()}")
    for one, times in came.items():
        if must_be_quarantined(one) and aside[one[:2]] < times:
            findings.forbid("let in", f"{one.topic[:80]!r} {one.payload[:60].hex()}")
    told = sum(counts_as_telemetry(row["topic"]) for row in rows)
    if told != report["messages"]["quarantined"]:
        findings.forbid("miscounted", f"{told} rows in quarantine, {report['messages']}")
    findings.measured["over the wire"] = {"sent": came.total(), **report["messages"]}
    _judge_life(findings, broker, gateway, report)


def _judge_life(findings: Findings, broker: Broker, gateway: Gateway, report: dict[str, Any]) -> None:
    """Check that the gateway runs, that its log has no traceback, and that a restart keeps the counters."""
    if not (gateway.running and broker.running):
        findings.forbid("not running", gateway.words())
        return
    gateway.kill()
    gateway.start()
    again = gateway.wait_for(settled)
    if again["messages"] != report["messages"]:
        findings.forbid(
            "different counters after a restart", f"{report['messages']}, then {again['messages']}"
        )
    judge_log(findings, gateway)

"""Hostile messages over a real broker to a real gateway: what the broker lets through is counted once.

The broker refuses some topics and payloads itself; only what it acknowledged is expected at the gateway. Messages of
QoS 0 promise nothing, so they are sent to a gateway that is up and counted apart.
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
from tests.proofs.proof import Setting, Tally
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway

NAME = "gw-hostile"
SITE = f"{NAME}-site"
_heard = re.compile(rf"fleet/v1/{SITE}/[^/]*/(?:telemetry|status|ack)").fullmatch
MOST_PAYLOAD = 65_536
UNPROMISED = 20
"""Messages of QoS 0: they may be lost, and are counted apart where they come."""
WITHOUT_PROMISE = f"fleet/v1/{SITE}/unpromised/telemetry"
"""Where they go; a gateway that knows as many devices as it may puts them into quarantine."""
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


def besiege(setting: Setting, count: int) -> None:
    """Send `count` messages to a gateway and check how it counts them."""
    broker, chance = setting.broker(), setting.rng
    gateway = setting.gateway(broker, NAME, limits={"devices": 500, "series": 3_000, "strings": 2_000})
    kept = [retained(number) for number in range(10)]
    sent: Counter[Hostile] = Counter()
    with RawClient(broker.host, broker.port, "enemy") as enemy:
        for one in kept:
            _publish(enemy, one, sent, retain=True)
        gateway.start()
        for one in waves(chance, count):
            _publish(enemy, one, sent)
        _operate(setting.tally, enemy, chance)
        for number in range(UNPROMISED):
            enemy.publish(WITHOUT_PROMISE.encode(), retained(number).payload, qos=0)
        for topic in ODD_TOPICS:
            _odd(enemy, topic, sent)
    judge(setting.tally, broker, gateway, Counter(one for one in sent.elements() if _heard(one.topic)))


def retained(number: int) -> Hostile:
    """Telemetry that somebody retained: a gateway that subscribes gets it like any other."""
    keys = {"boot": whole(7), "seq": whole(number), "m": table([(text("heat"), whole(number))])}
    payload = table([(text(key), value) for key, value in keys.items()])
    return Hostile(f"fleet/v1/{SITE}/kept-{number}/telemetry", payload, "retained")


def waves(chance: random.Random, count: int) -> list[Hostile]:
    """So many messages; a few of the largest size, beyond it, and of no size."""
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


def _publish(enemy: RawClient, one: Hostile, sent: Counter[Hostile], *, retain: bool = False) -> None:
    try:
        topic = one.topic.encode()
    except UnicodeEncodeError:
        return
    if len(topic) < MOST_PAYLOAD and enemy.publish(topic, one.payload, qos=1, retain=retain):
        sent[one] += 1


def _odd(enemy: RawClient, topic: bytes, sent: Counter[Hostile]) -> None:
    payload = b"\x80"
    if enemy.publish(topic, payload):
        sent[Hostile(topic.decode(), payload, "odd topic")] += 1


def _operate(tally: Tally, enemy: RawClient, chance: random.Random) -> None:
    """Nonsense to where operators speak: it is answered or passed over, and stops nothing."""
    for _ in range(50):
        payload = chance.choice(
            (anything(chance), msgspec.msgpack.encode({"id": "x", "do": "report", "args": 7}))
        )
        enemy.publish(f"edge/v1/{NAME}/command".encode(), payload)
        tally.faults["operator nonsense"] += 1


def judge(tally: Tally, broker: Broker, gateway: Gateway, came: Counter[Hostile]) -> None:
    """Check that every message the broker passed on is new, duplicate, or in quarantine with its bytes."""
    counted = sum(times for one, times in came.items() if counts_as_telemetry(one.topic))
    try:
        report = gateway.wait_for(
            lambda said: said["messages"]["received"] >= counted + said["messages"]["qos0"] and settled(said),
            within=120,
        )
    except AssertionError as error:
        tally.forbid("not taken in", str(error)[-1500:])
        judge_log(tally, gateway)
        return
    unpromised = report["messages"]["qos0"]
    if report["messages"]["received"] != counted + unpromised or unpromised > UNPROMISED:
        tally.forbid("miscounted", f"{counted} let through, {report['messages']}")
    judge_identities(tally, report)
    judge_devices(tally, gateway)
    rows = gateway.query("quarantine")
    kept = [row for row in rows if row["topic"] != WITHOUT_PROMISE]
    aside = Counter((row["topic"], bytes.fromhex(row["payload"])) for row in kept)
    all_came = Counter({one[:2]: 0 for one in came})
    for one, times in came.items():
        all_came[one[:2]] += times
    for key, times in (aside - all_came).items():
        tally.forbid("not what was sent", f"{times} x {key[0]!r} {key[1][:60].hex()}")
    for one, times in came.items():
        if must_be_quarantined(one) and aside[one[:2]] < times:
            tally.forbid("let in", f"{one.topic[:80]!r} {one.payload[:60].hex()}")
    told = sum(counts_as_telemetry(row["topic"]) for row in rows)
    if told != report["messages"]["quarantined"]:
        tally.forbid("miscounted", f"{told} rows in quarantine, {report['messages']}")
    tally.measured["over the wire"] = {"sent": came.total(), **report["messages"]}
    _judge_life(tally, broker, gateway, report)


def _judge_life(tally: Tally, broker: Broker, gateway: Gateway, report: dict[str, Any]) -> None:
    """Check that it still works, that its log is quiet, and that a restart gives the same counters."""
    if not (gateway.running and broker.running):
        tally.forbid("not running", gateway.words())
        return
    gateway.kill()
    gateway.start()
    again = gateway.wait_for(settled)
    if again["messages"] != report["messages"]:
        tally.forbid("another count after a restart", f"{report['messages']}, then {again['messages']}")
    judge_log(tally, gateway)

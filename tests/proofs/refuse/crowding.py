"""One device invents metrics and texts without end: the others lose nothing, and new devices are accepted.

The limits are small, so that a trial exceeds them many times.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import msgpack

from tests.proofs.ground.raw_client import RawClient
from tests.proofs.proof import Setting
from tests.proofs.refuse.trial import (
    DEVICES,
    honest_fleet,
    judge_fleet,
    make_gateway,
    must_report,
    wait_accepted,
)
from tests.servers.broker import Broker

LIMITS: Final = {"devices": 200, "series": 2_000, "strings": 1_000}
MESSAGES: Final = 1_500
NAMES_A_MESSAGE: Final = 60
AT_ONCE: Final = 50
STARTS_WITHIN: Final = 30.0
"""Seconds a start may take afterwards; one that reads what it does not need takes a minute."""


def run(setting: Setting, name: str) -> None:
    """Flood a gateway from one device while a fleet sends and a second one joins."""
    broker = setting.broker()
    site, joins = f"{name}-site", f"{name}-later"
    kind = setting.rng.choice(["metrics", "texts", "both"])
    own = {"id": name, "sites": [site, joins]}
    gateway = make_gateway(setting, broker, name, gateway=own, limits=LIMITS)
    gateway.start()
    with honest_fleet(setting, broker, site) as fleet:
        wait_accepted(gateway)
        flood(broker, site, kind)
        must_report(setting, gateway, f"one device fills the tables with {kind}", "evil")
        wait_accepted(gateway)
    with honest_fleet(setting, broker, joins, devices=2 * DEVICES) as later:
        wait_accepted(gateway)
        gateway.kill()
        took = gateway.start()
        if took > STARTS_WITHIN:
            setting.findings.forbid("slow start", f"{took:.0f} s after {kind}")
        wait_accepted(gateway)
    for ledger in (fleet.ledger, later.ledger):
        judge_fleet(setting, gateway, ledger)
    setting.findings.recoveries.append(took)
    setting.findings.faults[f"tables full of {kind}"] += 1
    gateway.kill()


def flood(broker: Broker, site: str, kind: str) -> None:
    """Send `MESSAGES` messages of one device, each with new names or texts."""
    topic = f"fleet/v1/{site}/evil/telemetry".encode()
    with RawClient(broker.host, broker.port, "evil") as client:
        batch: list[tuple[bytes, bytes]] = []
        for message in invented_messages(kind, MESSAGES):
            batch.append((topic, msgpack.packb(message)))
            if len(batch) == AT_ONCE:
                client.publish_all(batch)
                batch.clear()
        client.publish_all(batch)


def invented_messages(kind: str, count: int) -> Iterator[dict[str, Any]]:
    """Yield messages with metric names, texts or both that no earlier message had."""
    for seq in range(count):
        values: dict[str, Any] = {"heat": 1.0}
        if kind in {"metrics", "both"}:
            values |= {f"x{seq}_{place}": 1.0 for place in range(NAMES_A_MESSAGE)}
        if kind in {"texts", "both"}:
            values |= {f"t{place}": f"text {seq} {place}" for place in range(NAMES_A_MESSAGE)}
        now = time.time_ns() // 1_000_000
        yield {"v": 1, "boot": 1, "seq": seq, "ts": now, "m": values}

"""One device invents metrics, texts and boots without end: the others lose nothing, and new ones are taken in.

The bounds are small, so that a trial fills them many times over.
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
    gateway_of,
    honest_fleet,
    judge_fleet,
    must_tell,
    taken_more,
)
from tests.servers.broker import Broker

LIMITS: Final = {"devices": 200, "series": 2_000, "strings": 1_000}
MESSAGES: Final = 1_500
NAMES_A_MESSAGE: Final = 60
AT_ONCE: Final = 50
STARTS_WITHIN: Final = 30.0
"""Seconds a start may take after all that; a start that reads what nobody needs takes a minute."""


def run(setting: Setting, name: str) -> None:
    """Besiege a gateway from one device while a fleet is at work and a second one joins."""
    broker = setting.broker()
    site, joins = f"{name}-site", f"{name}-later"
    kind = setting.rng.choice(["metrics", "texts", "both"])
    own = {"id": name, "sites": [site, joins]}
    gateway = gateway_of(setting, broker, name, gateway=own, limits=LIMITS)
    gateway.start()
    with honest_fleet(setting, broker, site) as fleet:
        taken_more(gateway)
        besiege(broker, site, kind)
        must_tell(setting, gateway, f"one device fills the tables with {kind}", "evil")
        taken_more(gateway)
    with honest_fleet(setting, broker, joins, devices=2 * DEVICES) as later:
        taken_more(gateway)
        gateway.kill()
        took = gateway.start()
        if took > STARTS_WITHIN:
            setting.tally.forbid("slow start", f"{took:.0f} s after {kind}")
        taken_more(gateway)
    for ledger in (fleet.ledger, later.ledger):
        judge_fleet(setting, gateway, ledger)
    setting.tally.recoveries.append(took)
    setting.tally.faults[f"tables full of {kind}"] += 1
    gateway.kill()


def besiege(broker: Broker, site: str, kind: str) -> None:
    """Send what one device can invent in as many messages."""
    topic = f"fleet/v1/{site}/evil/telemetry".encode()
    with RawClient(broker.host, broker.port, "evil") as enemy:
        batch: list[tuple[bytes, bytes]] = []
        for message in inventions(kind, MESSAGES):
            batch.append((topic, msgpack.packb(message)))
            if len(batch) == AT_ONCE:
                enemy.publish_all(batch)
                batch.clear()
        enemy.publish_all(batch)


def inventions(kind: str, count: int) -> Iterator[dict[str, Any]]:
    """Messages with names, texts or both that no message before had."""
    for seq in range(count):
        values: dict[str, Any] = {"heat": 1.0}
        if kind in {"metrics", "both"}:
            values |= {f"x{seq}_{place}": 1.0 for place in range(NAMES_A_MESSAGE)}
        if kind in {"texts", "both"}:
            values |= {f"t{place}": f"text {seq} {place}" for place in range(NAMES_A_MESSAGE)}
        now = time.time_ns() // 1_000_000
        yield {"v": 1, "boot": 1, "seq": seq, "ts": now, "m": values}

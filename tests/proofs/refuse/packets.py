"""A broker takes only small packets: what fits goes through, what does not is named, and the gateway still ends."""

from __future__ import annotations

from typing import Final

from tests.proofs.proof import Setting
from tests.proofs.refuse.trial import (
    gateway_of,
    honest_fleet,
    judge_fleet,
    must_end,
    must_tell,
    taken_more,
)

SMALLEST, LARGEST = 450, 1_100
"""Bytes; the fleet's births and readings fit into the smallest, the gateway's whole status into none of them."""
WORDS: Final = ("packet", "bytes")
MOST_CONNECTIONS: Final = 30
"""Connections of the gateway that may be lost in a trial: it must not try the same thing over and over."""


def run(setting: Setting, name: str) -> None:
    """Let a fleet be at work beside a broker with a random limit."""
    limit = setting.rng.randrange(SMALLEST, LARGEST)
    broker = setting.broker(f"max_packet_size {limit}")
    gateway = gateway_of(setting, broker, name)
    gateway.start()
    with honest_fleet(setting, broker, f"{name}-site") as fleet:
        must_tell(setting, gateway, f"packets of {limit} bytes at most", *WORDS)
        taken_more(gateway)
    report = judge_fleet(setting, gateway, fleet.ledger)
    lost = report["counters"].get("control_connections_lost", 0)
    if lost > MOST_CONNECTIONS:
        setting.tally.forbid("tried over and over", f"{lost} control connections lost at {limit} bytes")
    executed = {row["id"] for row in fleet.ledger.of_kind("executed")}
    alerts = gateway.query("alerts")
    if any(row["rule"] == "Hot" and row["state"] == "firing" for row in alerts) and not executed:
        setting.tally.forbid("no command left", f"at {limit} bytes, with {len(alerts)} transitions")
    must_end(setting, gateway, f"packets of {limit} bytes at most")
    setting.tally.faults["packet limit"] += 1

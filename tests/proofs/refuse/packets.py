"""The broker accepts only small packets: what fits goes through, a problem names the rest, and the gateway can stop."""

from __future__ import annotations

from typing import Final

from tests.proofs.proof import Setting
from tests.proofs.refuse.trial import (
    honest_fleet,
    judge_fleet,
    make_gateway,
    must_report,
    must_stop,
    wait_accepted,
)

SMALLEST, LARGEST = 450, 1_100
"""Bytes. Births and readings of the fleet fit into the smallest; a whole status of the gateway never fits."""
WORDS: Final = ("packet", "bytes")
MOST_CONNECTIONS: Final = 30
"""Connections a gateway may lose in a trial: it must not repeat what the broker refuses."""


def run(setting: Setting, name: str) -> None:
    """Run a fleet and a gateway with a broker of a random limit."""
    limit = setting.rng.randrange(SMALLEST, LARGEST)
    broker = setting.broker(f"max_packet_size {limit}")
    gateway = make_gateway(setting, broker, name)
    gateway.start()
    with honest_fleet(setting, broker, f"{name}-site") as fleet:
        must_report(setting, gateway, f"packets of {limit} bytes at most", *WORDS)
        wait_accepted(gateway)
    report = judge_fleet(setting, gateway, fleet.ledger)
    lost = report["counters"].get("control_connections_lost", 0)
    if lost > MOST_CONNECTIONS:
        setting.findings.forbid("tried over and over", f"{lost} control connections lost at {limit} bytes")
    executed = {row["id"] for row in fleet.ledger.of_kind("executed")}
    alerts = gateway.query("alerts")
    if any(row["rule"] == "Hot" and row["state"] == "firing" for row in alerts) and not executed:
        setting.findings.forbid("no command left", f"at {limit} bytes, with {len(alerts)} transitions")
    must_stop(setting, gateway, f"packets of {limit} bytes at most")
    setting.findings.faults["packet limit"] += 1

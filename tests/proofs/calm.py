"""How much traffic reliability costs: receipts and resends in calm, and after storms.

    calm ─▶ storm: every device cut off, every other time by a broker that is killed ─▶ back ─▶ calm …

Broken: all connections of the devices, `count` times, every other time by killing the broker.

Compared: receipts and resends against the messages sent for the first time, before the first storm and after each. A
receipt is due after 64 messages of a device, and a device resends only what a receipt names. The ledger is compared
with the history.

Failures: 3 % or more, before or after a storm; any resend before the first storm; anything lost, double or wrong.
"""

from __future__ import annotations

import time
from typing import Final

from fleet_sim.devices.counters import Snapshot
from tests.proofs.ground.field import RULES, Fleet, scenario_text, wait_settled
from tests.proofs.ground.judging import judge_devices, judge_history, judge_identities, judge_log
from tests.proofs.proof import Proof, Setting
from tests.servers.broker import Broker
from tests.servers.process import wait_until

DEVICES: Final = 50
EVERY: Final = "80ms"
"""So that 64 messages take the shortest time between two receipts: no interval causes more receipts."""
CALM: Final = 7.0
BIRTHS_ANSWERED: Final = 4.0
"""Seconds after a storm until all births are answered."""
QUIET_FOR: Final = 2.0
MOST_OVERHEAD: Final = 0.03
BACK: Final = 60.0
NAME: Final = "gw-calm"


def run(setting: Setting) -> None:
    """Watch the traffic before, between and after `count` storms."""
    broker = setting.broker()
    gateway = setting.gateway(broker, NAME)
    gateway.write_rules(RULES)
    setting.findings.recoveries.append(gateway.start())
    text = scenario_text(f"{NAME}-site", devices=DEVICES, every=EVERY, seed=setting.rng.randrange(1 << 31))
    fleet = Fleet(broker, setting.place("run"), text)
    with fleet:
        _measure(setting, fleet, "in calm")
        for number in range(setting.count):
            _storm(setting, broker, fleet, kill=number % 2 == 0)
            _measure(setting, fleet, "after a storm")
    report = wait_settled(gateway, fleet.ledger)
    judge_identities(setting.findings, report)
    judge_devices(setting.findings, gateway)
    judge_history(setting.findings, gateway, fleet.ledger, report)
    judge_log(setting.findings, gateway)
    setting.findings.runs += 1


def _storm(setting: Setting, broker: Broker, fleet: Fleet, *, kill: bool) -> None:
    """Disconnect every device, and wait until all are back and nothing is unsent."""
    before = fleet.seen
    if kill:
        broker.restart(kill=True)
    else:
        fleet.fault("storm", {}, reconnect={"within": "1s"})
    setting.findings.faults["broker killed" if kill else "all cut off"] += 1
    wait_until(
        lambda: fleet.seen is not before and fleet.seen != before and _is_back(fleet), BACK, "all are back"
    )


def _is_back(fleet: Fleet) -> bool:
    seen = fleet.seen
    return seen is not None and fleet.all_up() and not seen.waiting


def _measure(setting: Setting, fleet: Fleet, when: str) -> None:
    """Count the traffic for a while, once births are answered and losses are resent."""
    time.sleep(BIRTHS_ANSWERED)
    wait_until(lambda: _is_quiet(fleet), BACK, f"nothing is sent again any more {when}")
    before = _seen(fleet)
    time.sleep(CALM)
    after = _seen(fleet)
    share = overhead(before, after)
    measured = setting.findings.measured
    measured[f"% {when}"] = max(measured.get(f"% {when}", 0.0), round(100 * share, 2))
    judge(setting, when, before, after)


def _is_quiet(fleet: Fleet) -> bool:
    """Whether nothing is resent during a pause. A busy machine needs longer until that is so."""
    before = _seen(fleet).resent
    time.sleep(QUIET_FOR)
    return _seen(fleet).resent == before


def _seen(fleet: Fleet) -> Snapshot:
    assert fleet.seen is not None
    return fleet.seen


def overhead(before: Snapshot, after: Snapshot) -> float:
    """Receipts and resends between two moments, as a share of the messages sent for the first time."""
    extra = after.receipts - before.receipts + after.resent - before.resent
    messages = after.published - before.published - (after.resent - before.resent)
    return extra / messages if messages > 0 else float("inf")


def judge(setting: Setting, when: str, before: Snapshot, after: Snapshot) -> None:
    """Forbid more than 3 %, and any resend while nothing is lost."""
    share = overhead(before, after)
    if share >= MOST_OVERHEAD:
        setting.findings.forbid("receipts and resends", f"{100 * share:.1f} % of the messages {when}")
    again = after.resent - before.resent
    if when == "in calm" and again:
        setting.findings.forbid("sent again in calm", f"{again} messages", again)


PROOF = Proof(
    "calm",
    "receipts and resends stay below 3 % of the traffic, before and after storms",
    "storms",
    full=10,
    quick=1,
    run=run,
)

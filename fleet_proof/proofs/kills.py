"""`kill -9` of the gateway at random instants under load."""

from __future__ import annotations

import time
from typing import Any

from fleet_proof.field import RULES, Fleet, scenario_text, wait_settled
from fleet_proof.judging import judge_all
from fleet_proof.proof import Proof, Setting
from fleet_proof.servers.broker import Broker
from fleet_proof.servers.gateway import Gateway

ROUND = 50
WINDOWS = [
    {"every": "2s", "bucket": "base", "keep": "30d"},
    {"every": "6s", "bucket": "mid", "keep": "180d"},
    {"every": "12s", "bucket": "top", "keep": "2y"},
]
COMMANDS = {"per_device": "600/m", "total": "1000/s"}


def run(setting: Setting) -> None:
    """Kill `count` times, in rounds of a fresh gateway and fleet each."""
    broker = setting.broker()
    left = setting.count
    while left:
        kills = min(ROUND, left)
        left -= kills
        name = f"gw-kill-{setting.tally.runs}"
        gateway = setting.gateway(broker, name, windows=WINDOWS, commands=COMMANDS)
        _round(setting, broker, gateway, name, kills)


def _round(setting: Setting, broker: Broker, gateway: Gateway, name: str, kills: int) -> None:
    tally = setting.tally
    gateway.write_rules(RULES)
    gateway.start()
    text = scenario_text(f"{name}-site", devices=300, every="1s", seed=setting.rng.randrange(1 << 31))
    fleet = Fleet(broker, setting.place("run"), text)
    with fleet:
        for _ in range(kills):
            time.sleep(setting.rng.expovariate(1 / 0.5))
            gateway.kill()
            tally.faults["kill"] += 1
            time.sleep(setting.rng.expovariate(1 / 0.1))
            gateway.start(ready=setting.rng.random() < 0.8)
    report: dict[str, Any] = wait_settled(gateway, fleet.ledger)
    judge_all(tally, gateway, fleet.ledger, report)
    tally.runs += 1
    gateway.kill()
    setting.say(f"{tally.faults.total()} kills, {tally.acknowledged:,} readings, lost {tally.lost}")


PROOF = Proof("kills", "kill -9 of the gateway, anywhere", "kills", full=1000, quick=8, run=run)

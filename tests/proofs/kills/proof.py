"""`kill -9` of the gateway at random instants and at every named point of its work, under load.

    round: a broker, three gateways, a fleet each ─▶ killed in parallel, each by its own deck ─▶ settled ─▶ judged

The fleet of a gateway has devices whose alerts are judged by what they measured, and stragglers, whose readings come
late, twice and out of order, so that corrections are always under way. Rules change while it runs and between two
lives; now and then the next life is another program, which closes windows at other times and fills records
otherwise. One gateway of a round forwards to InfluxDB, where there is one.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from fleet_sim.judging.stored import InfluxPlace
from fleet_sim.ledger.reading import Ledger
from tests.proofs.ground.field import (
    RULES,
    Fleet,
    forwarded,
    messages_acknowledged,
    scenario_text,
    wait_settled,
)
from tests.proofs.ground.judging import judge_all
from tests.proofs.kills.killing import HTTP, Victim, deck
from tests.proofs.proof import Proof, Setting, Unavailable
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.influx import Influx

ROUND = 60
LANES = 3
LEAST_OF_A_LANE = 10
TIERS = (("2s", "base", "30d"), ("6s", "mid", "180d"), ("12s", "top", "2y"))
COMMANDS = {"per_device": "600/m", "total": "1000/s"}
STRAGGLERS = """\
  straggler:
    count: {devices}
    site: {site}
    id: "{site}-late-{{i:03d}}"
    interval: {{every: {every}, jitter: 20%}}
    offline: {{buffer: 2000, drop: oldest, replay_rate: 200/s}}
    metrics:
      level: {{model: random_walk, start: [40, 60], step: 0.5}}
      door: {{model: states, stay: {{open: 3s, closed: 5s}}}}
phases:
- {{name: all}}
faults:
- {{kind: reorder, match: {{device: "{site}-late-*"}}, p: 20%, by: 8}}
- {{kind: duplicate, match: {{device: "{site}-late-*"}}, p: 10%}}
"""


@dataclass(frozen=True, slots=True)
class Lane:
    """A gateway, its fleet and its database."""

    victim: Victim
    fleet: Fleet
    deaths: Iterator[str]
    place: InfluxPlace | None


def run(setting: Setting) -> None:
    """Kill `count` times, in rounds of fresh gateways and fleets."""
    influx = _influx(setting)
    broker = setting.broker()
    pool = setting.keep(ThreadPoolExecutor(LANES))  # a gateway ends with the thread that started it
    missed: Counter[str] = Counter()
    while (left := setting.count - setting.tally.faults.total()) > 0:
        wanted = min(LANES, 1 + left // LEAST_OF_A_LANE)
        lanes = [_lane(setting, broker, influx if not number else None) for number in range(wanted)]
        missed += _round(setting, pool, lanes, min(ROUND, left))
    setting.tally.measured["armed and not reached"] = missed.total()
    setting.tally.measured["points"] = len(setting.tally.faults)
    if missed:
        setting.say("armed and not reached: " + ", ".join(f"{name} {n}" for name, n in missed.most_common()))


def _influx(setting: Setting) -> Influx | None:
    """Return a database to forward to; none for a sample, where starting it would take most of the time."""
    if setting.count < ROUND:
        return None
    try:
        return setting.influx()
    except Unavailable as error:
        setting.say(f"{error}; the points {', '.join(sorted(HTTP))} are not run")
        setting.tally.measured["without InfluxDB, not run"] = ", ".join(sorted(HTTP))
        return None


def _round(setting: Setting, pool: Executor, lanes: Sequence[Lane], kills: int) -> Counter[str]:
    tally = setting.tally
    with ExitStack() as fleets:
        for lane in lanes:
            fleets.enter_context(lane.fleet)
        shares = [kills // len(lanes) + (number < kills % len(lanes)) for number in range(len(lanes))]
        done = [
            pool.submit(lane.victim.suffer, lane.deaths, share)
            for lane, share in zip(lanes, shares, strict=True)
        ]
        killed = [future.result() for future in done]
    for lane, what in zip(lanes, killed, strict=True):
        tally.faults += what.deaths
        tally.recoveries += what.recoveries
        _judge(setting, lane)
    tally.runs += 1
    setting.say(
        f"{tally.faults.total():,} kills, {tally.acknowledged:,} readings, {tally.alerts:,} alerts: "
        f"lost {tally.lost}, double {tally.double}, wrong {tally.wrong}"
    )
    return sum((what.missed for what in killed), Counter())


def _lane(setting: Setting, broker: Broker, influx: Influx | None) -> Lane:
    chance = random.Random(setting.rng.randrange(1 << 62))
    name = f"kill-{chance.randrange(1 << 32):08x}"
    site = f"{name}-site"
    gateway = setting.gateway(broker, name, **_sections(setting, influx))
    gateway.write_rules(RULES)
    gateway.start()
    text = scenario_text(site, devices=45, every="500ms", seed=chance.randrange(1 << 31))
    text = text.replace("phases:\n- {name: all}\n", STRAGGLERS.format(site=site, devices=15, every="500ms"))
    place = InfluxPlace(influx.url, influx.org, influx.token) if influx else None
    return Lane(
        Victim(gateway, chance),
        Fleet(broker, setting.place("run"), text),
        deck(chance, http=influx is not None),
        place,
    )


def _sections(setting: Setting, influx: Influx | None) -> dict[str, Any]:
    buckets = [influx.fresh_bucket() if influx else name for _, name, _ in TIERS]
    windows = [
        {"every": every, "bucket": bucket, "keep": keep}
        for (every, _, keep), bucket in zip(TIERS, buckets, strict=True)
    ]
    forwarding = {"influx": setting.forwarding(influx)} if influx else {}
    return {"windows": windows, "commands": COMMANDS, **forwarding}


def _settled(setting: Setting, gateway: Gateway, ledger: Ledger) -> dict[str, Any]:
    """Return the report once nothing is pending; what never settles is judged as it is."""
    try:
        return wait_settled(gateway, ledger)
    except AssertionError:
        report: dict[str, Any] = gateway.ask(do="status")
        new, sent = report["messages"]["new"], messages_acknowledged(ledger)
        setting.tally.forbid("not settled", f"{gateway.directory}: {new} messages of {sent} acknowledged")
        return report


def _judge(setting: Setting, lane: Lane) -> None:
    gateway, ledger = lane.victim.gateway, lane.fleet.ledger
    report = _settled(setting, gateway, ledger)
    if lane.place is not None:
        report = gateway.wait_for(forwarded)
    judge_all(setting.tally, gateway, ledger, report, lane.place)
    if not report["values"]["late_merged"]:
        setting.tally.forbid("nothing came late", str(gateway.directory))
    gateway.kill()


PROOF = Proof("kills", "kill -9 of the gateway, anywhere", "kills", full=1000, quick=10, run=run)

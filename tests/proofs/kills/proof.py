"""The gateway is killed with SIGKILL under load, at random instants and at every named point of its work.

    round: a broker, three gateways, a fleet each ─▶ killed in parallel, each by its own plan ─▶ settled ─▶ judged

Broken: the gateway, `count` times: in start-up, work, reload and shutdown (`ground/failpoints.py` has the points).
Rules change while it runs and between two starts. Some starts have other constants, as another version has, so that
windows close at other times and records have other sizes. Besides ordinary devices each fleet has stragglers, whose
readings come late, twice and out of order, so that corrections are always in progress.

Compared with the ledgers: every window in the history, and in InfluxDB for one gateway of a round; alerts, commands,
counters, the log.

Failures: anything lost, double or wrong; an alert lost or repeated; a command executed twice; a traceback; a gateway
that does not come back; no late reading to correct.
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
from tests.proofs.ground.sections import FAST_COMMANDS
from tests.proofs.kills.killing import HTTP, KillTarget, kill_plan
from tests.proofs.proof import Proof, Setting, Unavailable
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.influx import Influx

ROUND = 60
TARGETS = 3
LEAST_KILLS = 10
TIERS = (("2s", "base", "30d"), ("6s", "mid", "180d"), ("12s", "top", "2y"))
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
class TargetInField:
    """A gateway to be killed, with its fleet, its plan and its database."""

    target: KillTarget
    fleet: Fleet
    plan: Iterator[str]
    place: InfluxPlace | None


def run(setting: Setting) -> None:
    """Kill `count` times, in rounds of fresh gateways and fleets."""
    influx = _influx(setting)
    broker = setting.broker()
    pool = setting.keep(ThreadPoolExecutor(TARGETS))  # a gateway ends with the thread that started it
    not_reached: Counter[str] = Counter()
    while (left := setting.count - setting.findings.faults.total()) > 0:
        wanted = min(TARGETS, 1 + left // LEAST_KILLS)
        targets = [_target(setting, broker, influx if not number else None) for number in range(wanted)]
        not_reached += _round(setting, pool, targets, min(ROUND, left))
    setting.findings.measured["armed and not reached"] = not_reached.total()
    setting.findings.measured["points"] = len(setting.findings.faults)
    if not_reached:
        setting.say(
            "armed and not reached: " + ", ".join(f"{name} {n}" for name, n in not_reached.most_common())
        )


def _influx(setting: Setting) -> Influx | None:
    """Return a database to forward to; None for a sample, most of whose time starting it would take."""
    if setting.count < ROUND:
        return None
    try:
        return setting.influx()
    except Unavailable as error:
        setting.say(f"{error}; the points {', '.join(sorted(HTTP))} are not run")
        setting.findings.measured["without InfluxDB, not run"] = ", ".join(sorted(HTTP))
        return None


def _round(setting: Setting, pool: Executor, targets: Sequence[TargetInField], kills: int) -> Counter[str]:
    findings = setting.findings
    with ExitStack() as fleets:
        for one in targets:
            fleets.enter_context(one.fleet)
        shares = [kills // len(targets) + (number < kills % len(targets)) for number in range(len(targets))]
        done = [
            pool.submit(one.target.kill_repeatedly, one.plan, share)
            for one, share in zip(targets, shares, strict=True)
        ]
        killed = [future.result() for future in done]
    for one, what in zip(targets, killed, strict=True):
        findings.faults += what.kills
        findings.recoveries += what.recoveries
        _judge(setting, one)
    findings.runs += 1
    setting.say(
        f"{findings.faults.total():,} kills, {findings.acknowledged:,} readings, {findings.alerts:,} alerts: "
        f"lost {findings.lost}, double {findings.double}, wrong {findings.wrong}"
    )
    return sum((what.not_reached for what in killed), Counter())


def _target(setting: Setting, broker: Broker, influx: Influx | None) -> TargetInField:
    chance = random.Random(setting.rng.randrange(1 << 62))
    name = f"kill-{chance.randrange(1 << 32):08x}"
    site = f"{name}-site"
    gateway = setting.gateway(broker, name, **_sections(setting, influx))
    gateway.write_rules(RULES)
    gateway.start()
    text = scenario_text(site, devices=45, every="500ms", seed=chance.randrange(1 << 31))
    text = text.replace("phases:\n- {name: all}\n", STRAGGLERS.format(site=site, devices=15, every="500ms"))
    place = InfluxPlace(influx.url, influx.org, influx.token) if influx else None
    return TargetInField(
        KillTarget(gateway, chance),
        Fleet(broker, setting.place("run"), text),
        kill_plan(chance, http=influx is not None),
        place,
    )


def _sections(setting: Setting, influx: Influx | None) -> dict[str, Any]:
    buckets = [influx.fresh_bucket() if influx else name for _, name, _ in TIERS]
    windows = [
        {"every": every, "bucket": bucket, "keep": keep}
        for (every, _, keep), bucket in zip(TIERS, buckets, strict=True)
    ]
    forwarding = {"influx": setting.forwarding(influx)} if influx else {}
    return {"windows": windows, "commands": FAST_COMMANDS, **forwarding}


def _settled(setting: Setting, gateway: Gateway, ledger: Ledger) -> dict[str, Any]:
    """Return the report once nothing is pending; a gateway that never settles is judged as it is."""
    try:
        return wait_settled(gateway, ledger)
    except AssertionError:
        report: dict[str, Any] = gateway.ask(do="status")
        new, sent = report["messages"]["new"], messages_acknowledged(ledger)
        setting.findings.forbid("not settled", f"{gateway.directory}: {new} messages of {sent} acknowledged")
        return report


def _judge(setting: Setting, one: TargetInField) -> None:
    gateway, ledger = one.target.gateway, one.fleet.ledger
    report = _settled(setting, gateway, ledger)
    if one.place is not None:
        report = gateway.wait_for(forwarded)
    judge_all(setting.findings, gateway, ledger, report, one.place)
    if not report["values"]["late_merged"]:
        setting.findings.forbid("nothing came late", str(gateway.directory))
    gateway.kill()


PROOF = Proof("kills", "kill -9 of the gateway at any point", "kills", full=1000, quick=10, run=run)

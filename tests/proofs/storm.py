"""10,000 devices lose their connection and come back at once with their buffers.

    10,000 devices ──── all lost for 10 s, buffers fill ──── back at once ──▶ absorbed within 30 s
    100 others    ──── never lost, each goes over its limit every 5 s ─────▶ commands come as fast as before

Absorbed: every device is connected, nobody's buffer holds anything unsent, and the gateway has folded all of it.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from fleet_sim.judging.grade import send_times
from fleet_sim.ledger.reading import Ledger
from tests.proofs.ground.field import RULES, Fleet, wait_settled
from tests.proofs.ground.judging import judge_all
from tests.proofs.ground.memory import MB, Watch, most_resident
from tests.proofs.proof import Proof, Setting
from tests.servers.gateway import Gateway
from tests.servers.process import wait_until

FEWER, DEVICES, LIVE = 1_000, 10_000, 100
CALM, LOST = 6.0, 10
SHORT_CALM, SHORTLY_LOST = 2.0, 3
ABSORBED_WITHIN = 30.0
PATIENCE = 180.0
SLOWEST_LIVE_P95 = 1_000
MOST_TIMES_CALM = 5
"""A busy machine is slow in calm as well: both bounds must be passed."""
MOST_LAG = 1_000
WINDOWS = [
    {"every": "2s", "bucket": "base", "keep": "30d"},
    {"every": "4s", "bucket": "mid", "keep": "180d"},
]
COMMANDS = {"per_device": "600/m", "total": "1000/s"}
SCENARIO = """\
version: 1
name: storm
seed: {seed}
fleet:
  crowd:
    count: {devices}
    site: {site}
    id: "crowd-{{i:05d}}"
    interval: {{every: 5s, jitter: 20%}}
    offline: {{buffer: 500, drop: oldest, replay_rate: 50/s}}
    metrics:
      level: {{model: random_walk, start: [40, 60], step: 0.5}}
  live:
    count: {live}
    site: {site}
    id: "live-{{i:03d}}"
    interval: {{every: 500ms, jitter: 20%}}
    metrics:
      heat: {{model: sine, mean: 0, amplitude: 10, period: 5s, phase: [0, 1], noise: 0.1}}
    commands:
      "*": {{takes: {{mean: 10ms}}}}
phases:
- {{name: all, connect: 1000/s}}
"""


def run(setting: Setting) -> None:
    """Run `count` storms of one fleet, one after the other."""
    devices = FEWER if setting.quick else DEVICES
    broker = setting.broker()
    gateway = setting.gateway(broker, "gw-storm", windows=WINDOWS, commands=COMMANDS)
    gateway.write_rules(RULES)
    setting.findings.recoveries.append(gateway.start())
    seed = setting.rng.randrange(1 << 31)
    text = SCENARIO.format(seed=seed, devices=devices, live=LIVE, site="gw-storm-site")
    storms: list[tuple[float, float]] = []
    with (
        Watch(lambda: gateway.pid) as watch,
        Fleet(broker, setting.place("run"), text, settle=60.0) as fleet,
    ):
        calm = _rest(setting)
        for _ in range(setting.count):
            storms.append(_storm(setting, fleet, gateway, devices))
            _rest(setting)
    report = wait_settled(gateway, fleet.ledger)
    judge_all(setting.findings, gateway, fleet.ledger, report)
    _judge_latency(setting, fleet.ledger, calm, storms)
    setting.findings.measured |= {"devices": devices, "gateway_mb": round(most_resident(watch.samples) / MB)}
    setting.findings.runs += 1


def _rest(setting: Setting) -> tuple[float, float]:
    """Wait in calm; return start and end in seconds since 1970."""
    began = time.time()
    time.sleep(SHORT_CALM if setting.quick else CALM)
    return began, time.time()


def _storm(setting: Setting, fleet: Fleet, gateway: Gateway, devices: int) -> tuple[float, float]:
    """Disconnect all devices, let them come back, and wait until absorbed; return start and end."""
    findings = setting.findings
    findings.faults["devices cut"] += devices
    lost = SHORTLY_LOST if setting.quick else LOST
    fleet.do(lambda: fleet.run.disconnect({"type": "crowd"}, lost * 1000))
    wait_until(lambda: fleet.up() < LIVE + devices // 2, PATIENCE, "the devices are cut")
    wait_until(lambda: fleet.up() > LIVE, PATIENCE, "the first are back")
    began, back_at = time.time(), time.monotonic()
    wait_until(lambda: fleet.up() == LIVE + devices, PATIENCE, "all are back")
    connected = time.monotonic() - back_at
    wait_until(lambda: fleet.waiting() < devices // 100, PATIENCE, "the buffers are empty")
    gateway.wait_for(_caught_up, within=PATIENCE)
    took = time.monotonic() - back_at
    setting.say(f"{devices:,} devices back in {connected:.1f} s, absorbed in {took:.1f} s")
    findings.measured["absorbed_s"] = [*findings.measured.get("absorbed_s", []), round(took, 1)]
    if took > ABSORBED_WITHIN:
        findings.forbid("storm not absorbed", f"it took {took:.1f} s")
    return began, time.time()


def _caught_up(report: dict[str, Any]) -> bool:
    return bool(report["broker"]["caught_up"] and report["broker"]["lag"] < MOST_LAG)


def _judge_latency(
    setting: Setting, ledger: Ledger, calm: tuple[float, float], storms: list[tuple[float, float]]
) -> None:
    """Return the latencies from a reading to its command at the device (ms), in calm and in storms."""
    before = _latencies(ledger, [calm])
    during = _latencies(ledger, storms)
    if not len(before) or not len(during):
        setting.findings.forbid("nothing judged", f"{len(before)} commands in calm, {len(during)} in storms")
        return
    calm_p95, p95 = float(np.percentile(before, 95)), float(np.percentile(during, 95))
    setting.findings.measured |= {
        "calm_p50_ms": round(float(np.percentile(before, 50))),
        "calm_p95_ms": round(calm_p95),
        "storm_p50_ms": round(float(np.percentile(during, 50))),
        "storm_p95_ms": round(p95),
    }
    if p95 > max(SLOWEST_LIVE_P95, MOST_TIMES_CALM * calm_p95):
        setting.findings.forbid("live alerts slow in a storm", f"p95 {p95:.0f} ms")


def _latencies(ledger: Ledger, spans: list[tuple[float, float]]) -> list[float]:
    """Return the latencies (ms) of the commands that first arrived within the spans."""
    first: dict[tuple[int, str], dict[str, Any]] = {}
    for row in ledger.of_kind("command"):
        first.setdefault((row["device"], row["id"]), row)
    rows = [row for row in first.values() if row.get("boot") is not None]
    sent = send_times(ledger, [(row["device"], row["boot"], row["seq"]) for row in rows])
    return [
        (row["at"] - at) / 1000
        for row, at in zip(rows, sent, strict=True)
        if at is not None and any(begin <= at / 1e6 < end for begin, end in spans)
    ]


PROOF = Proof(
    "storm", "10,000 devices come back at once with their buffers", "storms", full=5, quick=1, run=run
)

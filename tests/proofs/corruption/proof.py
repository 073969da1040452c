"""The files of a stopped gateway are damaged: it starts, keeps what can be read, invents nothing, and reports the loss.

Broken, `count` times in all: spools of gateways killed under load, by random bytes, zeroed pages, truncation, a missing
file, a record that makes the fold raise, a newer format, or a read-only directory.

- Most damage is done to copies, which the product's own recovery opens in this process. Compared with what the intact
  spool holds: records, windows of the history, the last line for each point in InfluxDB.
- One of forty is done to a gateway at work, between a kill and its next start, with a fleet and a real InfluxDB.
  Compared with the ledger: every window in InfluxDB and in the history. One that is absent must be explained by a loss
  that the gateway reported: of the store after the window began, or of the state before it was stored.

Failures: recovery takes over 10 s (at work: 10 s longer than undamaged); a readable record is dropped; a window is
neither right nor absent; a line would overwrite a good point; a loss is not reported, or a damaged file not set aside;
a newer or read-only spool is opened, or changed by a single byte.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from edge_gateway.configuration.loading import load_config
from fleet_sim.cli.judging import influx_of_run
from fleet_sim.judging.stored import InfluxPlace, WindowKey, window_rows
from fleet_sim.judging.terms import Terms, gateway_terms
from fleet_sim.ledger.expected import Facts
from fleet_sim.ledger.reading import Ledger
from tests.proofs.corruption.damage import damage_applied, draw_kind
from tests.proofs.corruption.judging import UP_WITHIN, Judge, read_intact
from tests.proofs.corruption.presence import judge_windows, reported_losses, take_judged
from tests.proofs.ground.field import RULES, Fleet, forwarded, scenario_text, settled
from tests.proofs.ground.judging import judge_identities, judge_log
from tests.proofs.ground.sections import tiers
from tests.proofs.proof import Proof, Setting, Unavailable
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.influx import Influx
from tests.servers.process import wait_until

ALIVE_SHARE = 40
"""One damage of so many is done to a gateway at work."""
OF_ONE_SPOOL = 250
OF_ONE_LIFE = 10
MEMORY = Path("/dev/shm")
EVERY = ("2s", "4s", "12s")
NOWHERE = "http://127.0.0.1:9"
LEARNED, QUICK_LEARNED = 4.0, 1.5
"""Seconds of load between two damages of one gateway."""
PATIENCE = 90.0
ON_DISK = ("random bytes", "zeroed pages", "truncation", "missing file")


def run(setting: Setting) -> None:
    """Damage `count` times."""
    broker = setting.broker()
    alive = max(1, setting.count // ALIVE_SHARE)
    left = setting.count - alive
    while left > 0:
        many = min(OF_ONE_SPOOL, left)
        left -= many
        _inside(setting, broker, many)
    while alive > 0:
        many = min(OF_ONE_LIFE, alive)
        alive -= many
        _at_work(setting, broker, many)


# --- inside this process


def _inside(setting: Setting, broker: Broker, count: int) -> None:
    """Damage copies of one spool, one after the other."""
    gateway = _killed_under_load(setting, broker)
    config = load_config(gateway.config, environment={}).config
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None, prefix="corruption-") as name:
        scratch = Path(name)
        judge = Judge(read_intact(gateway.spool, config, scratch), scratch, setting.findings)
        for _ in range(count):
            judge.one(draw_kind(setting.rng), setting.rng.randrange(1 << 31))
    setting.findings.runs += 1
    slowest = max(setting.findings.recoveries, default=0.0)
    label = f"{setting.findings.faults.total()} damages, slowest recovery {slowest:.2f} s"
    setting.say(f"{label}, wrong {setting.findings.wrong}, forbidden {setting.findings.forbidden.total()}")


def _killed_under_load(setting: Setting, broker: Broker) -> Gateway:
    """Return a gateway without InfluxDB that was killed while readings arrived, some time after a checkpoint."""
    name = f"gw-rot-{setting.findings.runs}"
    token = setting.directory / "nowhere.token"
    token.write_text("none")
    token.chmod(0o600)
    gateway = setting.gateway(
        broker,
        name,
        windows=tiers(EVERY, ("base", "mid", "top")),
        influx={"url": NOWHERE, "org": "fleet", "token": f"file:{token}"},
    )
    gateway.write_rules(RULES)
    gateway.start()
    text = scenario_text(f"{name}-site", devices=30, every="500ms", seed=setting.rng.randrange(1 << 31))
    with Fleet(broker, setting.place("run"), text, settle=0):
        time.sleep(_learned(setting))
        gateway.stop()
        gateway.start()
        time.sleep(_learned(setting))
        gateway.kill()
    return gateway


def _learned(setting: Setting) -> float:
    return QUICK_LEARNED if setting.quick else LEARNED


# --- gateways at work


def _at_work(setting: Setting, broker: Broker, count: int) -> None:
    """Damage the spool of one gateway again and again, between a kill and the next start."""
    name = f"gw-alive-{setting.findings.runs}"
    try:
        influx = setting.influx()
    except Unavailable:
        influx = None
    buckets = tuple(influx.fresh_bucket() if influx else f"{name}-{number}" for number in range(3))
    sections = {"influx": setting.forwarding(influx)} if influx else {}
    gateway = setting.gateway(broker, name, windows=tiers(EVERY, buckets), **sections)
    gateway.write_rules(RULES)
    usual = _started(gateway)
    text = scenario_text(f"{name}-site", devices=40, every="500ms", seed=setting.rng.randrange(1 << 31))
    fleet = Fleet(broker, setting.place("run"), text)
    done: list[str] = []
    kills: list[int] = []
    with fleet:
        for _ in range(count):
            time.sleep(setting.rng.uniform(0.5, _learned(setting)))
            gateway.kill()
            kills.append(_now_ms())
            damage = damage_applied(gateway.spool, setting.rng.choice(ON_DISK), setting.rng)
            done.append(f"{damage.kind} in {damage.file}")
            setting.findings.faults[f"{damage.kind}, at work"] += 1
            took = _started(gateway) - usual
            setting.findings.recoveries.append(took)
            if took > UP_WITHIN:
                setting.findings.forbid(
                    "service not up in 10 s", f"{done[-1]}: {took:.1f} s more than without"
                )
        began = _now_ms()
        wait_until(
            lambda: _stored_since(gateway, began), PATIENCE, "a window from after the last damage is stored"
        )
    report = gateway.wait_for(settled, within=PATIENCE)
    judge_identities(setting.findings, report)
    judge_log(setting.findings, gateway)
    terms, ledger, label = gateway_terms(report), fleet.ledger, "; ".join(done)
    losses = list(reported_losses(gateway.log.read_text(errors="replace"), kills))
    for place, rows in _stored(gateway, influx, ledger, terms):
        take_judged(setting.findings, judge_windows(ledger, terms, rows, losses), f"{place} after {label}")
    gateway.kill()
    setting.findings.runs += 1
    setting.say(f"{len(done)} damages to a gateway at work, wrong {setting.findings.wrong}")


def _stored(
    gateway: Gateway, influx: Influx | None, ledger: Ledger, terms: Terms
) -> Iterator[tuple[str, dict[WindowKey, Facts]]]:
    """Yield the windows of the history, and those of InfluxDB once all have been sent."""
    yield "history", window_rows(gateway.query("windows"))
    if influx is not None:
        gateway.wait_for(forwarded, within=PATIENCE)
        yield "InfluxDB", influx_of_run(ledger, terms, InfluxPlace(influx.url, influx.org, influx.token))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _stored_since(gateway: Gateway, began: int) -> bool:
    """Whether the history has a window that began at or after that time (ms): damage may leave none from before."""
    return bool(gateway.query("windows", "--since", str(began), "--limit", "1"))


def _started(gateway: Gateway) -> float:
    """Return the seconds from the start to being subscribed."""
    started = time.monotonic()
    gateway.start(ready=False)
    gateway.wait_for(lambda report: report["broker"]["connected"])
    return time.monotonic() - started


PROOF = Proof(
    "corruption",
    "files of the spool are damaged while the gateway is stopped",
    "damages",
    full=2_000,
    quick=25,
    run=run,
)

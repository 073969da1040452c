"""What lies on the disk of a stopped gateway is damaged: random bytes, zeroed pages, truncation, a missing file, a
record that raises in the fold, a spool of a newer program, a directory that cannot be written.

Spools come from gateways killed under load. Most damage is judged inside this process, each on a fresh copy: the
product's own recovery must be done within 10 s; every record of the journal that can be read is kept; each window of
the history is what the sound spool has or is absent; of each point the last line that waits for InfluxDB is what the
sound spool would send; what cannot be read is set aside and told. A newer spool and one that cannot be written are
refused, and no byte of them changes.

A share is done to gateways at work, between a kill and the next start, with a fleet that goes on and a real InfluxDB.
Each is up at most 10 s later than without damage, and in the end every window in InfluxDB and in the history is right
or absent. What is absent lies in `sensor_partial` and `sensor_late`, or is named as lost.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_gateway.configuration.loading import load_config
from fleet_sim.cli.judging import influx_of_run
from fleet_sim.judging.stored import InfluxPlace, WindowKey, window_rows
from fleet_sim.judging.verify import Comparison, compare, gateway_terms
from fleet_sim.ledger.expected import Facts
from fleet_sim.ledger.reading import Ledger
from tests.proofs.corruption.damage import draw, spoil_committed
from tests.proofs.corruption.judging import UP_WITHIN, Judge, sound_of
from tests.proofs.ground.field import RULES, Fleet, forwarded, scenario_text, settled
from tests.proofs.ground.judging import judge_identities, judge_log
from tests.proofs.proof import Proof, Setting, Tally, Unavailable
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.process import wait_until

ALIVE_SHARE = 40
"""One of so many damages is done to a gateway at work."""
OF_ONE_SPOOL = 250
OF_ONE_LIFE = 10
MEMORY = Path("/dev/shm")
EVERY = ("2s", "4s", "12s")
NOWHERE = "http://127.0.0.1:9"
LEARNED, QUICK_LEARNED = 4.0, 1.5
"""Seconds of load between two damages of one life."""
PATIENCE = 90.0
NONE = Facts(count=0, sum=0.0, min=0.0, max=0.0, first=0.0, last=0.0)
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
        judge = Judge(sound_of(gateway.spool, config, scratch), scratch, setting.tally)
        for _ in range(count):
            judge.one(draw(setting.rng), setting.rng.randrange(1 << 31))
    setting.tally.runs += 1
    slowest = max(setting.tally.recoveries, default=0.0)
    told = f"{setting.tally.faults.total()} damages, slowest recovery {slowest:.2f} s"
    setting.say(f"{told}, wrong {setting.tally.wrong}, forbidden {setting.tally.forbidden.total()}")


def _killed_under_load(setting: Setting, broker: Broker) -> Gateway:
    """Leave the spool of a gateway without InfluxDB, killed while readings arrive, some time after a checkpoint."""
    name = f"gw-rot-{setting.tally.runs}"
    token = setting.directory / "nowhere.token"
    token.write_text("none")
    token.chmod(0o600)
    gateway = setting.gateway(
        broker,
        name,
        windows=_windows(("base", "mid", "top")),
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


def _windows(buckets: tuple[str, ...]) -> list[dict[str, str]]:
    return [
        {"every": every, "bucket": bucket, "keep": "30d"}
        for every, bucket in zip(EVERY, buckets, strict=True)
    ]


# --- gateways at work


def _at_work(setting: Setting, broker: Broker, count: int) -> None:
    """Damage the spool of one gateway again and again, between a kill and the next start."""
    name = f"gw-alive-{setting.tally.runs}"
    try:
        influx = setting.influx()
    except Unavailable:
        influx = None
    buckets = tuple(influx.fresh_bucket() if influx else f"{name}-{number}" for number in range(3))
    sections = {"influx": setting.forwarding(influx)} if influx else {}
    gateway = setting.gateway(broker, name, windows=_windows(buckets), **sections)
    gateway.write_rules(RULES)
    usual = _started(gateway)
    text = scenario_text(f"{name}-site", devices=40, every="500ms", seed=setting.rng.randrange(1 << 31))
    fleet = Fleet(broker, setting.place("run"), text)
    done: list[str] = []
    with fleet:
        for _ in range(count):
            time.sleep(setting.rng.uniform(0.5, _learned(setting)))
            gateway.kill()
            damage = spoil_committed(gateway.spool, setting.rng.choice(ON_DISK), setting.rng)
            done.append(f"{damage.kind} in {damage.file}")
            setting.tally.faults[f"{damage.kind}, at work"] += 1
            took = _started(gateway) - usual
            setting.tally.recoveries.append(took)
            if took > UP_WITHIN:
                setting.tally.forbid("service not up in 10 s", f"{done[-1]}: {took:.1f} s more than without")
        began = int(time.time() * 1_000)
        wait_until(
            lambda: _stored_since(gateway, began), PATIENCE, "a window from after the last damage is stored"
        )
    report = gateway.wait_for(settled, within=PATIENCE)
    ledger = fleet.ledger
    judge_identities(setting.tally, report)
    judge_log(setting.tally, gateway)
    told = "; ".join(done)
    judge_present(
        setting.tally, ledger, report, window_rows(gateway.query("windows")), f"history after {told}"
    )
    if influx is not None:
        gateway.wait_for(forwarded, within=PATIENCE)
        place = InfluxPlace(influx.url, influx.org, influx.token)
        rows = influx_of_run(ledger, gateway_terms(report), place)
        judge_present(setting.tally, ledger, report, rows, f"InfluxDB after {told}")
    gateway.kill()
    setting.tally.runs += 1
    setting.say(f"{len(done)} damages to a gateway at work, wrong {setting.tally.wrong}")


def _stored_since(gateway: Gateway, began: int) -> bool:
    """Whether the history has a window that began at or after that time (ms): damage may leave none from before."""
    return bool(gateway.query("windows", "--since", str(began), "--limit", "1"))


def _started(gateway: Gateway) -> float:
    """Return the seconds from the start to being subscribed."""
    started = time.monotonic()
    gateway.start(ready=False)
    gateway.wait_for(lambda report: report["broker"]["connected"])
    return time.monotonic() - started


def judge_present(
    tally: Tally,
    ledger: Ledger,
    report: Mapping[str, Any],
    rows: dict[WindowKey, Facts],
    told: str,
) -> Comparison:
    """Check that every window present equals the ledger's, and count the missing ones."""
    terms = gateway_terms(report)
    found = compare(ledger, terms, rows, told)
    # With impossible facts in place of all that is there, what is wrong beyond that is what is absent.
    noted = _Noting(dict.fromkeys(rows, NONE))
    absent = compare(ledger, terms, noted, told).wrong - noted.hits
    wrong = found.wrong - absent
    tally.windows += found.windows
    tally.acknowledged += found.readings
    tally.double += found.double
    tally.wrong += wrong
    tally.measured["absent windows"] = tally.measured.get("absent windows", 0) + absent
    if wrong or found.double:
        for example in found.examples:
            if example.stored is not None:
                tally.show(f"{told}: {example}")
    if not rows:
        tally.forbid("nothing judged", told)
    return found


class _Noting(dict[WindowKey, Facts]):
    """Windows of which each look-up that finds one is counted."""

    hits = 0

    def get(self, key: WindowKey, default: Any = None) -> Any:
        found = super().get(key, default)
        self.hits += found is not None
        return found


PROOF = Proof("corruption", "what lies on the disk is damaged", "damages", full=2_000, quick=25, run=run)

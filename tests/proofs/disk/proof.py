"""The disk fills at every write in turn, stays full under load, and is freed: nothing is lost, and work resumes.

Broken, `count` times in all:

- nine of ten: a gateway in this process, on a model of a disk that is full from its n-th write on, for each n of a
  recorded run (see `full_inside`); every second time SQLite's file cannot grow either.
- one of ten: a gateway as a process, on a small file system that is really filled at random instants while a fleet
  sends; some gateways are killed and started on the full disk.

Compared: what was sent, or the fleet's ledger, with the history.

Failures: anything lost, double or wrong; no alarm in the status or at the broker; anything acknowledged that a kill
would lose; no checkpoint from the reserve; not working again within a minute after the disk is freed; a watchdog that
starves, since a full disk is no hang.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, Final

import aiomqtt

from fleet_wire.topics import GATEWAY_SUBJECT, NO_SITE, alert_topic
from tests.proofs.disk.full_disk import MIB, fill, small_disk
from tests.proofs.disk.full_inside import FullDiskRun, live
from tests.proofs.ground.field import RULES, Fleet, scenario_text, wait_settled
from tests.proofs.ground.judging import judge_all
from tests.proofs.ground.sections import FAST_COMMANDS
from tests.proofs.ground.service import Service
from tests.proofs.proof import Findings, Proof, Setting
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway

OUTSIDE: Final = 10
"""One filling of so many is of a real disk."""
ROUND: Final = 10
SIZE: Final = 112 * MIB
DEADLINE: Final = 20.0
WITHIN: Final = 60.0
CHECKPOINT_WITHIN: Final = 15.0
RETAINED: Final = 30.0


def run(setting: Setting) -> None:
    """Fill disks `count` times."""
    outside = max(1, setting.count // OUTSIDE)
    while outside:
        fills = min(ROUND, outside)
        outside -= fills
        _round(setting, fills)
    _model_fillings(setting, setting.count - setting.findings.faults.total())


# --- a gateway in this process


def _model_fillings(setting: Setting, count: int) -> None:
    """Fill the disk at each write of a recorded run, in random order, repeatedly until there are `count`."""
    findings = setting.findings
    writes = len(asyncio.run(live(setting.place("recorded"), None)).calls)
    order: list[int] = []
    covered: set[int] = set()
    for number in range(count):
        order = order or setting.rng.sample(range(1, writes + 1), writes)
        nth = order.pop()
        found = asyncio.run(live(setting.place("within"), nth, store_too=bool(number % 2)))
        if len(found.calls) >= nth:
            covered.add(nth)
            findings.faults[f"at a {found.calls[nth - 1]}"] += 1
        else:
            findings.faults["at none: it wrote less"] += 1
        count_run(findings, found, nth)
        if number % 50 == 49:
            setting.say(
                f"{findings.faults.total()} fillings, {len(covered)} of {writes} writes, lost {findings.lost}"
            )
    findings.runs += count
    findings.measured["writes of a run"] = writes
    findings.measured["writes filled at"] = len(covered)


def count_run(findings: Findings, found: FullDiskRun, nth: int) -> None:
    """Add what became of one run, whose disk was full from its `nth` write on."""
    findings.acknowledged += found.acknowledged
    findings.windows += found.windows
    findings.lost += found.lost
    findings.double += found.double
    findings.wrong += found.wrong
    if found.lost or found.double or found.wrong:
        findings.show(
            f"full from write {nth} on: lost {found.lost}, double {found.double}, wrong {found.wrong}"
        )
    for what, example in found.forbidden:
        findings.forbid(what, f"full from write {nth} on: {example}")
    if found.resumed_in is not None:
        findings.recoveries.append(found.resumed_in)


# --- a gateway as a process


def _round(setting: Setting, fills: int) -> None:
    findings = setting.findings
    broker = setting.broker()
    name = f"gw-disk-{findings.runs}"
    disk = setting.keep(small_disk(setting.place("disk"), SIZE))
    spool = {"path": str(disk / "spool"), "commit_interval": "50ms"}
    gateway = setting.gateway(broker, name, commands=FAST_COMMANDS, spool=spool)
    gateway.spool = disk / "spool"
    gateway.write_rules(RULES)
    seed = setting.rng.randrange(1 << 31)
    text = scenario_text(f"{name}-site", devices=100, every="500ms", seed=seed)
    with Service(gateway, DEADLINE, ready_within=3 * WITHIN) as service:
        service.start()
        fleet = Fleet(broker, setting.place("run"), text)
        with fleet:
            for _ in range(fills):
                time.sleep(setting.rng.uniform(0.3, 2.0))
                _fill_once(setting, broker, service, disk)
                if service.starved():
                    findings.forbid("killed by the watchdog", "a full disk is no hang")
                    service.start()
        report = wait_settled(gateway, fleet.ledger)
        judge_all(findings, gateway, fleet.ledger, report)
        gateway.kill()
    findings.runs += 1
    setting.say(
        f"{findings.faults.total()} fillings of a real disk, {findings.acknowledged:,} readings, lost {findings.lost}"
    )


def _fill_once(setting: Setting, broker: Broker, service: Service, disk: Path) -> None:
    """Fill the disk, keep it full, perhaps restart the gateway meanwhile, and free it."""
    findings, gateway, rng = setting.findings, service.gateway, setting.rng
    before = gateway.ask(do="status")["spool"]["checkpoint"]
    ballast = [fill(disk)]
    try:
        gateway.wait_for(disk_is_full, within=WITHIN)
        _judge_alarm(findings, broker, gateway, stands=True)
        if rng.random() < 0.5:
            ballast.append(fill(disk, "more"))
            findings.faults["real disk, reserve and all"] += 1
        else:
            _judge_checkpoint(findings, gateway, before)
            findings.faults["real disk"] += 1
        time.sleep(rng.uniform(0.2, 2.0))
        if rng.random() < 0.3:
            gateway.kill()
            service.start(ready=False)
            time.sleep(rng.uniform(1.0, 3.0))
            findings.faults["killed while full"] += 1
    except AssertionError as error:
        findings.forbid("no alarm", str(error)[:500])
    for file in ballast:
        file.unlink()
    freed = time.monotonic()
    try:
        gateway.wait_for(works_normally, within=WITHIN)
        findings.recoveries.append(time.monotonic() - freed)
        _judge_alarm(findings, broker, gateway, stands=False)
    except AssertionError as error:
        findings.forbid("did not go on by itself", str(error)[:500])


def disk_is_full(report: dict[str, Any]) -> bool:
    """Whether the gateway reports that the disk is full."""
    return any(one["code"] == "disk" for one in report["problems"])


def works_normally(report: dict[str, Any]) -> bool:
    """Whether the gateway is connected and has no problem."""
    return bool(report["broker"]["connected"] and not report["problems"])


def _judge_checkpoint(findings: Findings, gateway: Gateway, before: int) -> None:
    """Check that with the reserve released a checkpoint is written although the disk is full."""
    try:
        gateway.wait_for(lambda report: report["spool"]["checkpoint"] > before, within=CHECKPOINT_WITHIN)
    except AssertionError as error:
        findings.forbid("no checkpoint from the reserve", str(error)[-500:])


def _judge_alarm(findings: Findings, broker: Broker, gateway: Gateway, *, stands: bool) -> None:
    """Check that the gateway's own alert is retained at the broker as long as the problem lasts."""
    name = gateway.ask(do="status")["gateway"]
    topic = alert_topic(name, NO_SITE, GATEWAY_SUBJECT, "disk")
    if asyncio.run(_retained(broker, topic, stands=stands)) != stands:
        findings.forbid("alarm not at the broker" if stands else "alarm stands for ever", topic)


async def _retained(broker: Broker, topic: str, *, stands: bool) -> bool:
    """Whether the broker retains a message there; wait a while for `stands` to come true."""
    end = time.monotonic() + RETAINED
    while True:
        async with aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5) as client:
            await client.subscribe(topic, qos=1)
            found = False
            try:
                async with asyncio.timeout(0.5):
                    async for message in client.messages:
                        found = bool(message.payload)
                        break
            except TimeoutError:
                found = False
        if found == stands or time.monotonic() > end:
            return found


PROOF = Proof(
    "disk",
    "the disk fills at every write, stays full under load, is freed",
    "fillings",
    full=300,
    quick=10,
    run=run,
)

"""Mosquitto is killed and restarted under load, with and without a saved database, and with a damaged one.

Broken, `count` times in all, under load:

    separate:  a broker with the shipped limits: killed, restarted, killed after a save; some gateways killed too
    embedded:  the gateway's own broker: killed, killed after a save, its mosquitto.db truncated or zeroed

Compared end to end with the ledgers: every value a device has a PUBACK for must be in its window, even if the broker
lost it: no receipt covers it, so the device resends it from its buffer. Windows, commands and counters are compared.
Resent readings arrive late, so alerts are not counted, only checked for repetitions.

Failures: anything lost, double or wrong; an alert that fires twice under one id; a fleet that is not back within 60 s.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from tests.proofs.ground.field import RULES, Address, Fleet, scenario_text, wait_settled
from tests.proofs.ground.judging import (
    judge_alerts,
    judge_commands,
    judge_devices,
    judge_history,
    judge_identities,
    judge_log,
)
from tests.proofs.ground.sections import FAST_COMMANDS
from tests.proofs.proof import Proof, Setting
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.process import accepts, free_port, wait_until

ROUND: Final = 24
TIERS = (("2s", "base", "30d"), ("6s", "mid", "180d"), ("12s", "top", "2y"))
BACK_WITHIN: Final = 60.0
SETTLE: Final = 90.0
HEADER: Final = 24


class BrokerUnderTest(Protocol):
    """A broker that faults are injected into; `inject` returns when the broker runs again."""

    @property
    def gateway(self) -> Gateway: ...
    @property
    def address(self) -> Address: ...
    @property
    def site(self) -> str: ...
    @property
    def faults(self) -> Sequence[str]: ...
    def start(self) -> None: ...
    def inject(self, fault: str, rng: random.Random) -> None: ...


SEPARATE_FAULTS: Final = (
    *("kill", "kill, gateway dead"),
    *("kill after a save", "kill after a save, gateway dead"),
    *("restart", "restart, gateway dead"),
)
EMBEDDED_FAULTS: Final = (
    *("embedded: kill", "embedded: kill after a save"),
    *(
        "mosquitto.db cut off",
        "mosquitto.db zeroed",
        "mosquitto.db, zeros at its end",
        "mosquitto.db, zeros in it",
    ),
)


@dataclass(frozen=True, slots=True)
class SeparateBroker:
    """A broker beside the gateway, with the limits that the product ships."""

    address: Broker
    gateway: Gateway
    site: str
    faults: Sequence[str] = SEPARATE_FAULTS

    def start(self) -> None:
        self.gateway.start()

    def inject(self, fault: str, rng: random.Random) -> None:
        dead = fault.endswith("gateway dead")
        if "save" in fault:
            save_database(self.address.pid, self.address.database)
            time.sleep(rng.uniform(0, 0.5))
        if dead:
            self.gateway.kill()
            time.sleep(rng.uniform(0, 1.0))
        self.address.restart(kill=not fault.startswith("restart"))
        if dead:
            self.gateway.start()


@dataclass(frozen=True, slots=True)
class LocalAddress:
    """The address of a broker on this machine."""

    port: int
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class EmbeddedBroker:
    """The gateway's own broker: the gateway restarts it, and moves an unreadable database aside."""

    address: LocalAddress
    gateway: Gateway
    site: str
    faults: Sequence[str] = EMBEDDED_FAULTS

    def start(self) -> None:
        self.gateway.start(embedded=True)

    def inject(self, fault: str, rng: random.Random) -> None:
        pid = child_of(self.gateway.pid, "mosquitto")
        database = self.gateway.spool / "broker" / "mosquitto.db"
        if fault != "embedded: kill":
            save_database(pid, database)
        if fault.startswith("mosquitto.db"):
            damage(database, fault, rng)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), BACK_WITHIN, "the broker is dead")
        wait_until(
            lambda: accepts(self.address.host, self.address.port),
            BACK_WITHIN,
            "the gateway has started its broker again",
        )


def child_of(parent: int, name: str) -> int:
    """Return the process id of a child by its program's name."""
    for line in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, _, rest = line.read_text().partition(" (")
        except OSError:
            continue
        program, _, facts = rest.rpartition(") ")
        if program == name and int(facts.split()[1]) == parent:
            return int(pid)
    raise AssertionError(f"process {parent} has no child {name}")


def save_database(pid: int, database: Path) -> None:
    """Make Mosquitto save its database, as it does every five minutes, and wait for that."""
    before = file_version(database)
    os.kill(pid, signal.SIGUSR1)
    wait_until(
        lambda: file_version(database) not in {before, (0, 0)}, BACK_WITHIN, f"{database} is save_database"
    )


def file_version(path: Path) -> tuple[int, int]:
    """Return inode and modification time, which change when a file is replaced; (0, 0) if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns


def damage(database: Path, how: str, rng: random.Random) -> None:
    """Truncate a file or zero parts of it, as a power cut can."""
    data = bytearray(database.read_bytes())
    place = rng.randrange(HEADER, len(data))
    if how.endswith("cut off"):
        del data[place:]
    elif how.endswith("zeroed"):
        data[:] = bytes(len(data))
    else:
        end = len(data) if how.endswith("at its end") else min(len(data), place + 4096)
        data[place:end] = bytes(end - place)
    database.write_bytes(data)


@dataclass(slots=True)
class Injected:
    """The faults injected into one broker, and the seconds until its fleet was back after each."""

    faults: Counter[str] = field(default_factory=Counter)
    back: list[float] = field(default_factory=list)


def run(setting: Setting) -> None:
    """Break brokers `count` times, in rounds of two fresh ones."""
    pool = setting.keep(ThreadPoolExecutor(2))  # a gateway ends with the thread that started it
    while (left := setting.count - setting.findings.faults.total()) > 0:
        faults = min(ROUND, left)
        halves = (faults - faults // 2, faults // 2)
        lanes = [(_separate, halves[0]), (_embedded, halves[1])]
        seeds = [setting.rng.randrange(1 << 62) for _ in lanes]
        places = [setting.place("run") for _ in lanes]
        made = [make(setting, random.Random(seed)) for (make, _), seed in zip(lanes, seeds, strict=True)]
        done = [
            pool.submit(_inject_faults, broker, place, random.Random(seed), count)
            for broker, place, seed, (_, count) in zip(made, places, seeds, lanes, strict=True)
        ]
        for broker, future in zip(made, done, strict=True):
            fleet, what = future.result()
            setting.findings.faults += what.faults
            setting.findings.recoveries += what.back
            _judge(setting, broker.gateway, fleet)
        setting.findings.runs += 1
        setting.say(f"{setting.findings.faults.total()} faults, {setting.findings.in_short()}")


def _separate(setting: Setting, rng: random.Random) -> BrokerUnderTest:
    broker = setting.broker()
    name = f"own-{rng.randrange(1 << 32):08x}"
    return SeparateBroker(broker, _gateway(setting, broker.url, name), f"{name}-site")


def _embedded(setting: Setting, rng: random.Random) -> BrokerUnderTest:
    port = free_port()
    name = f"embedded-{rng.randrange(1 << 32):08x}"
    return EmbeddedBroker(
        LocalAddress(port), _gateway(setting, f"mqtt://127.0.0.1:{port}", name), f"{name}-site"
    )


def _gateway(setting: Setting, url: str, name: str) -> Gateway:
    windows = [{"every": every, "bucket": bucket, "keep": keep} for every, bucket, keep in TIERS]
    gateway = setting.gateway(url, name, windows=windows, commands=FAST_COMMANDS)
    gateway.write_rules(RULES)
    return gateway


def _inject_faults(
    broker: BrokerUnderTest, place: Path, rng: random.Random, count: int
) -> tuple[Fleet, Injected]:
    """Break the broker `count` times under load, waiting each time until the fleet is back."""
    done = Injected()
    draw = _draw_in_turn(broker.faults, rng)
    broker.start()
    text = scenario_text(broker.site, devices=80, every="500ms", seed=rng.randrange(1 << 31))
    with Fleet(broker.address, place, text, settle=SETTLE) as fleet:
        for _ in range(count):
            fault = draw()
            time.sleep(rng.uniform(0.3, 1.5))
            broker.inject(fault, rng)
            done.back.append(_until_back(fleet, fault))
            done.faults[fault] += 1
    return fleet, done


def _until_back(fleet: Fleet, fault: str) -> float:
    """Wait until the whole fleet is connected again; return the seconds."""
    before, begun = fleet.seen, time.monotonic()
    wait_until(
        lambda: fleet.seen is not before and fleet.all_up(), BACK_WITHIN, f"the fleet is back after: {fault}"
    )
    return time.monotonic() - begun


def _draw_in_turn(faults: Sequence[str], rng: random.Random) -> Callable[[], str]:
    left: list[str] = []

    def draw() -> str:
        if not left:
            left.extend(rng.sample(faults, len(faults)))
        return left.pop()

    return draw


def _judge(setting: Setting, gateway: Gateway, fleet: Fleet) -> None:
    findings, ledger = setting.findings, fleet.ledger
    report = wait_settled(gateway, ledger)
    judge_identities(findings, report)
    judge_devices(findings, gateway)
    judge_history(findings, gateway, ledger, report)
    judge_alerts(findings, gateway.query("alerts"))
    judge_commands(findings, gateway.query("commands"), ledger)
    judge_log(findings, gateway)
    gateway.kill()


PROOF = Proof(
    "broker", "Mosquitto is killed, its database damaged", "broker faults", full=100, quick=6, run=run
)

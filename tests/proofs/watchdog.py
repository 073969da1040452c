"""Each part that must make progress is blocked: the gateway stops feeding its watchdog, is killed, and loses nothing.

    gateway under a service manager ─▶ load ─▶ a part blocks ─▶ fed for at most one deadline more ─▶ kill -9 ─▶ start

Broken: the event loop, the writer thread, the commit (in its fdatasync), the task that ticks the rules, the store's
thread, and the replay of a start, each blocked for ever, `count` times in all. In addition one gateway loses its broker
for longer than the deadline, which is no hang. The proof takes the part of systemd (`ground/service.py`).

Compared with the ledgers: windows, alerts, commands and counters after the restart.

Failures: feeding the watchdog for longer than one deadline after the block; not being killed; being killed before the
block, or because the broker is away; anything lost, double or wrong.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from tests.proofs.ground.field import RULES, Fleet, scenario_text, wait_settled
from tests.proofs.ground.judging import judge_all, judge_history, judge_identities, judge_log
from tests.proofs.ground.sabotaged import Sabotage
from tests.proofs.ground.sections import FAST_COMMANDS
from tests.proofs.ground.service import Service
from tests.proofs.proof import Findings, Proof, Setting
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.process import wait_until

DEADLINE: Final = 4.0
READY_WITHIN: Final = 60.0
"""TimeoutStartSec; a busy machine needs half of it to load the program."""
DEVICES: Final = 40
FOREVER: Final = "block:3600"
BLOCKED_WITHIN: Final = 90.0
PARTS: Final = {
    "event loop": ("tick", 30),
    "writer thread": ("writer", 20),
    "commit": ("written", 20),
    "rules tick": ("tick-wait", 30),
    "store's thread": ("store-thread", 10),
    "replay": ("replaying", 3),
}
"""What is blocked: its point, and the highest number of the call that blocks."""
BROKER_AWAY: Final = "broker away"


@dataclass(slots=True)
class Case:
    """One gateway with its fleet, and what happened to it."""

    part: str
    nth: int
    gateway: Gateway
    fleet: Fleet
    broker: Broker
    fed_for: float = 0.0
    killed_after: float = 0.0
    recoveries: list[float] = field(default_factory=list)
    forbidden: list[tuple[str, str]] = field(default_factory=list)

    def play(self) -> None:
        """Run the case; the fleet has stopped when this returns."""
        with Service(self.gateway, DEADLINE, ready_within=READY_WITHIN) as service:
            self.recoveries.append(service.start())
            with self.fleet:
                if self.part == BROKER_AWAY:
                    self._without_broker(service)
                else:
                    self._blocked(service)

    def _blocked(self, service: Service) -> None:
        point, _ = PARTS[self.part]
        self.gateway.wait_for(lambda report: report["messages"]["new"] > DEVICES)
        self.gateway.kill()
        service.start(ready=False, sabotage=Sabotage(point, self.nth, FOREVER))
        blocked_at = self._until_blocked(service)
        if blocked_at is None:
            self.gateway.kill()
            service.start()
            return
        wait_until(service.starved, BLOCKED_WITHIN, f"the watchdog kills a gateway whose {self.part} hangs")
        self.killed_after = time.monotonic() - blocked_at
        self.fed_for = max(0.0, service.notifications.fed - blocked_at)
        if self.fed_for > DEADLINE:
            self.forbidden.append(("fed while blocked", f"{self.part}: for {self.fed_for:.1f} s"))
        self.recoveries.append(service.start())

    def _until_blocked(self, service: Service) -> float | None:
        """Return when the part was blocked; None if the gateway was killed before."""
        end = time.monotonic() + BLOCKED_WITHIN
        while "sabotaged: " not in self.gateway.words():
            if service.starved():
                self.forbidden.append(("killed without cause", f"before its {self.part} was blocked"))
                return None
            if time.monotonic() > end:
                self.forbidden.append(("never blocked", f"{self.part}, call {self.nth}"))
                return None
            time.sleep(0.02)
        return time.monotonic()

    def _without_broker(self, service: Service) -> None:
        self.broker.kill()
        end = time.monotonic() + 2 * DEADLINE
        while time.monotonic() < end:
            if service.starved():
                self.forbidden.append(("killed without cause", "the broker was away"))
                self.recoveries.append(service.start(ready=False) or 0.0)
            time.sleep(0.02)
        self.broker.start()
        self.gateway.wait_for(lambda report: bool(report["broker"]["connected"]))
        wait_until(self.fleet.all_up, BLOCKED_WITHIN, "the fleet is back")


def run(setting: Setting) -> None:
    """Block the parts in turn, `count` times in all, one of each at the same time."""
    broker = setting.broker()
    left = setting.count
    while left:
        parts = list(PARTS)[: min(left, len(PARTS))]
        left -= len(parts)
        cases = [_case(setting, broker, part) for part in parts]
        if not setting.findings.runs:
            cases.append(_case(setting, setting.broker(), BROKER_AWAY))
        with ThreadPoolExecutor(len(cases)) as threads:  # a gateway ends with the thread that started it
            for done in [threads.submit(case.play) for case in cases]:
                done.result()
            for case in cases:
                judge(setting.findings, case)
        setting.findings.runs += 1
        slowest = max(case.fed_for for case in cases)
        setting.say(f"{setting.findings.faults.total()} blocked; fed for at most {slowest:.1f} s more")


def _case(setting: Setting, broker: Broker, part: str) -> Case:
    name = f"gw-watchdog-{setting.findings.runs}-{part.partition(' ')[0].partition(chr(39))[0]}"
    gateway = setting.gateway(broker, name, commands=FAST_COMMANDS)
    gateway.write_rules(RULES)
    seed = setting.rng.randrange(1 << 31)
    text = scenario_text(f"{name}-site", devices=DEVICES, every="1s", seed=seed)
    nth = setting.rng.randint(1, PARTS[part][1]) if part in PARTS else 0
    return Case(part, nth, gateway, Fleet(broker, setting.place("run"), text), broker)


def judge(findings: Findings, case: Case) -> None:
    """Add what a case found, and compare what is stored in the end."""
    findings.faults[case.part] += 1
    findings.recoveries += case.recoveries[1:]
    for what, example in case.forbidden:
        findings.forbid(what, example)
    for name, value in (("fed_for_s", case.fed_for), ("killed_after_s", case.killed_after)):
        findings.measured[name] = round(max(value, findings.measured.get(name, 0.0)), 1)
    gateway, ledger = case.gateway, case.fleet.ledger
    report = wait_settled(gateway, ledger)
    if case.part == BROKER_AWAY:  # buffered readings arrive after live ones, so alerts cannot be judged
        judge_identities(findings, report)
        judge_history(findings, gateway, ledger, report)
        judge_log(findings, gateway)
    else:
        judge_all(findings, gateway, ledger, report)
    case.gateway.kill()


PROOF = Proof(
    "watchdog",
    "each part is blocked: the watchdog starves, the gateway is killed and comes back",
    "blocks",
    full=120,
    quick=5,
    run=run,
)

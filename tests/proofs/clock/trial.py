"""One gateway with a misfortune of its clock, and a fleet with clocks of every kind; judged by true time.

readings ─▶ misfortune, a reboot, a buffer from offline ─▶ all hot, one silent ─▶ all cold ─▶ clock right ─▶ judged
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tests.proofs.clock.devices import COLD, HOT, Device, fleet
from tests.proofs.clock.judging import Answers, Judge, clock_problems
from tests.proofs.clock.machines import HOUR, MINUTE, RIGHT, Machine, Misfortune
from tests.proofs.ground.field import settled
from tests.proofs.ground.judging import judge_identities, judge_log
from tests.proofs.ground.raw_client import RawClient
from tests.proofs.proof import Setting
from tests.servers.broker import Broker

ROUND_S = 0.25
RULES = """\
version: 1
groups:
- name: clock
  rules:
  - {alert: Hot, expr: heat, above: 50, clear: 40, severity: critical}
  - {alert: Silent, no_data: {after: 6s, metric: heat, severity: warning}}
"""


class Trial:
    """One gateway and its fleet."""

    def __init__(self, setting: Setting, broker: Broker, misfortune: Misfortune, seed: int) -> None:
        self.misfortune = misfortune
        self.chance = random.Random(seed)
        self.findings = setting.findings
        name = f"gw-clock-{seed}"
        self.gateway = setting.gateway(
            broker.url,
            name,
            windows=[{"every": "2s", "bucket": "telemetry", "keep": "30d"}],
            gateway={"id": name, "sites": [f"{name}-site"]},
            time={"allowed_lateness": "1s", "idle_close": "2s"},
            influx={"url": "http://127.0.0.1:9", "org": "edge", "token": "env:HOME"},
        )
        self.gateway.write_rules(RULES)
        self.machine = Machine(self.gateway, self.gateway.directory / "clock.json")
        self.all = fleet(f"{name}-site", self.chance)
        self.by_kind = {device.kind: device for device in self.all}
        self.client = RawClient(broker.host, broker.port, f"devices-{seed}")

    def run(self) -> list[str]:
        """Play and judge; return a sentence for each broken promise."""
        self.machine.set(self.misfortune.at_start)
        self.machine.start()
        with self.client:
            self._play()
            with self._still_sending():
                during = self._await(lambda said: bool(clock_problems(said)) or not self.misfortune.wrong, 20)
                alerts = self.gateway.query("alerts")
            self.machine.set(RIGHT)
            report = self._wait_settled()
        after = self._await(lambda said: not clock_problems(said), 30)
        judge = Judge(self.misfortune, self.all, self.machine.clocks)
        judge.judge_problems(during, after)
        windows, quarantine = self.gateway.query("windows"), self.gateway.query("quarantine")
        wrong = judge.judge(Answers(windows, alerts, quarantine, report))
        self.findings.acknowledged += self._sent()
        judge_identities(self.findings, report)
        judge_log(self.findings, self.gateway)
        self.gateway.kill()
        return [f"{self.misfortune.name}: {sentence}" for sentence in wrong]

    def _await(self, holds: Callable[[dict[str, Any]], bool], within: float) -> dict[str, Any]:
        """Return the first status for which `holds` is true; if there is none for `within` seconds, the newest."""
        with suppress(AssertionError):
            return self.gateway.wait_for(holds, within)
        return self.gateway.wait_for(lambda _: True)

    # --- playing

    def _play(self) -> None:
        offline, reboots = self.by_kind["backlog"], self.by_kind["reboots behind"]
        sleeper = self.by_kind["falls silent"]
        self._publish(device.birth() for device in self.all)
        self._send(8)
        for _ in range(8):
            offline.keep(HOT)
            self._send(1, without=[offline])
        happening = threading.Thread(target=self.misfortune.happens, args=(self.machine, self.chance))
        happening.start()
        assert reboots.clock is not None
        reboots.clock -= self.chance.choice((4 * MINUTE, HOUR))
        backlog = offline.backlog()
        self._publish([offline.birth(), reboots.birth()])
        self._send(8)
        self._publish(backlog)
        while happening.is_alive():
            self._send(4)
        happening.join()
        self._send(8)
        self._send(24, HOT, without=[sleeper])
        self._send(24, COLD, without=[sleeper])
        self._send(8)

    def _send(self, rounds: int, heat: float = COLD, without: Iterable[Device] = ()) -> None:
        """Let every device send a reading each quarter of a second."""
        left_out = {device.name for device in without}
        for _ in range(rounds):
            begun = time.monotonic()
            self._publish(device.send(heat) for device in self.all if device.name not in left_out)
            time.sleep(max(0.0, begun + ROUND_S - time.monotonic()))

    @contextmanager
    def _still_sending(self) -> Iterator[None]:
        """Let the devices go on while what they sent before is worked off, so that none of them falls silent."""
        over, sent = threading.Event(), self._sent()
        sleeper = self.by_kind["falls silent"]

        def go_on() -> None:
            while not over.is_set():
                self._send(1, without=[sleeper])

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            self.gateway.wait_for(
                lambda said: said["messages"]["received"] + said["clock"]["held"] >= sent, within=180
            )
            yield
        finally:
            over.set()
            thread.join()

    def _sent(self) -> int:
        return sum(len(device.sent) for device in self.all)

    def _publish(self, deliveries: Iterable[tuple[bytes, bytes]]) -> None:
        self.client.publish_all(list(deliveries))

    def _wait_settled(self) -> dict[str, Any]:
        sent = self._sent()
        return self.gateway.wait_for(
            lambda said: said["messages"]["received"] >= sent and settled(said), within=180
        )

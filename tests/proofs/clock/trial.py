"""One gateway with a misfortune of its clock, and a fleet with clocks of every kind; judged by true time.

readings ─▶ misfortune, a reboot, a buffer from offline ─▶ all hot, one silent ─▶ all cold ─▶ clock right ─▶ judged
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import msgpack

from tests.proofs.clock.devices import COLD, HOT, UNIT, Device, fleet
from tests.proofs.clock.machines import HOUR, MINUTE, RIGHT, Machine, Misfortune
from tests.proofs.ground.field import settled
from tests.proofs.ground.judging import judge_identities, judge_log
from tests.proofs.ground.raw_client import RawClient
from tests.proofs.proof import Setting
from tests.servers.broker import Broker

EVERY = 2_000
ROUND_S = 0.25
SILENCE_MS = 6_000
DELAY = 60_000
"""The longest a message waits for the gateway, ms."""
RULES = """\
version: 1
groups:
- name: clock
  rules:
  - {alert: Hot, expr: heat, above: 50, clear: 40, severity: critical}
  - {alert: Silent, no_data: {after: 6s, metric: heat, severity: warning}}
"""
BY_DEVICE_TIME = {"right", "jitter", "behind", "ahead", "reboots behind", "backlog", "falls silent"}
"""Devices whose readings belong into the windows of their own times."""


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
        self.wrong: list[str] = []

    def run(self) -> list[str]:
        """Play and judge; return a sentence for each broken promise."""
        self.machine.set(self.misfortune.at_start)
        self.machine.start()
        with self.client:
            self._play()
            self._judge_problem()
            self.machine.set(RIGHT)
            report = self._wait_settled()
        self._judge_silence_and_heat()
        self._judge_windows()
        self._judge_report(report)
        judge_identities(self.findings, report)
        judge_log(self.findings, self.gateway)
        self.gateway.kill()
        return [f"{self.misfortune.name}: {sentence}" for sentence in self.wrong]

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

    def _publish(self, deliveries: Iterable[tuple[bytes, bytes]]) -> None:
        self.client.publish_all(list(deliveries))

    def _wait_settled(self) -> dict[str, Any]:
        sent = sum(len(device.sent) for device in self.all)
        return self.gateway.wait_for(
            lambda said: said["messages"]["received"] >= sent and settled(said), within=180
        )

    # --- judging

    def _judge_problem(self) -> None:
        """A clock that is wrong, of which the fleet knows, is a problem; one that is right is none."""
        if self.misfortune.wrong:
            try:
                self.gateway.wait_for(lambda said: bool(_clock_problems(said)), within=20)
            except AssertionError:
                self.wrong.append("no problem says that the clock is wrong")

    def _judge_report(self, report: dict[str, Any]) -> None:
        try:
            self.gateway.wait_for(lambda said: not _clock_problems(said), within=30)
        except AssertionError:
            self.wrong.append(f"the clock is right, and still: {report['problems']}")
        withheld = report["counters"].get("points_beyond_retention", 0)
        if withheld:
            self.wrong.append(f"{withheld} points were withheld as too old")

    def _judge_silence_and_heat(self) -> None:
        """Every device was hot once, and one was silent once."""
        rows = [row for row in self.gateway.query("alerts") if row["state"] == "firing"]
        fired = Counter((row["rule"], row["subject"]) for row in rows)
        for device in self.all:
            hot, silent = fired[("Hot", device.name)], fired[("Silent", device.name)]
            sleeps = device.kind == "falls silent"
            if hot != (not sleeps) and not self._may_be_cold(device, hot):
                self.wrong.append(f"{device.kind}: hot {hot} times")
            if silent != sleeps and not self._was_silent(device):
                self.wrong.append(f"{device.kind}: silent {silent} times")

    def _may_be_cold(self, device: Device, hot: int) -> bool:
        """Readings without a time of their own wait while nobody knows the time, and may be too old then."""
        return hot == 0 and device.kind in {"no clock", "years ahead"} and self.misfortune.wrong

    def _was_silent(self, device: Device) -> bool:
        """Whether this process was kept from sending for so long that the device really was silent."""
        times = [one.taken for one in device.sent]
        return max(after - before for before, after in pairwise(times)) > SILENCE_MS / 2

    def _judge_windows(self) -> None:
        found: dict[tuple[str, str, int], list[int]] = {}
        for row in self.gateway.query("windows"):
            if not row["metric"].startswith("mark"):
                continue
            whole = round(row["sum"] / UNIT)
            bits = [bit for bit in range(whole.bit_length()) if whole >> bit & 1]
            if len(bits) != row["count"]:
                self.wrong.append(f"a reading counts twice: {row}")
            for bit in bits:
                found.setdefault((row["device"], row["metric"], bit), []).append(row["start"])
        aside = set(self._quarantined())
        for device in self.all:
            self._judge_device(device, found, aside)

    def _judge_device(
        self, device: Device, found: dict[tuple[str, str, int], list[int]], aside: set[tuple[str, int, int]]
    ) -> None:
        wrong: Counter[str] = Counter()
        for one in device.sent:
            starts = found.get((device.name, one.metric, one.bit), [])
            self.findings.acknowledged += 1
            if len(starts) > 1:
                wrong["in two windows"] += 1
            elif starts:
                exact = device.kind in BY_DEVICE_TIME and one.ts is not None
                since = one.ts if exact and one.ts is not None else one.taken
                until = since if exact else since + DELAY
                if not since - since % EVERY <= starts[0] <= until:
                    wrong[f"at a wrong time, by about {(starts[0] - since) // 1000} s"] += 1
            elif (device.name, *_numbers(one.delivery[1])) not in aside:
                wrong["in no window, and not in quarantine"] += 1
            elif device.kind in BY_DEVICE_TIME:
                wrong["in quarantine"] += 1
        for what, count in wrong.items():
            self.wrong.append(f"{device.kind}: {count} readings {what}")

    def _quarantined(self) -> Iterable[tuple[str, int, int]]:
        for row in self.gateway.query("quarantine"):
            yield (row["topic"].split("/")[3], *_numbers(bytes.fromhex(row["payload"])))


def _numbers(payload: bytes) -> tuple[int, int]:
    body = msgpack.unpackb(payload)
    return body["boot"], body["seq"]


def _clock_problems(report: dict[str, Any]) -> list[str]:
    return [problem["code"] for problem in report["problems"] if problem["code"].startswith("clock")]

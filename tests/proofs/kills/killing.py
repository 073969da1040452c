"""Kill one gateway repeatedly, at random instants and at named points.

    plan ─▶ kind of kill ─▶ start, perhaps sabotaged ─▶ load, reloads ─▶ killed, by itself or from outside ─▶ next

An armed kill that the gateway never reaches is reported, and does not count.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from fleet_wire.local_socket import RequestFailed
from tests.proofs.ground.failpoints import POINTS
from tests.proofs.ground.field import RULES
from tests.proofs.ground.sabotaged import Sabotage
from tests.servers.gateway import Gateway
from tests.servers.process import wait_until

RANDOM: Final = "random instant"
OTHER_RULES: Final = "other rules at the next start"
OTHER_PROGRAM: Final = "newer program at the next start"
REPEATEDLY_IN_RECOVERY: Final = "in recovery again and again"
HTTP: Final = frozenset({"request", "answered", "cursor"})
STARTING: Final = (
    "journal-open",
    "restored",
    "replaying",
    "replayed",
    "reapplied",
    "recovered",
    "first-checkpoint",
)
STOPPING: Final = frozenset({"draining", "closing"})
RELOADING: Final = frozenset({"reload", "reloading", "reloaded"})
BLOCKING: Final = frozenset({"tick-wait", "writer", "store-thread", "tick"})
"""Points at which proofs block; a kill there would be like one at the points next to them."""
RARE: Final = frozenset({*STARTING, *STOPPING, "segment", "unlinked", "copied", "unlink", "late"})
"""Points that are passed once in a start, a checkpoint or a correction."""
ALSO_IN_RECOVERY: Final = RELOADING | {"checkpoint", "checkpoint-name", "checkpoint-old"}
"""Points that are passed first in recovery, and then while the gateway works."""
RECOVERY_KILLS: Final = 4
"""Fewer than it takes until recovery blames a record for the crashes and quarantines it."""
PATIENCE: Final = 10.0
"""Seconds within which an armed kill must happen once the gateway has recovered."""
RECOVERED_WITHIN: Final = 240.0
"""Seconds to recover on a busy machine."""
FEWER_CHECKPOINTS: Final = (("edge_gateway.service.maintenance:CHECKPOINT_EVERY", 2.0),)
OTHER_CONSTANTS: Final = (
    (("edge_gateway.fold.pipeline:CLOSE_ROWS", 8.0), ("edge_gateway.fold.pipeline:CLOSE_SHARE", 0.0)),
    (("edge_gateway.fold.pipeline:CLOSE_ROWS", 200_000.0), ("edge_gateway.windows.base_tier:WORTH", 1_000.0)),
    (("edge_gateway.windows.base_tier:SMALL", 1.0), ("edge_gateway.windows.base_tier:WORTH", 1.0)),
    (("edge_gateway.windows.open_windows:CHEAPEST_WINDOW", 16_384.0),),
    (("edge_gateway.service.engine:MOST_IN_RECORD", 7.0), ("edge_gateway.service.engine:GATHER_MAX", 0.001)),
)
"""Constants with which windows close at other times and records get other sizes, as in another version."""


def kill_plan(chance: random.Random, *, http: bool) -> Iterator[str]:
    """Yield kinds of kills for ever: every point once in each round, with random instants in between."""
    points = [name for name in POINTS if name not in BLOCKING and (http or name not in HTTP)]
    while True:
        kinds = [
            *points,
            *[RANDOM] * (len(points) // 3),
            *[OTHER_RULES] * 3,
            *[OTHER_PROGRAM] * 5,
            REPEATEDLY_IN_RECOVERY,
        ]
        chance.shuffle(kinds)
        yield from kinds


@dataclass(slots=True)
class KillCounts:
    """The kills of one gateway by kind, those armed and not reached, and the seconds of each recovery."""

    kills: Counter[str] = field(default_factory=Counter)
    not_reached: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)


@dataclass(slots=True)
class KillTarget:
    """A gateway under load that is killed repeatedly. `constants` are changed at each start."""

    gateway: Gateway
    chance: random.Random
    constants: tuple[tuple[str, float], ...] = FEWER_CHECKPOINTS
    counts: KillCounts = field(default_factory=KillCounts)
    rules: int = 0

    def kill_repeatedly(self, plan: Iterator[str], count: int) -> KillCounts:
        """Kill the gateway `count` times, the first time as it runs now, and leave it running.

        AssertionError: it did not come back.
        """
        time.sleep(self.chance.uniform(0.5, 2.0))
        self.gateway.kill()
        self.counts.kills[RANDOM] += 1
        for name in plan:
            if self.counts.kills.total() >= count:
                break
            self._kill_once(name)
            time.sleep(min(self.chance.expovariate(10), 0.5))
        self._start()
        return self.counts

    def _kill_once(self, name: str) -> None:
        if name == REPEATEDLY_IN_RECOVERY:
            for _ in range(RECOVERY_KILLS):
                self._at_point(self.chance.choice(STARTING))
        elif name in POINTS:
            self._at_point(name)
        else:
            if name == OTHER_RULES:
                self._change_rules()
            self._at_random(self.chance.choice(OTHER_CONSTANTS) if name == OTHER_PROGRAM else ())
            self.counts.kills[name] += 1

    def _at_random(self, other: Sequence[tuple[str, float]]) -> None:
        """Run the gateway for a while, subscribed or not, and kill it."""
        if self.chance.random() < 0.8:
            self._start((*self.constants, *other))
        else:
            self.gateway.start(ready=False, sabotage=Sabotage(constants=(*self.constants, *other)))
        time.sleep(min(self.chance.expovariate(2), 3.0))
        self.gateway.kill()

    def _start(self, constants: tuple[tuple[str, float], ...] | None = None) -> None:
        sabotage = Sabotage(constants=self.constants if constants is None else constants)
        begun = time.monotonic()
        self.gateway.start(ready=False, sabotage=sabotage)
        self.gateway.wait_for(lambda report: report["broker"]["connected"], within=RECOVERED_WITHIN)
        self.counts.recoveries.append(time.monotonic() - begun)

    def _at_point(self, name: str) -> None:
        """Run the gateway until it kills itself at the point."""
        nth = self._nth(name)
        self.gateway.start(ready=False, sabotage=Sabotage(name, nth, "kill", self.constants))
        if self._killed_itself(name):
            self.counts.kills[name] += 1
            return
        if not self.gateway.running and name not in STOPPING:
            raise AssertionError(
                f"expected a kill at '{name}', but the gateway ended otherwise: {self.gateway.words(1000)}"
            )
        self.counts.not_reached[name] += 1
        self.gateway.kill()

    def _nth(self, name: str) -> int:
        if name in {"replaying", "replayed", "reapplied"}:
            return self.chance.choice((1, 1, 2, 5))
        if name in RARE:
            return 1
        if name in ALSO_IN_RECOVERY:
            return self.chance.choice((1, 2))
        return self.chance.randint(1, 5 if name in HTTP else 40)

    def _killed_itself(self, name: str) -> bool:
        """Wait for the kill, and do what leads to it; return whether it happened."""
        if name in RELOADING:
            self._change_rules()
        wait_until(
            lambda: not self.gateway.running or answers(self.gateway),
            RECOVERED_WITHIN,
            "the gateway has recovered",
        )
        if name in STOPPING and self.gateway.running:
            os.kill(self.gateway.pid, signal.SIGTERM)
        end = time.monotonic() + (0 if name in STARTING else PATIENCE)
        while time.monotonic() < end and self.gateway.running:
            time.sleep(0.05)
            if name in RELOADING and self.chance.random() < 1 / 30:
                self._change_rules()
        return self.gateway.killed

    def _change_rules(self) -> None:
        """Change rules whose alerts are not judged."""
        self.rules += 1
        extra = (
            f"  - {{alert: Extra{self.rules % 3}, expr: level, above: {80 + self.rules % 7}, clear: 70}}\n"
        )
        self.gateway.write_rules(RULES.replace("above: 60", f"above: {60 + self.rules % 5}") + extra)


def answers(gateway: Gateway) -> bool:
    """Whether the gateway has recovered: its local socket answers."""
    try:
        gateway.ask(do="status")
    except (OSError, TimeoutError, RequestFailed):
        return False
    return True

"""One gateway that is killed repeatedly, at random instants and at named points.

    deck ─▶ death ─▶ start, perhaps sabotaged ─▶ load, reloads ─▶ killed, by itself or by us ─▶ next

A kill that was armed and never came is told, and is no fault.
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
NEWER: Final = "newer program at the next start"
AGAIN: Final = "in recovery again and again"
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
"""Points for what stands still; a kill there is like one beside them."""
SELDOM: Final = frozenset({*STARTING, *STOPPING, "segment", "unlinked", "copied", "unlink", "late"})
"""Points that are passed once a start, a checkpoint or a correction."""
TWICE: Final = RELOADING | {"checkpoint", "checkpoint-name", "checkpoint-old"}
"""Points that are passed in recovery first, and then while it works."""
TIMES_AGAIN: Final = 4
"""Fewer than it takes until a record is held for the one that kills."""
PATIENCE: Final = 10.0
"""Seconds in which an armed kill must come, once the gateway has recovered."""
GENEROUS: Final = 240.0
"""Seconds to recover, on a machine that does much else."""
CALM: Final = (("edge_gateway.service.maintenance:CHECKPOINT_EVERY", 2.0),)
OTHER_PROGRAMS: Final = (
    (("edge_gateway.fold.pipeline:CLOSE_ROWS", 8.0), ("edge_gateway.fold.pipeline:CLOSE_SHARE", 0.0)),
    (("edge_gateway.fold.pipeline:CLOSE_ROWS", 200_000.0), ("edge_gateway.windows.base_tier:WORTH", 1_000.0)),
    (("edge_gateway.windows.base_tier:SMALL", 1.0), ("edge_gateway.windows.base_tier:WORTH", 1.0)),
    (("edge_gateway.windows.open_windows:CHEAPEST_WINDOW", 16_384.0),),
    (("edge_gateway.service.engine:MOST_IN_RECORD", 7.0), ("edge_gateway.service.engine:GATHER_MAX", 0.001)),
)
"""What decides otherwise when windows close and how much goes into a record."""


def deck(chance: random.Random, *, http: bool) -> Iterator[str]:
    """Yield kinds of death for ever: every point in turn, with random instants in between."""
    points = [name for name in POINTS if name not in BLOCKING and (http or name not in HTTP)]
    while True:
        cards = [*points, *[RANDOM] * (len(points) // 3), *[OTHER_RULES] * 3, *[NEWER] * 5, AGAIN]
        chance.shuffle(cards)
        yield from cards


@dataclass(slots=True)
class Killed:
    """The kills of one gateway."""

    deaths: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Victim:
    """A gateway under load, and the randomness of its deaths. `constants` change its program."""

    gateway: Gateway
    chance: random.Random
    constants: tuple[tuple[str, float], ...] = CALM
    killed: Killed = field(default_factory=Killed)
    rules: int = 0

    def suffer(self, deaths: Iterator[str], count: int) -> Killed:
        """Kill the gateway `count` times, the first time as it runs now, and leave it running.

        AssertionError: it did not come back.
        """
        time.sleep(self.chance.uniform(0.5, 2.0))
        self.gateway.kill()
        self.killed.deaths[RANDOM] += 1
        for name in deaths:
            if self.killed.deaths.total() >= count:
                break
            self._die(name)
            time.sleep(min(self.chance.expovariate(10), 0.5))
        self._start()
        return self.killed

    def _die(self, name: str) -> None:
        if name == AGAIN:
            for _ in range(TIMES_AGAIN):
                self._at_point(self.chance.choice(STARTING))
        elif name in POINTS:
            self._at_point(name)
        else:
            if name == OTHER_RULES:
                self._change_rules()
            self._at_random(self.chance.choice(OTHER_PROGRAMS) if name == NEWER else ())
            self.killed.deaths[name] += 1

    def _at_random(self, other: Sequence[tuple[str, float]]) -> None:
        """Let it run for a while, subscribed or not, and kill it."""
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
        self.gateway.wait_for(lambda report: report["broker"]["connected"], within=GENEROUS)
        self.killed.recoveries.append(time.monotonic() - begun)

    def _at_point(self, name: str) -> None:
        """Let it run until it kills itself at the point."""
        nth = self._nth(name)
        self.gateway.start(ready=False, sabotage=Sabotage(name, nth, "kill", self.constants))
        if self._killed_itself(name):
            self.killed.deaths[name] += 1
            return
        if not self.gateway.running and name not in STOPPING:
            raise AssertionError(
                f"it was to be killed at '{name}' and ended otherwise: {self.gateway.words(1000)}"
            )
        self.killed.missed[name] += 1
        self.gateway.kill()

    def _nth(self, name: str) -> int:
        if name in {"replaying", "replayed", "reapplied"}:
            return self.chance.choice((1, 1, 2, 5))
        if name in SELDOM:
            return 1
        if name in TWICE:
            return self.chance.choice((1, 2))
        return self.chance.randint(1, 5 if name in HTTP else 40)

    def _killed_itself(self, name: str) -> bool:
        """Wait for the kill, and trigger what leads to it."""
        if name in RELOADING:
            self._change_rules()
        wait_until(
            lambda: not self.gateway.running or listens(self.gateway), GENEROUS, "the gateway has recovered"
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
        """Change rules that are not judged."""
        self.rules += 1
        extra = (
            f"  - {{alert: Extra{self.rules % 3}, expr: level, above: {80 + self.rules % 7}, clear: 70}}\n"
        )
        self.gateway.write_rules(RULES.replace("above: 60", f"above: {60 + self.rules % 5}") + extra)


def listens(gateway: Gateway) -> bool:
    """Whether it has recovered: its local socket answers."""
    try:
        gateway.ask(do="status")
    except (OSError, TimeoutError, RequestFailed):
        return False
    return True

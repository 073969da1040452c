"""What happens to the wall clock of a gateway: at its first start, and at one moment while devices send."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.proofs.ground.shifted_clock import WallClock
from tests.servers.gateway import Gateway

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
RIGHT = WallClock()
ALONE = WallClock(synchronised=False)
"""Right, and nothing says so."""


class Machine:
    """A gateway whose wall clock is that of a file, while it runs and over restarts."""

    def __init__(self, gateway: Gateway, clock: Path) -> None:
        self.gateway = gateway
        self._file = clock
        self.clocks: list[WallClock] = []
        """The clocks it had."""

    def set(self, clock: WallClock) -> None:
        self.clocks.append(clock)
        clock.write(self._file)

    def start(self, *, ready: bool = True) -> None:
        under = [sys.executable, "-m", "tests.proofs.ground.shifted_clock", str(self._file)]
        self.gateway.start(under=under, ready=ready)

    def kill(self) -> None:
        self.gateway.kill()

    def suspend(self, seconds: float) -> None:
        """Stop the process as a suspended machine does."""
        os.kill(self.gateway.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(self.gateway.pid, signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class Misfortune:
    """A clock at the start, and what happens once devices send.

    Attributes:
        name: what happens, in a few words.
        at_start: the clock of the first start.
        happens: what happens while devices send; the gateway runs afterwards.
        wrong: the clock is wrong from then on, nothing says that it is right, and the fleet knows better.
    """

    name: str
    at_start: WallClock
    happens: Callable[[Machine, random.Random], None]
    wrong: bool = False


def _nothing(machine: Machine, chance: random.Random) -> None:
    """Let everything be."""


def _corrected(machine: Machine, chance: random.Random) -> None:
    machine.set(RIGHT)


def _steps(*choices: int) -> Callable[[Machine, random.Random], None]:
    def happens(machine: Machine, chance: random.Random) -> None:
        machine.set(WallClock(ahead=chance.choice(choices), synchronised=False))

    return happens


def _killed_into(*choices: int) -> Callable[[Machine, random.Random], None]:
    """Cut the power; at the next start the clock is ahead by one of these."""

    def happens(machine: Machine, chance: random.Random) -> None:
        machine.kill()
        machine.set(WallClock(ahead=chance.choice(choices), synchronised=False))
        machine.start(ready=False)

    return happens


def _killed_and_right(machine: Machine, chance: random.Random) -> None:
    machine.kill()
    machine.set(RIGHT)
    machine.start(ready=False)


def _suspended(machine: Machine, chance: random.Random) -> None:
    machine.suspend(chance.choice((4, 8)))


MISFORTUNES = (
    Misfortune("right and synchronised", RIGHT, _nothing),
    Misfortune("right, and nothing says so", ALONE, _nothing),
    Misfortune("an hour ahead, then corrected", WallClock(HOUR, synchronised=False), _corrected),
    Misfortune(
        "ahead, then synchronised after a cut",
        WallClock(3 * 365 * DAY, synchronised=False),
        _killed_and_right,
    ),
    Misfortune("behind, then corrected", WallClock(-10 * HOUR, synchronised=False), _corrected),
    Misfortune("in 1970, then corrected", WallClock(-20_000 * DAY, synchronised=False), _corrected),
    Misfortune("steps ahead", RIGHT, _steps(10 * MINUTE, HOUR, 30 * DAY), wrong=True),
    Misfortune("steps behind", RIGHT, _steps(-10 * MINUTE, -10 * HOUR), wrong=True),
    Misfortune(
        "restored to an earlier time after a cut",
        RIGHT,
        _killed_into(-10 * HOUR, -2 * MINUTE * 5),
        wrong=True,
    ),
    Misfortune("ahead after a cut", RIGHT, _killed_into(HOUR, 3 * 365 * DAY), wrong=True),
    Misfortune("suspended", RIGHT, _suspended),
    Misfortune("suspended, and nothing says that the clock is right", ALONE, _suspended),
)

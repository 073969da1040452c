"""The clock of a device as the page of delivery describes it: which of its messages rules take, and at which time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

SMALL_STEP = 5_000
IN_A_ROW, SETTLED = 3, 500
FAST = 16
"""A device's clock may run faster than real time by one part in this many."""


class Taken(NamedTuple):
    """At which time (ms) rules take a message, None if they never do; whether the clock went back with it."""

    at: int | None
    stepped: bool = False


@dataclass
class Clock:
    """`boot`: the current one, by the newest birth, or without births the one heard last. `following`: above every seq
    that the boot is known to have given, by its messages and births. `newest`: its newest time, ms. `announced`: its
    birth had an older time. `run`: of messages in a row that are older, how many, and (time, listening) of the first.
    """

    boot: int | None = None
    born: bool = False
    following: int = 0
    newest: int = 0
    announced: bool = False
    run: tuple[int, int, int] = (0, 0, 0)

    def birth(self, boot: int, next_seq: int, ts: int | None) -> None:
        if boot != self.boot:
            self._begin(boot)
            self.announced = ts is not None and ts < self.newest - SMALL_STEP
        self.born = True
        self.following = max(self.following, next_seq)

    def take(self, boot: int, seq: int, ts: int, listening: int) -> Taken:
        if boot != self.boot and self.born:
            return Taken(None)
        if boot != self.boot:
            self._begin(boot)
        is_highest = seq >= self.following
        self.following = max(self.following, seq + 1)
        if ts > self.newest or (ts == self.newest and is_highest):
            return self._advance(ts)
        if not is_highest:
            return Taken(ts)
        if self.newest - ts <= SMALL_STEP:
            self.run, self.announced = (0, 0, 0), False
            return Taken(self.newest)
        if self.announced or self._is_believed(ts, listening):
            return self._advance(ts)._replace(stepped=True)
        return Taken(ts)

    def _begin(self, boot: int) -> None:
        self.boot, self.following = boot, 0
        self.run, self.announced = (0, 0, 0), False

    def _advance(self, ts: int) -> Taken:
        self.newest, self.run, self.announced = ts, (0, 0, 0), False
        return Taken(ts)

    def _is_believed(self, ts: int, listening: int) -> bool:
        """Whether three in a row, over half a second, advanced no faster than real time."""
        count, first, since = self.run
        passed = listening - since
        goes_on = count > 0 and ts - first <= passed + passed // FAST
        self.run = (count + 1, first, since) if goes_on else (1, ts, listening)
        return self.run[0] >= IN_A_ROW and listening - self.run[2] >= SETTLED

"""A device's clock as plainly as it can be said: every time it showed since the last step is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

SMALL = 5_000
"""The largest small step back, ms."""


class Heard(NamedTuple):
    """A new message of the device; times in ms.

    `above`: its seq is above all of its boot so far. `first`: there was none of its boot before. `stamped`: its time
    is that of its arrival.
    """

    boot: int
    time: int
    above: bool
    first: bool
    stamped: bool
    listening: int


@dataclass
class PlainClock:
    taken: list[int] = field(default_factory=list)
    """Times since the last step."""
    current: int | None = None
    """The current boot."""
    births: bool = False
    announced: bool = False
    row: list[Heard] = field(default_factory=list)
    """Messages in a row that may be a step."""
    asked: int = 0
    """Messages in a row that would be one if they arrived slowly enough."""
    by_arrival: bool = False
    """Whether what became of any message depended on when it and those before it arrived."""

    def birth(self, boot: int, time: int | None) -> None:
        self.births = True
        if boot != self.current:
            self.current = boot
            self._settle()
            self.announced = time is not None and bool(self.taken) and time < max(self.taken) - SMALL

    def message(self, one: Heard) -> tuple[str, int | None]:
        """What becomes of a message, and the time rules give it; None if they never take it."""
        if one.boot != self.current:
            if not self._takes_over(one):
                return "aside", None
            self.current = one.boot
            self._settle()
        if not self.taken or one.time > max(self.taken) or (one.above and self._is_newest(one)):
            return self._take(one, "advances")
        return self._older(one, max(self.taken))

    def _takes_over(self, one: Heard) -> bool:
        if self.births:
            return False
        if one.first or self.current is None:
            return True
        return one.above and self._is_newest(one) and self._agrees(one)

    def _older(self, one: Heard, newest: int) -> tuple[str, int]:
        if one.stamped:
            return "held", newest
        if not one.above:
            return "late", one.time
        if newest - one.time <= SMALL:
            self._settle()
            return "held", newest
        if self.announced or self._agrees(one):
            self.taken = []
            return self._take(one, "stepped")
        return "late", one.time

    def _is_newest(self, one: Heard) -> bool:
        return not self.taken or one.time >= max(self.taken)

    def _take(self, one: Heard, what: str) -> tuple[str, int]:
        self.taken.append(one.time)
        self._settle()
        return what, one.time

    def _settle(self) -> None:
        self.row, self.asked, self.announced = [], 0, False

    def _agrees(self, one: Heard) -> bool:
        """Whether the row, with this message, is three long, half a second, and never ahead of its first."""
        self.asked = self.asked + 1 if self.row and self.row[0].boot == one.boot else 1
        self.by_arrival |= self.asked >= 3
        if self.row:
            first = self.row[0]
            passed = one.listening - first.listening
            if one.boot != first.boot or one.time - first.time > passed + passed // 16:
                self.row = []
        self.row.append(one)
        return len(self.row) >= 3 and one.listening - self.row[0].listening >= 500

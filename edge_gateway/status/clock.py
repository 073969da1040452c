"""The machine's clocks, and how far its wall clock is believed.

A wall clock that is ahead of the newest one that was believed is plausible, even by ten hours: the machine was off. One
that is behind is not, unless the kernel, the fleet or the operator says so. What cannot be undone goes by monotonic
time, which says how much time has passed at least.
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

BUILT: Final = 1_767_225_600_000
"""Wall ms of 2026-01-01: no machine runs this program before, so an earlier wall clock was never set."""
TIME_ERROR: Final = 5
"""What adjtimex(2) returns while the clock is not synchronised (TIME_ERROR in sys/timex.h)."""
TIMEX_BYTES: Final = 512
"""More than the size of struct timex on every platform."""
SLACK: Final = 60_000
"""Milliseconds. A smaller step of the wall clock is a correction and not a doubt."""
AGED_A_START: Final = 3_600_000
"""Milliseconds by which a start may find data older than monotonic time alone says, since the machine was off."""
ASKED_EVERY: Final = 1_000
"""Milliseconds between questions to the kernel."""
_SINCE_BOOT: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux has a monotonic clock that also counts the time for which the machine sleeps."""

BEHIND: Final = (
    "waiting for time: the wall clock is behind what the journal has seen, and nothing synchronises it"
)


class ClockState(StrEnum):
    """Why the wall clock is believed, or why not."""

    SYNCHRONISED = "synchronised"
    """The kernel says so."""
    CONFIRMED = "confirmed"
    """The operator or the kernel said so, and it has not been set since."""
    AGREED = "agreed"
    """The fleet's clocks say the same."""
    PLAUSIBLE = "plausible"
    """Nothing keeps it right, and nothing speaks against it."""
    BEHIND = "behind"
    """It is earlier than what the journal has seen."""
    OUTVOTED = "outvoted"
    """The fleet's clocks agree on another time."""


BELIEVED: Final = frozenset(ClockState) - {ClockState.BEHIND, ClockState.OUTVOTED}
SURE: Final = frozenset({ClockState.SYNCHRONISED, ClockState.CONFIRMED, ClockState.AGREED})


class ClockReading(NamedTuple):
    """The wall clock at one moment, ms.

    `least` and `aged` are as of `MachineClock`, None if `wall` is sure. At a first start `aged` is BUILT until it is:
    nothing is withheld as too old by a clock of which nobody knows anything.
    """

    wall: int
    state: ClockState
    least: int | None = None
    aged: int | None = None

    @property
    def trusted(self) -> bool:
        return self.state in BELIEVED


@dataclass(slots=True)
class MachineClock:
    """Wall and monotonic milliseconds, and what is known of the wall time.

    Attributes:
        least: the least the time can be, as of the last reading.
        seen: the newest wall time that was believed, which goes on with monotonic time.
        aged: the time by which data is old enough to be removed or withheld. It runs no faster than monotonic time and
            AGED_A_START a start until the kernel or the operator says that the wall clock is right.
        state: as of the last reading.
        offset: what is added to the machine's monotonic time, in ms.
    """

    least: int = BUILT
    seen: int = BUILT
    aged: int = BUILT
    state: ClockState = ClockState.PLAUSIBLE
    offset: int = 0
    _at: int = field(init=False)
    _asked_at: int | None = None
    _synchronised: bool = False
    _before: int | None = None
    _first: bool = False
    """Whether `aged` began with the wall clock of this start, which nobody has confirmed."""

    def __post_init__(self) -> None:
        self._at = self.monotonic()

    def wall(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> int:
        return time.clock_gettime_ns(_SINCE_BOOT) // 1_000_000 + self.offset

    def go_on_from(self, monotonic: int) -> None:
        """Let monotonic time go on from here, the time at which an earlier run would be now.

        None of the time until there counts as passed since the last reading.
        """
        before = self.monotonic()
        self.offset += monotonic - before
        jumped = self.monotonic() - before
        self._at += jumped
        if self._asked_at is not None:
            self._asked_at += jumped

    def begin(self, least: int, seen: int, aged: int | None) -> None:
        """Go on from where an earlier start left these times; `aged` is None without an earlier start.

        `aged` moves on to the wall time, but by AGED_A_START at most.
        """
        self.least, self.seen, self._at = max(BUILT, least), max(BUILT, seen), self.monotonic()
        self._first = aged is None
        self.aged = self.wall() if aged is None else max(aged, min(self.wall(), aged + AGED_A_START))

    def read(self) -> ClockReading:
        """Read the wall clock and judge it."""
        wall, now = self.wall(), self.monotonic()
        passed, self._at = now - self._at, now
        self.least += passed
        self.seen += passed
        self.aged += passed
        self._judge(wall, now)
        if self.state in SURE:
            return ClockReading(wall, self.state)
        return ClockReading(wall, self.state, self.least, BUILT if self._first else self.aged)

    def trusted(self) -> bool:
        """Return whether the wall clock may be believed."""
        return self.read().trusted

    def _judge(self, wall: int, now: int) -> None:
        stepped = abs(wall - self.least) > SLACK
        if self._is_synchronised(now, stepped=stepped):
            self._know(wall, ClockState.SYNCHRONISED)
            self.aged = wall
        elif self.state in SURE and not stepped:
            if self.state is ClockState.SYNCHRONISED:
                self.state = ClockState.CONFIRMED  # it runs on from where it was right
        elif self.state is not ClockState.OUTVOTED:
            self.state = ClockState.BEHIND if wall < self.seen - SLACK else ClockState.PLAUSIBLE
            self.seen = max(self.seen, wall)

    def _is_synchronised(self, now: int, *, stepped: bool) -> bool:
        """Ask the kernel, from time to time and where the clock was set since it said yes."""
        outdated = self._synchronised and stepped
        if self._asked_at is None or outdated or now - self._asked_at >= ASKED_EVERY:
            self._asked_at, self._synchronised = now, synchronised()
        return self._synchronised

    def confirm(self) -> None:
        """Believe the wall clock as it is: the operator says that it is right."""
        self._know(self.read().wall, ClockState.CONFIRMED)
        self.aged = self.least

    def hear_fleet(self, *, agrees: bool | None) -> None:
        """Take in what the fleet's clocks say; None is neither. It does not count against a clock that is sure."""
        wall = self.read().wall
        if self.state in SURE:
            return
        if agrees:
            self._know(wall, ClockState.AGREED)
        elif agrees is not None:
            self.state, self.seen = ClockState.OUTVOTED, self.least
            self.aged = BUILT if self._first else self.aged

    def _know(self, wall: int, state: ClockState) -> None:
        if self.state not in SURE:
            self._before = self.least
        self.least = self.seen = wall
        self.state, self._first = state, False

    def take_confirmation(self) -> int | None:
        """Return, once after the wall clock became sure, what `least` was just before; else None."""
        before, self._before = self._before, None
        return before


def synchronised() -> bool:
    """Return whether the kernel says the clock is synchronised (adjtimex(2)); False where it cannot be asked."""
    buffer = ctypes.create_string_buffer(TIMEX_BYTES)
    try:
        state = ctypes.CDLL(None).adjtimex(buffer)
    except (OSError, AttributeError):
        return False
    return state not in {-1, TIME_ERROR}

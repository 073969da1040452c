"""Keep-alive for many connections with one timer: when to ping, and when a peer is dead."""

import asyncio
import enum
import math
import threading
from typing import NamedTuple, Protocol

_PING_AFTER = 0.75
_ANSWER_WITHIN = 0.5
_SLOT = 0.25


class Quiet(NamedTuple):
    """Times of the last traffic, in seconds of the loop's clock. `pinged` is None if no ping awaits an answer."""

    sent: float
    received: float
    pinged: float | None
    paused: bool


class Verdict(enum.Enum):
    WAIT = enum.auto()
    PING = enum.auto()
    DEAD = enum.auto()


class Decision(NamedTuple):
    verdict: Verdict
    again_at: float


def decide(now: float, quiet: Quiet, keep_alive: float) -> Decision:
    """Decide what to do about a connection, and when to check it again.

    A ping goes out when nothing was sent, or nothing was received, for three quarters of the keep-alive (seconds);
    something must then arrive within half a keep-alive. While reading is paused nothing can arrive, so only the sending
    side counts.
    """
    answer_due = (
        math.inf if quiet.pinged is None or quiet.paused else quiet.pinged + keep_alive * _ANSWER_WITHIN
    )
    if now >= answer_due:
        return Decision(Verdict.DEAD, now)
    if answer_due < math.inf:
        return Decision(Verdict.WAIT, answer_due)
    quiet_since = quiet.sent if quiet.paused else min(quiet.sent, quiet.received)
    ping_due = quiet_since + keep_alive * _PING_AFTER
    if now < ping_due:
        return Decision(Verdict.WAIT, ping_due)
    return Decision(Verdict.PING, now + keep_alive * _ANSWER_WITHIN)


class Kept(Protocol):
    """A connection as the wheel sees it."""

    check_at: int | None

    def check(self, now: float) -> float | None:
        """Do what is due; return the time of the next check, None if the connection has ended."""


class Wheel:
    """A timing wheel: checks each connection in its time slot, with one timer for any number of them.

    An entry is valid only in the slot its connection names in `check_at`, so entries never need to be removed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._slots: dict[int, list[Kept]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, connection: Kept, when: float) -> None:
        """Check the connection in the first slot that begins at or after `when` (loop's clock)."""
        slot = math.ceil(when / _SLOT)
        connection.check_at = slot
        self._slots.setdefault(slot, []).append(connection)
        if self._timer is None or slot * _SLOT < self._timer.when():
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(min(self._slots) * _SLOT, self._turn) if self._slots else None

    def _turn(self) -> None:
        now = self.loop.time()
        self._timer = None
        for slot in sorted(slot for slot in self._slots if slot * _SLOT <= now):
            for connection in self._slots.pop(slot):
                if connection.check_at == slot:
                    self._check(connection, now)
        self._arm()

    def _check(self, connection: Kept, now: float) -> None:
        again_at = connection.check(now)
        if again_at is not None:
            self.watch(connection, max(again_at, now + _SLOT))


class _LoopWheel(threading.local):
    wheel: Wheel | None = None


_of_thread = _LoopWheel()


def wheel_of(loop: asyncio.AbstractEventLoop) -> Wheel:
    """Return the wheel of the loop that runs in this thread."""
    if _of_thread.wheel is None or _of_thread.wheel.loop is not loop:
        _of_thread.wheel = Wheel(loop)
    return _of_thread.wheel

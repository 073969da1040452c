"""A clock of the time during which a silent device is really silent.

It advances only while the gateway is subscribed and has caught up with the broker's queue. An echo shows that it has:
a message the telemetry session publishes to itself, which the broker delivers behind everything queued earlier.

A broker whose queue is full accepts an echo and drops it. So another one follows one that stays out; whichever returns
shows that everything queued before it has come.

A gateway that was suspended has heard nobody meanwhile, so a step is never longer than the time between two echoes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

ECHO_EVERY = 1_000
ECHO_LATE = 1_500
"""Milliseconds. An echo that is out for longer means the gateway has fallen behind: the clock stops."""
ECHO_AGAIN = 5_000
"""Milliseconds after which another echo follows one that is still out."""


@dataclass(slots=True)
class CaughtUpClock:
    """Milliseconds spent caught up, in `elapsed`. `now` arguments are monotonic milliseconds.

    `_out`: when the echoes that have not returned were sent, ascending.
    """

    elapsed: int = 0
    subscribed: bool = False
    _at: int | None = None
    _out: list[int] = field(default_factory=list)
    _echoed: bool = False
    _lag: int = 0

    def connected(self, now: int) -> None:
        """Note that the session is subscribed; whether it has caught up is unknown until the next echo."""
        self.subscribed, self._echoed, self._out, self._at = True, False, [], now

    def disconnected(self) -> None:
        """Note that the session is gone; the clock stops."""
        self.subscribed, self._echoed, self._out = False, False, []

    def echo_due(self, now: int) -> bytes | None:
        """Return the payload of the echo to publish now, or None; a returned echo counts as sent."""
        if not self.subscribed or (self._out and now - self._out[-1] < ECHO_AGAIN):
            return None
        self._out.append(now)
        return _echo(now)

    def echo_failed(self) -> None:
        """Note that the broker did not accept the echo; another one is due, and the clock stops."""
        self._out, self._echoed = [], False

    def echo_received(self, now: int, echo: bytes) -> None:
        """Note a returned echo of this connection: everything queued before it has been folded."""
        asked_at = next((each for each in self._out if echo == _echo(each)), None)
        if asked_at is None:
            return
        if not self._echoed:
            self._echoed, self._at = True, now
        self._lag = now - asked_at
        self._out = [each for each in self._out if each > asked_at]

    def lag(self, now: int) -> int:
        """Return how far the gateway is behind the broker's queue, in milliseconds."""
        return max(self._lag, now - self._out[0]) if self._out else self._lag

    @property
    def caught_up(self) -> bool:
        """Whether an echo has returned on this connection, from which on the clock counts."""
        return self.subscribed and self._echoed

    def is_behind(self, now: int) -> bool:
        """Whether an echo is late: what the broker has queued before it may not have come yet."""
        return bool(self._out) and now - self._out[0] > ECHO_LATE

    def advance(self, now: int) -> int:
        """Add the time since the last call if it counts; return `elapsed`."""
        if self._at is not None and self.caught_up and not self.is_behind(now):
            self.elapsed += min(max(0, now - self._at), ECHO_EVERY)
        self._at = now
        return self.elapsed


def _echo(asked_at: int) -> bytes:
    """Encode the time of sending, which tells a stale echo of an earlier connection from the current one."""
    return msgspec.msgpack.encode(asked_at)

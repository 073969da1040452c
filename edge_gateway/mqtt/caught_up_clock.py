"""A clock of the time during which a silent device is really silent.

It advances only while the gateway is subscribed and has caught up with the broker's queue. An echo shows that it has:
a message the telemetry session publishes to itself, which the broker delivers behind everything queued earlier.

A gateway that was suspended has heard nobody meanwhile, so a step is never longer than the time between two echoes.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

ECHO_EVERY = 1_000
ECHO_LATE = 1_500
"""Milliseconds. An echo that is out for longer means the gateway has fallen behind: the clock stops."""


@dataclass(slots=True)
class CaughtUpClock:
    """Milliseconds spent caught up, in `elapsed`. `now` arguments are monotonic milliseconds."""

    elapsed: int = 0
    subscribed: bool = False
    _at: int | None = None
    _asked_at: int | None = None
    _echoed: bool = False
    _lag: int = 0

    def connected(self, now: int) -> None:
        """Note that the session is subscribed; whether it has caught up is unknown until the next echo."""
        self.subscribed, self._echoed, self._asked_at, self._at = True, False, None, now

    def disconnected(self) -> None:
        """Note that the session is gone; the clock stops."""
        self.subscribed, self._echoed, self._asked_at = False, False, None

    def echo_due(self, now: int) -> bytes | None:
        """Return the payload of the echo to publish now, or None; a returned echo counts as sent."""
        if not self.subscribed or self._asked_at is not None:
            return None
        self._asked_at = now
        return _echo(now)

    def echo_failed(self) -> None:
        """Note that the broker did not accept the echo; another one is due, and the clock stops."""
        self._asked_at, self._echoed = None, False

    def echo_received(self, now: int, echo: bytes) -> None:
        """Note a returned echo. If it is the newest one, everything queued before it has been folded."""
        if self._asked_at is None or echo != _echo(self._asked_at):
            return
        if not self._echoed:
            self._echoed, self._at = True, now
        self._lag = now - self._asked_at
        self._asked_at = None

    def lag(self, now: int) -> int:
        """Return how far the gateway is behind the broker's queue, in milliseconds."""
        return self._lag if self._asked_at is None else max(self._lag, now - self._asked_at)

    @property
    def caught_up(self) -> bool:
        return self.subscribed and self._echoed

    def advance(self, now: int) -> int:
        """Add the time since the last call if it counts; return `elapsed`."""
        behind = self._asked_at is not None and now - self._asked_at > ECHO_LATE
        if self._at is not None and self.caught_up and not behind:
            self.elapsed += min(max(0, now - self._at), ECHO_EVERY)
        self._at = now
        return self.elapsed


def _echo(asked_at: int) -> bytes:
    """Encode the time of sending, which tells a stale echo of an earlier connection from the current one."""
    return msgspec.msgpack.encode(asked_at)

"""The listening clock: time during which silence means something.

It advances only while the gateway is subscribed and has caught up with what the broker queued. That it has caught
up is known by an echo: a message the telemetry session sends to itself, which the broker delivers behind everything
queued before.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

ECHO_EVERY = 1_000
ECHO_LATE = 1_500


@dataclass(slots=True)
class CaughtUpClock:
    """Milliseconds spent listening. `now` arguments are monotonic milliseconds."""

    elapsed: int = 0
    subscribed: bool = False
    _at: int | None = None
    _asked_at: int | None = None
    _echoed: bool = False
    _lag: int = 0

    def connected(self, now: int) -> None:
        """Subscribed again: nothing is known of the queue until the next echo."""
        self.subscribed, self._echoed, self._asked_at, self._at = True, False, None, now

    def disconnected(self) -> None:
        """The session is gone; silence means nothing."""
        self.subscribed, self._echoed, self._asked_at = False, False, None

    def echo_due(self, now: int) -> bytes | None:
        """The echo to send now, or None; what is returned counts as sent."""
        if not self.subscribed or self._asked_at is not None:
            return None
        self._asked_at = now
        return _echo(now)

    def echo_failed(self) -> None:
        """The broker did not take the echo: nothing is known of the queue, and the next one is due."""
        self._asked_at, self._echoed = None, False

    def echo_received(self, now: int, echo: bytes) -> None:
        """An echo came back. If it is the one that was sent last, everything queued before it has been folded."""
        if self._asked_at is None or echo != _echo(self._asked_at):
            return
        if not self._echoed:
            self._echoed, self._at = True, now
        self._lag = now - self._asked_at
        self._asked_at = None

    def lag(self, now: int) -> int:
        """How far behind the broker's queue the gateway is, in milliseconds."""
        return self._lag if self._asked_at is None else max(self._lag, now - self._asked_at)

    @property
    def caught_up(self) -> bool:
        return self.subscribed and self._echoed

    def advance(self, now: int) -> int:
        """Milliseconds listened so far."""
        behind = self._asked_at is not None and now - self._asked_at > ECHO_LATE
        if self._at is not None and self.caught_up and not behind:
            self.elapsed += max(0, now - self._at)
        self._at = now
        return self.elapsed


def _echo(asked_at: int) -> bytes:
    """An echo of a connection before, queued by the broker meanwhile, is told apart by its time."""
    return msgspec.msgpack.encode(asked_at)

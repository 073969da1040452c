"""The listening clock: time during which silence means something.

It advances only while the gateway is subscribed and has caught up with what the broker queued. That it has caught
up is known by an echo: a message the telemetry session sends to itself, which the broker delivers behind everything
queued before.
"""

from __future__ import annotations

from dataclasses import dataclass

ECHO_EVERY = 1_000
ECHO_LATE = 1_500


@dataclass(slots=True)
class ListeningClock:
    """Milliseconds spent listening. `now` arguments are monotonic milliseconds."""

    elapsed: int = 0
    subscribed: bool = False
    _at: int | None = None
    _asked_at: int | None = None
    _heard: bool = False
    _lag: int = 0

    def connected(self, now: int) -> None:
        """Subscribed again: nothing is known of the queue until the next echo."""
        self.subscribed, self._heard, self._asked_at, self._at = True, False, None, now

    def lost(self) -> None:
        """The session is gone; silence means nothing."""
        self.subscribed, self._heard, self._asked_at = False, False, None

    def echo_due(self, now: int) -> bool:
        """Whether to send an echo; when true, the caller sends one."""
        if not self.subscribed or self._asked_at is not None:
            return False
        self._asked_at = now
        return True

    def heard(self, now: int) -> None:
        """The echo came back: everything queued before it has been folded."""
        if not self._heard:
            self._heard, self._at = True, now
        self._lag = 0 if self._asked_at is None else now - self._asked_at
        self._asked_at = None

    def lag(self, now: int) -> int:
        """How far behind the broker's queue the gateway is, in milliseconds."""
        return self._lag if self._asked_at is None else max(self._lag, now - self._asked_at)

    @property
    def waiting(self) -> bool:
        """Whether an echo is on its way."""
        return self._asked_at is not None

    @property
    def caught_up(self) -> bool:
        return self.subscribed and self._heard

    def advance(self, now: int) -> int:
        """Milliseconds listened so far."""
        behind = self._asked_at is not None and now - self._asked_at > ECHO_LATE
        if self._at is not None and self.caught_up and not behind:
            self.elapsed += max(0, now - self._at)
        self._at = now
        return self.elapsed

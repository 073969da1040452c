"""Messages the broker drops because some client's queue is full: somebody else's trouble, and worth knowing.

The broker counts over its whole life. What is told is what was added while this gateway listened, and only as long as
it goes on growing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge_gateway.status.catalogue import Problem
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import Problems

CLEAR_AFTER = 300.0
"""Seconds without growth until it is over; Mosquitto tells its count every ten seconds, if it has changed."""
MOST_DIGITS = 19


@dataclass(slots=True)
class BrokerDropped:
    """Follows the broker's counter. `clock` in seconds, monotonic."""

    clock: Callable[[], float]
    counters: Counters
    problems: Problems
    _last_count: int | None = None
    _dropped: int = 0
    _grew_at: float = 0.0

    def observe(self, payload: bytes) -> None:
        """Take the counter as the broker says it; what is no number is passed over."""
        if not payload.isdigit() or len(payload) > MOST_DIGITS:
            return
        count, last_count = int(payload), self._last_count
        self._last_count = count
        if last_count is None or count == last_count:
            return
        increase = (
            count - last_count if count > last_count else count
        )  # a broker that was started again counts from 0
        if increase:
            self._dropped += increase
            self._grew_at = self.clock()
            self.counters.broker_dropped += increase
            self.problems.raise_(Problem.BROKER_DROPPED, f"{self._dropped} messages")

    def expire(self) -> None:
        """Call now and then while listening: what has not grown for some minutes is over."""
        if Problem.BROKER_DROPPED in self.problems and self.clock() - self._grew_at > CLEAR_AFTER:
            self._dropped = 0
            self.problems.clear(Problem.BROKER_DROPPED)

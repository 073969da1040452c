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

OVER_AFTER = 300.0
"""Seconds without growth until it is over; Mosquitto tells its count every ten seconds, if it has changed."""
MOST_DIGITS = 19


@dataclass(slots=True)
class BrokerDropped:
    """Follows the broker's counter. `clock` in seconds, monotonic."""

    clock: Callable[[], float]
    counters: Counters
    problems: Problems
    _before: int | None = None
    _grew: int = 0
    _at: float = 0.0

    def heard(self, payload: bytes) -> None:
        """Take the counter as the broker says it; what is no number is passed over."""
        if not payload.isdigit() or len(payload) > MOST_DIGITS:
            return
        count, before = int(payload), self._before
        self._before = count
        if before is None or count == before:
            return
        grown = count - before if count > before else count  # a broker that was started again counts from 0
        if grown:
            self._grew += grown
            self._at = self.clock()
            self.counters.broker_dropped += grown
            self.problems.raise_(Problem.BROKER_DROPPED, f"{self._grew} messages")

    def look(self) -> None:
        """Call now and then while listening: what has not grown for some minutes is over."""
        if Problem.BROKER_DROPPED in self.problems and self.clock() - self._at > OVER_AFTER:
            self._grew = 0
            self.problems.clear(Problem.BROKER_DROPPED)

"""The notice about messages the broker drops because another client's queue is full.

The broker's counter covers its whole life. The notice counts only drops seen by this process, and clears once the
counter stops growing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge_gateway.status.catalogue import Problem
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import Problems
from fleet_config.counting import counted

CLEAR_AFTER = 300.0
"""Seconds without growth until the notice clears; Mosquitto publishes a changed counter every ten seconds."""

MOST_DIGITS = 19


@dataclass(slots=True)
class BrokerDropped:
    """Tracks the broker's counter of dropped messages. `clock`: monotonic seconds."""

    clock: Callable[[], float]
    counters: Counters
    problems: Problems
    _last_count: int | None = None
    _dropped: int = 0
    _grew_at: float = 0.0

    def observe(self, payload: bytes) -> None:
        """Record a published counter value; ignore anything that is not a decimal number."""
        if not payload.isdigit() or len(payload) > MOST_DIGITS:
            return
        count, last_count = int(payload), self._last_count
        self._last_count = count
        if last_count is None or count == last_count:
            return
        restarted = count < last_count  # then it counts from 0 again
        increase = count if restarted else count - last_count
        if increase:
            self._dropped += increase
            self._grew_at = self.clock()
            self.counters.broker_dropped += increase
            self.problems.raise_(Problem.BROKER_DROPPED, counted(self._dropped, "message"))

    def expire(self) -> None:
        """Clear the notice after `CLEAR_AFTER` seconds without growth; call periodically."""
        if Problem.BROKER_DROPPED in self.problems and self.clock() - self._grew_at > CLEAR_AFTER:
            self._dropped = 0
            self.problems.clear(Problem.BROKER_DROPPED)

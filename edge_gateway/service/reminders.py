"""Which firing alerts a database is told of again: all of them after a start, and then daily.

A database that was emptied, set up anew or keeps less than an alert lasts has no point of it otherwise. Reminders go
through the fold, which gives each a later time than the alert's last transition; they are not published.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edge_gateway.rules.alerts.evaluator import Evaluator

REMIND_EVERY: Final = 86_400_000
"""Milliseconds of monotonic time."""
MOST_AT_ONCE: Final = 500
"""Alerts in one input: a fold of so many takes a few ms, in which no delivery is folded."""


@dataclass(slots=True)
class Reminders:
    """What is still to be told of this round. `_at`: monotonic ms at which the round began."""

    _left: list[str] = field(default_factory=list)
    _at: int = -REMIND_EVERY

    def due(self, evaluator: Evaluator, now: int) -> list[str]:
        """Return ids of the next alerts to tell of at monotonic ms, MOST_AT_ONCE at most; none if all were told of."""
        if now - self._at >= REMIND_EVERY:
            self._at, self._left = now, evaluator.firing_ids()
        told, self._left = self._left[:MOST_AT_ONCE], self._left[MOST_AT_ONCE:]
        return told

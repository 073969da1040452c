"""Which firing alerts the broker does not retain any more, since it crashed or lost its database.

Each connection begins with a subscription that brings what is retained. What fires, does not wait to be sent, and has
not come once the broker is quiet, is published again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

QUIET: Final = 10.0
"""Seconds without a retained alert after which no more are expected."""
MOST_NOTED: Final = 100_000


@dataclass(slots=True)
class RetainedAlerts:
    """What one connection brought. `clock`: monotonic seconds."""

    clock: Callable[[], float]
    _kept: set[str] = field(default_factory=set)
    _wanted: frozenset[str] = frozenset()
    _due: float | None = None
    """When no more are expected; None: before the subscriptions, after the comparison, or if it cannot be made."""

    def connecting(self) -> None:
        """Begin anew: what was retained before says nothing."""
        self._kept, self._wanted, self._due = set(), frozenset(), None

    def subscribed(self, wanted: Iterable[str]) -> None:
        """Note the topics that the broker should retain."""
        self._wanted, self._due = frozenset(wanted), self.clock() + QUIET

    def received(self, topic: str) -> None:
        """Note a retained alert."""
        if len(self._kept) < MOST_NOTED:
            self._kept.add(topic)
        if self._due is not None:
            self._due = self.clock() + QUIET

    def forgotten(self) -> frozenset[str]:
        """Return the topics that the broker does not retain; once, and none before it is known."""
        if self._due is None or self.clock() < self._due:
            return frozenset()
        self._due = None
        return frozenset() if len(self._kept) >= MOST_NOTED else self._wanted - self._kept

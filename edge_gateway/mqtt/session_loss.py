"""What the broker keeps for this gateway, and since when something may be missing where it kept nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from edge_gateway.status.catalogue import Problem
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import Problems

SHOWN_FOR = 24 * 3_600_000
"""Milliseconds that a lost session stays in the status: nothing mends it, and who looks once a day is told."""


@dataclass(slots=True)
class SessionLoss:
    """Whether the broker still knows this gateway's session; `wall` and `monotonic` are clocks in milliseconds.

    `received_to`: wall time up to which everything the broker held was taken; None: it never knew this gateway.
    """

    wall: Callable[[], int]
    monotonic: Callable[[], int]
    counters: Counters
    problems: Problems
    received_to: int | None = None
    _missing_since: int | None = None
    _reported_at: int = 0

    def connected(self, *, session_present: bool) -> None:
        """Tell of deliveries that nobody has any more, where the broker should have kept them and did not."""
        if self.received_to is not None and not session_present:
            self.counters.broker_sessions_lost += 1
            self._report(self.received_to)
        if self.received_to is None:
            self.received_to = self.wall()

    def disconnected(self, *, behind: int | None) -> None:
        """Remember what was heard; `behind` are milliseconds, None where the broker's queue was not caught up with."""
        if behind is not None:
            self.received_to = self.wall() - behind

    def expire(self) -> None:
        """Let a loss rest that was told for long enough."""
        if self._missing_since is not None and self.monotonic() - self._reported_at > SHOWN_FOR:
            self._missing_since = None
            self.problems.clear(Problem.SESSION_LOST)

    def _report(self, since: int) -> None:
        if self._missing_since is None:
            self._missing_since = since
        self._reported_at = self.monotonic()
        between = f"from {_stamp(self._missing_since)} to {_stamp(self.wall())}"
        self.problems.raise_(Problem.SESSION_LOST, between)


def _stamp(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")

"""Detect that the broker lost this gateway's session, and report the period whose deliveries may be missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from edge_gateway.status.catalogue import Problem
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import Problems

SHOWN_FOR = 24 * 3_600_000
"""Milliseconds a lost session stays in the status. Nothing can repair it, so it stays long enough for a daily check."""


@dataclass(slots=True)
class SessionLoss:
    """Raises `SESSION_LOST` when the broker should have kept the session and did not.

    `wall`, `monotonic`: clocks in milliseconds. `received_to`: wall time up to which everything the broker had queued
    was received; None if this gateway never connected before.
    """

    wall: Callable[[], int]
    monotonic: Callable[[], int]
    counters: Counters
    problems: Problems
    received_to: int | None = None
    _missing_since: int | None = None
    _reported_at: int = 0

    def connected(self, *, session_present: bool) -> None:
        """Report a loss if an earlier session existed and CONNACK says it is gone."""
        if self.received_to is not None and not session_present:
            self.counters.broker_sessions_lost += 1
            self._report(self.received_to)
        if self.received_to is None:
            self.received_to = self.wall()

    def disconnected(self, *, behind: int | None) -> None:
        """Advance `received_to`; `behind`: lag in milliseconds, None if the broker's queue was not yet drained."""
        if behind is not None:
            self.received_to = self.wall() - behind

    def expire(self) -> None:
        """Clear the problem after `SHOWN_FOR`; call periodically."""
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

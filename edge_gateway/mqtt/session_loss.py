"""Detect that the broker lost this gateway's session, and report the period whose deliveries may be missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from edge_gateway.status.catalogue import Problem
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import Problems

_BEGINNING = re.compile(r" from (\S+ \S+) to ")
"""The beginning of the period, in the text of an open problem."""


@dataclass(slots=True)
class SessionLoss:
    """Raises `SESSION_LOST` when the broker should have kept the session and did not.

    The problem lasts for a day, long enough for a daily check, and a restart does not end it. `wall`: a clock in
    milliseconds. `received_to`: wall time up to which everything the broker had queued was received; None if this
    gateway never connected before.
    """

    wall: Callable[[], int]
    counters: Counters
    problems: Problems
    received_to: int | None = None

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

    def _report(self, since: int) -> None:
        """Raise the problem; one that is open goes on, from its own beginning."""
        told = _BEGINNING.search(self.problems.text_of(Problem.SESSION_LOST))
        beginning = told[1] if told else _stamp(since)
        self.problems.raise_(Problem.SESSION_LOST, f"from {beginning} to {_stamp(self.wall())}")


def _stamp(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")

"""Decide whether this gateway keeps its id or yields it to another gateway with the same one.

Two gateways with one id have the same client ids, so each pushes the other's connections off the broker. The one that
is pushed off yields and stands by until the other falls silent. It learns of the other
    from the broker, which sends reason code 0x8E (Mosquitto 2.0 does not), or
    from the retained status: it published one, and finds that of another start in its place.
Neither compares clocks. A status that is retained before this start has published one is history, and no reason to
yield. If no start of this spool published it, the gateway did something that this spool does not know: it is new, or an
older copy. Nothing is sent to a database before that is known, and for a while nothing is counted.
A live foreign status is reported, but the gateway does not yield to it: anyone may publish one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from edge_gateway.status.catalogue import Problem
from edge_gateway.status.counters import Counters
from edge_gateway.status.problem import Gravity
from edge_gateway.status.problems import Problems

SHOWN_FOR = 60.0
"""Seconds without a foreign status until the problem clears; a gateway publishes one every ten."""
LEARN_WITHIN = 15.0
"""Seconds that deliveries wait for what is retained: a control connection that fails must not stop them for good."""
AT_WORK = frozenset({"starting", "online"})


async def _ignored() -> None:
    """Do nothing about a spool that is not the newest."""


class StatusOrigin(Enum):
    """Who published a status found on this gateway's topic."""

    OURS = auto()
    """This start, or an earlier one with this spool."""
    PAST = auto()
    """Retained before this start published its own."""
    FOREIGN = auto()
    """Another client, live."""
    RIVAL = auto()
    """Another gateway, which replaced our retained status: it took the connection."""


@dataclass(slots=True)
class Ownership:
    """Whether the id is ours; shared by both connections.

    `starts`: nonces of this spool's starts, the current one last. `clock`: monotonic seconds.
    """

    starts: Sequence[str]
    clock: Callable[[], float]
    counters: Counters
    problems: Problems
    on_give_way: list[Callable[[], None]] = field(default_factory=list)
    """Called when this gateway yields the id, to end connections."""
    on_outdated: Callable[[], Awaitable[None]] = _ignored
    """Called once if a start published last that this spool does not know; returns when that is on disk."""
    published: bool = False
    """Whether the broker acknowledged a status of this start."""
    _held: asyncio.Event = field(default_factory=asyncio.Event)
    _learned: asyncio.Event = field(default_factory=asyncio.Event)
    _outdated: bool = False
    _foreign_at: float = 0.0

    def __post_init__(self) -> None:
        self._held.set()

    @property
    def nonce(self) -> str:
        """The nonce of this start."""
        return self.starts[-1]

    @property
    def held(self) -> bool:
        return self._held.is_set()

    async def wait_held(self) -> None:
        """Wait until this gateway holds the id."""
        await self._held.wait()

    async def wait_learned(self, within: float | None = None) -> bool:
        """Wait, so many seconds at most, until the publisher of the retained status is known; return whether it is."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._learned.wait()
        return self._learned.is_set()

    async def learned(self) -> None:
        """Go on: what was retained before this start has been received."""
        if self._outdated and not self._learned.is_set():
            await self.on_outdated()
        self._learned.set()

    def origin_of(self, status: Mapping[str, Any], *, retained: bool) -> StatusOrigin:
        """Classify a status found on this gateway's topic."""
        nonce = status.get("nonce")
        if isinstance(nonce, str) and nonce in self.starts:
            return StatusOrigin.OURS
        if not retained:
            return StatusOrigin.FOREIGN
        return StatusOrigin.RIVAL if self.published else StatusOrigin.PAST

    def judge(self, status: Mapping[str, Any], *, retained: bool) -> None:
        """Act on a status found on this gateway's topic."""
        match self.origin_of(status, retained=retained):
            case StatusOrigin.RIVAL:
                self.give_way()
            case StatusOrigin.FOREIGN:
                self.report_foreign_status()
            case StatusOrigin.PAST:
                self._outdated = True

    def is_at_work(self, status: Mapping[str, Any]) -> bool:
        """Return whether a live status shows another running gateway with this id."""
        foreign = self.origin_of(status, retained=False) is StatusOrigin.FOREIGN
        return foreign and status.get("state") in AT_WORK

    def give_way(self) -> None:
        """Yield the id to another gateway until `take_back`."""
        if not self.held:
            return
        self._held.clear()
        self._foreign_at = self.clock()
        self.counters.taken_over += 1
        self.problems.raise_(
            Problem.TAKEN_OVER,
            "another gateway uses this id and has its connections; this one stands by: give each its own gateway.id",
        )
        for end in self.on_give_way:
            end()

    def take_back(self) -> None:
        """Claim the id again after the other gateway fell silent."""
        self.published = False
        self.problems.clear(Problem.TAKEN_OVER)
        self._held.set()

    def report_foreign_status(self) -> None:
        """Warn that another client publishes this gateway's status while we hold the connections."""
        self._foreign_at = self.clock()
        if self.held:
            text = "another client publishes this gateway's status: check for a second gateway of this id, and the ACL"
            self.problems.raise_(Problem.TAKEN_OVER, text, Gravity.WARNING)

    def expire(self) -> None:
        """Clear the warning `SHOWN_FOR` seconds after the last foreign status; call periodically."""
        if self.held and Problem.TAKEN_OVER in self.problems and self.clock() - self._foreign_at > SHOWN_FOR:
            self.problems.clear(Problem.TAKEN_OVER)

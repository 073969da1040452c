"""Whether this gateway goes on under its id, or leaves it to another that uses the same.

Two gateways of one id have the same client ids, so that the connections of one push those of the other off the broker.
The one that is pushed off gives way, and stands by until nobody is heard any more. It learns of the other
    from the broker, which says 0x8E (Mosquitto 2.0 does not), or
    from the status: it left one of its own there, and finds that of another start in its place.
Neither is a matter of clocks. What is retained when a gateway has not yet left a status is the past, whoever wrote it;
a status that is heard live and is not its own is told, but nobody gives way to what anyone may write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from edge_gateway.status.catalogue import Problem
from edge_gateway.status.counters import Counters
from edge_gateway.status.problem import Gravity
from edge_gateway.status.problems import Problems

SHOWN_FOR = 60.0
"""Seconds without another's status until it is taken for over; a gateway publishes one every ten."""
AT_WORK = frozenset({"starting", "online"})


class StatusOrigin(Enum):
    """What a status on this gateway's topic means."""

    OURS = auto()
    """Of this start or an earlier one of this spool."""
    PAST = auto()
    """It was there before us."""
    FOREIGN = auto()
    """Somebody else writes there now."""
    RIVAL = auto()
    """It stands where ours stood: another gateway took the connection."""


@dataclass(slots=True)
class Ownership:
    """Shared by both connections. `starts` are the nonces of this spool's starts, the present one last.

    `clock` in seconds, monotonic.
    """

    starts: Sequence[str]
    clock: Callable[[], float]
    counters: Counters
    problems: Problems
    on_give_way: list[Callable[[], None]] = field(default_factory=list)
    """Called when another gateway takes the id: connections end."""
    published: bool = False
    """Whether the broker took a status of this start."""
    _held: asyncio.Event = field(default_factory=asyncio.Event)
    _foreign_at: float = 0.0

    def __post_init__(self) -> None:
        self._held.set()

    @property
    def nonce(self) -> str:
        """Of this start."""
        return self.starts[-1]

    @property
    def held(self) -> bool:
        return self._held.is_set()

    async def wait_held(self) -> None:
        """Wait until the id is this gateway's."""
        await self._held.wait()

    def origin_of(self, status: Mapping[str, Any], *, retained: bool) -> StatusOrigin:
        """Judge a status found on this gateway's topic."""
        nonce = status.get("nonce")
        if isinstance(nonce, str) and nonce in self.starts:
            return StatusOrigin.OURS
        if not retained:
            return StatusOrigin.FOREIGN
        return StatusOrigin.RIVAL if self.published else StatusOrigin.PAST

    def is_at_work(self, status: Mapping[str, Any]) -> bool:
        """Whether a status that comes live says that another gateway of this id is at work."""
        foreign = self.origin_of(status, retained=False) is StatusOrigin.FOREIGN
        return foreign and status.get("state") in AT_WORK

    def give_way(self) -> None:
        """Leave the id to another gateway, until `take_back`."""
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
        """Nobody else is heard: go on."""
        self.published = False
        self.problems.clear(Problem.TAKEN_OVER)
        self._held.set()

    def report_foreign_status(self) -> None:
        """Somebody else publishes as this gateway, though its connections are ours."""
        self._foreign_at = self.clock()
        if self.held:
            text = "another client publishes this gateway's status: check for a second gateway of this id, and the ACL"
            self.problems.raise_(Problem.TAKEN_OVER, text, Gravity.WARNING)

    def expire(self) -> None:
        """Call now and then: what has not been heard for a while is over."""
        if self.held and Problem.TAKEN_OVER in self.problems and self.clock() - self._foreign_at > SHOWN_FOR:
            self.problems.clear(Problem.TAKEN_OVER)

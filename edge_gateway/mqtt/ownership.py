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

TOLD_FOR = 60.0
"""Seconds without another's status until it is taken for over; a gateway publishes one every ten."""
AT_WORK = frozenset({"starting", "online"})


class Whose(Enum):
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
    on_given_way: list[Callable[[], None]] = field(default_factory=list)
    """Called when another gateway takes the id: connections end."""
    published: bool = False
    """Whether the broker took a status of this start."""
    _held: asyncio.Event = field(default_factory=asyncio.Event)
    _heard_at: float = 0.0

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

    def whose(self, status: Mapping[str, Any], *, retained: bool) -> Whose:
        """Judge a status found on this gateway's topic."""
        nonce = status.get("nonce")
        if isinstance(nonce, str) and nonce in self.starts:
            return Whose.OURS
        if not retained:
            return Whose.FOREIGN
        return Whose.RIVAL if self.published else Whose.PAST

    def is_at_work(self, status: Mapping[str, Any]) -> bool:
        """Whether a status that comes live says that another gateway of this id is at work."""
        foreign = self.whose(status, retained=False) is Whose.FOREIGN
        return foreign and status.get("state") in AT_WORK

    def give_way(self) -> None:
        """Leave the id to another gateway, until `take_back`."""
        if not self.held:
            return
        self._held.clear()
        self._heard_at = self.clock()
        self.counters.taken_over += 1
        self.problems.raise_(
            Problem.TAKEN_OVER,
            "another gateway uses this id and has its connections; this one stands by: give each its own gateway.id",
        )
        for end in self.on_given_way:
            end()

    def take_back(self) -> None:
        """Nobody else is heard: go on."""
        self.published = False
        self.problems.clear(Problem.TAKEN_OVER)
        self._held.set()

    def tell(self) -> None:
        """Somebody else publishes as this gateway, though its connections are ours."""
        self._heard_at = self.clock()
        if self.held:
            text = "another client publishes this gateway's status: check for a second gateway of this id, and the ACL"
            self.problems.raise_(Problem.TAKEN_OVER, text, Gravity.WARNING)

    def look(self) -> None:
        """Call now and then: what has not been heard for a while is over."""
        if self.held and Problem.TAKEN_OVER in self.problems and self.clock() - self._heard_at > TOLD_FOR:
            self.problems.clear(Problem.TAKEN_OVER)

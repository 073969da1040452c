"""A bad link: what goes over a connection is delayed, paced, or held back whole. For simulated devices."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, Self, TypeVar

__all__ = ["Conditions", "Pipe"]

T = TypeVar("T")


class Conditions(NamedTuple):
    """How a link is, each way: seconds of delay, bytes a second (None: any), and whether nothing comes through."""

    delay: float = 0.0
    rate: float | None = None
    dark: bool = False

    @classmethod
    def together(cls, every: Iterable[Self]) -> "Conditions":
        """What several make of one link: delays add up, the least rate holds."""
        links = list(every)
        rates = [link.rate for link in links if link.rate is not None]
        return Conditions(
            sum(link.delay for link in links),
            min(rates) if rates else None,
            any(link.dark for link in links),
        )


class Pipe(Generic[T]):
    """One direction of a connection. What is put in comes out in order, when the conditions allow it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, deliver: Callable[[T], None]) -> None:
        self._loop = loop
        self._deliver = deliver
        self._inside: deque[tuple[float, T]] = deque()
        self._free_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.conditions = Conditions()

    def put(self, item: T, size: int) -> None:
        """Put in something of `size` bytes."""
        now, conditions = self._loop.time(), self.conditions
        self._free_at = max(now, self._free_at) + (size / conditions.rate if conditions.rate else 0.0)
        self._inside.append((self._free_at + conditions.delay, item))
        self._arm()

    def change(self, conditions: Conditions) -> None:
        """Let other conditions hold; what is inside comes out when it would have, or as soon as it is light."""
        self.conditions = conditions
        self._arm()

    def close(self) -> None:
        """Drop what is inside."""
        self._inside.clear()
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._inside and not self.conditions.dark:
            self._timer = self._loop.call_at(self._inside[0][0], self._turn)

    def _turn(self) -> None:
        now = self._loop.time()
        while self._inside and self._inside[0][0] <= now and not self.conditions.dark:
            self._deliver(self._inside.popleft()[1])
        self._arm()

"""Things that must happen now and then."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Every:
    """A chore that is due every `seconds`; one that failed is tried again at the next look."""

    seconds: float
    do: Callable[[], Awaitable[None]]
    clock: Callable[[], float] = time.monotonic
    _due: float = field(init=False)

    def __post_init__(self) -> None:
        self._due = self.clock() + self.seconds

    def request_soon(self) -> None:
        """Make it due at once."""
        self._due = self.clock()

    async def run_if_due(self) -> None:
        """Do it if it is due."""
        if self.clock() >= self._due:
            await self.do()
            self._due = self.clock() + self.seconds

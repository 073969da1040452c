"""A task that is due at an interval."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Every:
    """A task due every `seconds`, counted from its last success; one that failed stays due. `clock`: seconds."""

    seconds: float
    do: Callable[[], Awaitable[None]]
    clock: Callable[[], float] = time.monotonic
    _due: float = field(init=False)

    def __post_init__(self) -> None:
        self._due = self.clock() + self.seconds

    def request_soon(self) -> None:
        """Make it due now."""
        self._due = self.clock()

    async def run_if_due(self) -> None:
        """Run it if it is due; its errors propagate."""
        if self.clock() >= self._due:
            await self.do()
            self._due = self.clock() + self.seconds

"""What happens when the disk is full, or the journal has used up its budget.

disk full ───▶ reserve released, deliveries wait ─▶ checkpoint, alerts, commands use it ─▶ reserve made, all goes on
budget used ─┬─ stop: nothing is acknowledged until a checkpoint has freed segments; it is lent room to be written
             └─ drop_oldest: the oldest records go, counted; on a full disk too, once the reserve is gone
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from edge_gateway.config import SpoolSection
from edge_gateway.durable.commit_queue import CommitQueue
from edge_gateway.durable.files import is_full
from edge_gateway.durable.journal import Journal, JournalFull
from edge_gateway.durable.reserve import RESERVE_BYTES, Reserve
from edge_gateway.status import Counters, Problems

PROBLEM = "disk"
LOAN = 64 << 20
MARGIN = 8 << 20
"""What must be free beside a reserve that is made again: else deliveries would fill the disk at once."""


@dataclass(slots=True)
class Room:
    """Decides what a spool without room may still write; `accepting` is set while deliveries may be folded."""

    spool: SpoolSection
    journal: Journal
    commits: CommitQueue
    reserve: Reserve
    accepting: asyncio.Event
    counters: Counters
    problems: Problems
    hasten: Callable[[], None] = lambda: None
    """Writes a checkpoint soon, which frees the journal."""
    _stalled: bool = field(default=False)

    def commit_failed(self, error: Exception) -> None:
        """A group could not be committed, once more: make room where that is allowed, and say what is wrong."""
        if not self._stalled:
            self._stalled = True
            self.counters.add("commits_stalled")
        if isinstance(error, JournalFull):
            freed = self._drop_oldest() or self._lend()
        else:
            freed = is_full(error) and (self._release() or self._drop_oldest())
        self._tell(str(error))
        if freed:
            self.commits.retry_now()

    def commit_resumed(self) -> None:
        """Groups are committed again; deliveries wait until there is a reserve again."""
        self._stalled = False
        if self.accepting.is_set():
            self.problems.clear(PROBLEM)

    def refused(self, error: Exception) -> None:
        """The store, or a chore, could not write."""
        if is_full(error) and self._release():
            self._tell(str(error))

    async def look(self) -> None:
        """Make the reserve where there is none; deliveries that waited for it go on."""
        await asyncio.to_thread(self.reserve.make, beside=None if self.accepting.is_set() else MARGIN)
        if self.accepting.is_set():
            return
        if self.reserve.held:  # asked anew: it may have been released meanwhile
            self.accepting.set()
            if not self._stalled:
                self.problems.clear(PROBLEM)
        else:
            self._tell(f"the disk has less than {(RESERVE_BYTES + MARGIN) >> 20} MiB left")

    def checkpointed(self) -> None:
        """A checkpoint stands: what was lent for it is given back."""
        self.journal.max_bytes = self.spool.max_bytes

    def _tell(self, error: str) -> None:
        told = f"nothing is acknowledged: {error}; free space, and it goes on by itself"
        self.problems.raise_(PROBLEM, told)

    def _release(self) -> bool:
        """Give the reserve up, for everything but deliveries; whether there was one."""
        if not self.reserve.release():
            return False
        self.counters.add("reserve_released")
        self.accepting.clear()
        self.hasten()
        return True

    def _drop_oldest(self) -> bool:
        dropped = self.journal.drop_oldest() if self.spool.on_full == "drop_oldest" else None
        if dropped is None:
            return False
        self.counters.add("records_dropped", dropped[1] - dropped[0] + 1)
        return True

    def _lend(self) -> bool:
        """Once: without it the checkpoint that frees the journal could never be written."""
        if self.journal.max_bytes != self.spool.max_bytes:
            return False
        self.journal.max_bytes = self.spool.max_bytes + LOAN
        self.counters.add("journal_lent")
        self.hasten()
        return True

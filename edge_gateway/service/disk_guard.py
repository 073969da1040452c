"""What happens when the disk is full, or the journal has used up its budget.

disk full ───▶ reserve released, deliveries wait ─▶ checkpoint, alerts, commands use it ─▶ reserve made, all goes on
budget used ─┬─ stop: nothing is acknowledged until a checkpoint has freed segments; it is lent room to be written
             └─ drop_oldest: the oldest records go, counted; on a full disk too, once the reserve is gone
late table ──▶ over a quarter of the budget deliveries wait until it has been worked off

The budget is the spool's: the journal has what checkpoints, late table and quarantine leave of it, a quarter at least.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from edge_gateway.configuration.model import SpoolSection
from edge_gateway.journal import spool
from edge_gateway.journal.commit_queue import CommitQueue
from edge_gateway.journal.files import is_full
from edge_gateway.journal.journal import Journal, JournalFull
from edge_gateway.journal.reserve import RESERVE_BYTES, Reserve
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import Problems
from edge_gateway.store.budget import SpoolBytes, late_bytes, spool_bytes
from edge_gateway.store.store import StoreFacts

LOAN = 64 << 20
SHARE = 4
MARGIN = 8 << 20
"""What must be free beside a reserve that is made again: else deliveries would fill the disk at once."""

NOTHING_YET = SpoolBytes(0, 0, 0, 0)


@dataclass(slots=True)
class DiskGuard:
    """Decides what a spool without room may still write; `accepting` is set while deliveries may be folded."""

    section: SpoolSection
    journal: Journal
    commits: CommitQueue
    reserve: Reserve
    store_facts: Callable[[], StoreFacts]
    accepting: asyncio.Event
    counters: Counters
    problems: Problems
    request_checkpoint: Callable[[], None] = lambda: None
    """Writes a checkpoint soon, which frees the journal."""
    used: SpoolBytes = NOTHING_YET
    _stalled: bool = False
    _released: bool = False
    _late_full: bool = False
    _lent: bool = False

    def __post_init__(self) -> None:
        self._apply_budget()

    @property
    def budget(self) -> int:
        """Bytes that the journal may take."""
        most = self.section.max_bytes
        return max(most - self.used.beside_journal, most // SHARE)

    def commit_failed(self, error: Exception) -> None:
        """A group could not be committed, once more: make room where that is allowed, and say what is wrong."""
        if not self._stalled:
            self._stalled = True
            self.counters.commits_stalled += 1
        if isinstance(error, JournalFull):
            freed = self._drop_oldest() or self._lend()
        else:
            freed = is_full(error) and (self._release() or self._drop_oldest())
        self._report(str(error))
        if freed:
            self.commits.retry_now()

    def commit_resumed(self) -> None:
        """Groups are committed again; deliveries wait until there is a reserve again."""
        self._stalled = False
        self._settle()

    def write_failed(self, error: Exception) -> None:
        """The store, or a chore, could not write."""
        if is_full(error) and self._release():
            self._report(str(error))

    async def check(self) -> None:
        """Make the reserve where there is none, and see what is used; deliveries that waited for it go on."""
        await asyncio.to_thread(self._measure)
        self._released = self._released and not self.reserve.held  # it may have been released meanwhile
        late = self.used.late > late_bytes(self.section.max_bytes)
        self.counters.late_table_full += late and not self._late_full
        self._late_full = late
        if self._released:
            self._report(f"the disk has less than {(RESERVE_BYTES + MARGIN) >> 20} MiB left")
        elif late:
            self.problems.raise_(Problem.DISK, "late readings must be merged first")
        self._apply_budget()
        self._settle()

    def _measure(self) -> None:
        self.reserve.make(beside=MARGIN if self._released else None)
        checkpoints = self.section.path / spool.CHECKPOINTS
        self.used = spool_bytes(checkpoints, self.journal.total_bytes, self.store_facts())

    def checkpointed(self) -> None:
        """A checkpoint stands: what was lent for it is given back."""
        self._lent = False
        self._apply_budget()

    def _apply_budget(self) -> None:
        self.journal.max_bytes = self.budget + (LOAN if self._lent else 0)

    def _settle(self) -> None:
        """Take deliveries in, or let them wait."""
        if self._released or self._late_full:
            self.accepting.clear()
            return
        self.accepting.set()
        if not self._stalled:
            self.problems.clear(Problem.DISK)

    def _report(self, error: str) -> None:
        self.problems.raise_(Problem.DISK, f"{error}; free space, and it goes on by itself")

    def _release(self) -> bool:
        """Give the reserve up, for everything but deliveries; whether there was one."""
        if not self.reserve.release():
            return False
        self.counters.reserve_released += 1
        self._released = True
        self._settle()
        self.request_checkpoint()
        return True

    def _drop_oldest(self) -> bool:
        dropped = self.journal.drop_oldest() if self.section.on_full == "drop_oldest" else None
        if dropped is None:
            return False
        self.counters.records_dropped += dropped[1] - dropped[0] + 1
        return True

    def _lend(self) -> bool:
        """Once: without it the checkpoint that frees the journal could never be written."""
        if self._lent:
            return False
        self._lent = True
        self._apply_budget()
        self.counters.journal_lent += 1
        self.request_checkpoint()
        return True

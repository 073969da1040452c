"""What happens when the disk is full or the spool has used up its budget.

disk full ───▶ release the reserve, pause deliveries ─▶ checkpoint, alerts, commands use it ─▶ recreate it, resume
budget used ─┬─ stop: acknowledge nothing until a checkpoint has freed segments; lend the room to write one
             └─ drop_oldest: delete the oldest records, counted; on a full disk too, once the reserve is gone
late table ──▶ over a quarter of the budget: pause deliveries until it has been merged

`spool.max_bytes` covers the whole spool: the journal gets what checkpoints, late table and quarantine leave, at least
a quarter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from edge_gateway.configuration.model import SpoolSection
from edge_gateway.journal import spool
from edge_gateway.journal.commit_queue import CommitQueue
from edge_gateway.journal.files import is_full
from edge_gateway.journal.reserve import RESERVE_BYTES, Reserve
from edge_gateway.journal.segments import Journal, JournalFull
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import Problems
from edge_gateway.store.budget import SpoolBytes, late_bytes, spool_bytes
from edge_gateway.store.database import StoreFacts
from fleet_console.failures import in_words

LOAN = 64 << 20
"""Bytes lent beyond the budget, to write the checkpoint that frees the journal."""
SHARE = 4
"""The journal may always use one part in so many of the budget."""
MARGIN = 8 << 20
"""Bytes that must be free beside a recreated reserve, or deliveries would fill the disk again at once."""

NOTHING_YET = SpoolBytes(0, 0, 0, 0)


@dataclass(slots=True)
class DiskGuard:
    """Decides what may still be written when room runs out; `accepting` is set while deliveries may be folded."""

    section: SpoolSection
    journal: Journal
    commits: CommitQueue
    reserve: Reserve
    store_facts: Callable[[], StoreFacts]
    accepting: asyncio.Event
    counters: Counters
    problems: Problems
    request_checkpoint: Callable[[], None] = lambda: None
    """Asks for an early checkpoint, which frees journal segments."""
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
        """Handle each failed try to commit: make room if the configuration allows it, and report the problem."""
        if not self._stalled:
            self._stalled = True
            self.counters.commits_stalled += 1
        if isinstance(error, JournalFull):
            freed = self._drop_oldest() or self._lend()
        else:
            freed = is_full(error) and (self._release() or self._drop_oldest())
        self._report_failure(error)
        if freed:
            self.commits.retry_now()

    def commit_resumed(self) -> None:
        """Note that commits succeed again; deliveries stay paused until the reserve exists again."""
        self._stalled = False
        self._settle()

    def write_failed(self, error: Exception) -> None:
        """Handle a failed write of the store or of a maintenance task."""
        if is_full(error) and self._release():
            self._report_failure(error)

    async def check(self) -> None:
        """Recreate a missing reserve, measure the spool, and resume deliveries if there is room; call periodically."""
        await asyncio.to_thread(self._measure)
        self._released = self._released and not self.reserve.held  # it may have been released meanwhile
        late = self.used.late > late_bytes(self.section.max_bytes)
        self.counters.late_table_full += late and not self._late_full
        self._late_full = late
        if self._released:
            self._report(
                f"the disk of {self.section.path} has less than {(RESERVE_BYTES + MARGIN) >> 20} MiB left"
            )
        elif late:
            self.problems.raise_(
                Problem.DISK,
                "late readings must be merged before deliveries go on",
            )
        self._apply_budget()
        self._settle()

    def _measure(self) -> None:
        self.reserve.make(beside=MARGIN if self._released else None)
        checkpoints = self.section.path / spool.CHECKPOINTS
        self.used = spool_bytes(checkpoints, self.journal.total_bytes, self.store_facts())

    def checkpointed(self) -> None:
        """Note a written checkpoint: its loan is paid back."""
        self._lent = False
        self._apply_budget()

    def _apply_budget(self) -> None:
        self.journal.max_bytes = self.budget + (LOAN if self._lent else 0)

    def _settle(self) -> None:
        """Pause or resume deliveries."""
        if self._released or self._late_full:
            self.accepting.clear()
            return
        self.accepting.set()
        if not self._stalled:
            self.problems.clear(Problem.DISK)

    def _report_failure(self, error: Exception) -> None:
        text = in_words(error) if isinstance(error, OSError) else str(error)
        place = self.section.path
        self._report(
            f"{text}, in {place}" if isinstance(error, JournalFull) else f"the disk of {place}: {text}"
        )

    def _report(self, error: str) -> None:
        self.problems.raise_(Problem.DISK, f"{error}; free space, and it goes on by itself")

    def _release(self) -> bool:
        """Release the reserve for everything but deliveries; return whether there was one."""
        if not self.reserve.release():
            return False
        self.counters.reserve_released += 1
        self._released = True
        self._settle()
        self.request_checkpoint()
        return True

    def _drop_oldest(self) -> bool:
        if self.section.on_full != "drop_oldest":
            return False
        try:
            dropped = self.journal.drop_oldest()
        except OSError:  # the commit that needs the room is tried again, and this with it
            return False
        if dropped is None:
            return False
        self.counters.records_dropped += dropped[1] - dropped[0] + 1
        return True

    def _lend(self) -> bool:
        """Lend room once, since the checkpoint that frees the journal could not be written otherwise."""
        if self._lent:
            return False
        self._lent = True
        self._apply_budget()
        self.counters.journal_lent += 1
        self.request_checkpoint()
        return True

"""What happens when the disk is full or the spool has used up its budget.

disk full ───▶ release the reserve, pause deliveries ─▶ checkpoint, alerts, commands use it ─▶ recreate it, resume
budget used ─┬─ stop: acknowledge nothing until a checkpoint has freed segments; lend the room to write one
             └─ drop_oldest: delete the oldest records, counted; on a full disk too, once the reserve is gone
late table ──▶ over a quarter of the budget: pause deliveries until it has been merged
any of these ─▶ the problem `disk`, which names each cause that holds (`disk_causes`)

`spool.max_bytes` covers the whole spool: the journal gets what checkpoints, late table and quarantine leave, at least
a quarter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from edge_gateway.configuration.model import SpoolSection
from edge_gateway.journal import spool
from edge_gateway.journal.commit_queue import CommitQueue
from edge_gateway.journal.files import is_full
from edge_gateway.journal.reserve import RESERVE_BYTES, Reserve
from edge_gateway.journal.segments import Journal, JournalFull
from edge_gateway.service import disk_causes
from edge_gateway.service.disk_causes import Cause, cause_of
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
    _failed: Cause | None = None
    """Why the newest commit failed, until one succeeds."""
    _error: str = ""
    """What it failed with."""
    _released: Cause | None = None
    """Why the reserve is released."""
    _late_full: bool = False
    _lent: bool = False
    _told: dict[Cause, str] = field(default_factory=dict)
    """What is said of each cause that holds, with the figures of the moment it began: a steady text."""

    _began_with: int | None = field(init=False)
    """The newest record of the journal at the start: with a newer one, the disk has been written to."""

    def __post_init__(self) -> None:
        self._began_with = self.journal.last_number
        self._apply_budget()

    @property
    def budget(self) -> int:
        """Bytes that the journal may take."""
        most = self.section.max_bytes
        return max(most - self.used.beside_journal, most // SHARE)

    def commit_failed(self, error: Exception) -> None:
        """Handle each failed try to commit: make room if the configuration allows it, and report the problem."""
        self.counters.commits_stalled += self._failed is None
        self._failed, self._error = cause_of(error), in_words(error)
        if isinstance(error, JournalFull):
            freed = self._drop_oldest() or self._lend()
        else:
            freed = is_full(error) and (self._release(error) or self._drop_oldest())
        self._tell()
        if freed:
            self.commits.retry_now()

    def commit_resumed(self) -> None:
        """Note that commits succeed again; deliveries stay paused until the reserve exists again."""
        self._failed = None
        self._settle()

    def write_failed(self, error: Exception) -> None:
        """Handle a failed write of the store or of a maintenance task."""
        if is_full(error):
            self._release(error)

    async def check(self) -> None:
        """Recreate a missing reserve, measure the spool, and resume deliveries if there is room; call periodically."""
        await asyncio.to_thread(self._measure)
        if self.reserve.held:  # it may have been released meanwhile
            self._released = None
        late = self.used.late > late_bytes(self.section.max_bytes)
        self.counters.late_table_full += late and not self._late_full
        self._late_full = late
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
        else:
            self.accepting.set()
        self._tell()

    def _tell(self) -> None:
        """Report every cause that holds; without one, the problem is over."""
        holding = {self._failed, self._released, Cause.LATE if self._late_full else None}
        self._told = {
            cause: self._told.get(cause) or self._text(cause) for cause in Cause if cause in holding
        }
        written = self.journal.last_number != self._began_with
        self.problems.update(Problem.DISK, "; ".join(self._told.values()), settled=written)

    def _text(self, cause: Cause) -> str:
        place, most = self.section.path, self.section.max_bytes
        match cause:
            case Cause.DISK_FULL:
                return disk_causes.disk_full(place, RESERVE_BYTES + MARGIN)
            case Cause.QUOTA:
                return disk_causes.quota_used_up(place)
            case Cause.DISK_FAULT:
                return disk_causes.disk_fault(place, self._error)
            case Cause.BUDGET:
                used = self.used._replace(journal=self.journal.total_bytes)
                return disk_causes.budget_used_up(place, most, used)
            case Cause.LATE:
                return disk_causes.late_share_used_up(place, most, self.used)

    def _release(self, error: Exception) -> bool:
        """Release the reserve for everything but deliveries; return whether there was one."""
        if not self.reserve.release():
            return False
        self.counters.reserve_released += 1
        self._released = cause_of(error)
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

"""How much of the spool's budget is used: journal, checkpoints, late table and quarantine.

Outbox and history have budgets of their own.
"""

from pathlib import Path
from typing import Final, NamedTuple

from edge_gateway.store.store import StoreFacts

LATE_BYTES: Final = 64
"""What a late reading takes in its table, about."""
LATE_PART: Final = 4
"""The late table may take so great a part of the spool's budget, and a device as great a part of that."""


class SpoolBytes(NamedTuple):
    """Bytes of each part."""

    journal: int
    checkpoints: int
    late: int
    quarantine: int

    @property
    def total(self) -> int:
        return sum(self)

    @property
    def beside_journal(self) -> int:
        """What is left for the journal is the budget less this."""
        return self.total - self.journal


def late_bytes(max_bytes: int) -> int:
    """How many bytes of late readings may wait in a spool of this budget before deliveries do."""
    return max_bytes // LATE_PART


def late_share(max_bytes: int) -> int:
    """How many late readings of one device may wait there."""
    return max(late_bytes(max_bytes) // LATE_PART // LATE_BYTES, 1)


def spool_bytes(checkpoints: Path, journal: int, facts: StoreFacts) -> SpoolBytes:
    """What the parts of a spool take; `checkpoints` is their directory, `journal` the segments' bytes."""
    sizes = (path.stat().st_size for path in checkpoints.glob("checkpoint-*") if ".corrupt-" not in path.name)
    return SpoolBytes(journal, sum(sizes), facts.late_pending * LATE_BYTES, facts.quarantine_bytes)

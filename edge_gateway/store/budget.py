"""What uses the spool's budget: journal, checkpoints, late readings and quarantine.

Outbox and history have budgets of their own.
"""

from pathlib import Path
from typing import Final, NamedTuple

from edge_gateway.store.database import StoreFacts

LATE_BYTES: Final = 64
"""Approximate size of a late reading in its table."""
LATE_PART: Final = 4
"""Late readings may take 1/LATE_PART of the spool's budget, and those of one device 1/LATE_PART of that."""
QUARANTINE_PART: Final = 4
"""The quarantine may take 1/QUARANTINE_PART of the spool's budget: the journal must not wait for room in it."""


class SpoolBytes(NamedTuple):
    """Bytes used by each part of the spool."""

    journal: int
    checkpoints: int
    late: int
    quarantine: int

    @property
    def total(self) -> int:
        return sum(self)

    @property
    def beside_journal(self) -> int:
        """Bytes that the other parts take from the journal's budget."""
        return self.total - self.journal


def late_bytes(max_bytes: int) -> int:
    """Bytes of late readings that may wait before deliveries are held back, by the spool's budget in bytes."""
    return max_bytes // LATE_PART


def late_share(max_bytes: int) -> int:
    """Number of late readings of one device that may wait, by the spool's budget in bytes; at least 1."""
    return max(late_bytes(max_bytes) // LATE_PART // LATE_BYTES, 1)


def quarantine_bytes(limit: int, max_bytes: int) -> int:
    """Bytes that the quarantine may take, by `limits.quarantine` and the spool's budget in bytes."""
    return min(limit, max_bytes // QUARANTINE_PART)


def spool_bytes(checkpoints: Path, journal: int, facts: StoreFacts) -> SpoolBytes:
    """Measure the parts of a spool.

    Args:
        checkpoints: directory of the checkpoints; those set aside do not count.
        journal: bytes of the journal's segments.
        facts: what the store says of itself.
    """
    sizes = (path.stat().st_size for path in checkpoints.glob("checkpoint-*") if ".corrupt-" not in path.name)
    return SpoolBytes(journal, sum(sizes), facts.late_pending * LATE_BYTES, facts.quarantine_bytes)

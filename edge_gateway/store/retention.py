"""How the history stays within its bounds of age and size, and what that does to the coverage floor."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from edge_gateway.store.settings import FOR_EVER, StoreSettings
from edge_gateway.store.window_table import WindowTable

PIECES: Final = 20
"""Over its size the history gives up a twentieth of its span at a time."""


def age_cutoff(now: int, keep: int) -> int:
    """Windows that start before this time (ms) are older than the history keeps; 0 keeps for ever."""
    return now - keep if keep else FOR_EVER


def size_cutoff(oldest: int, newest: int, used: int, most: int) -> int | None:
    """Windows that start before this time go in the next step to size; None within bounds."""
    if used <= most or oldest >= newest:
        return None
    return oldest + max(1, (newest - oldest) // PIECES)


def used_bytes(db: sqlite3.Connection) -> int:
    """Bytes of the file that hold data; freed pages are used again before the file grows."""
    pages: int = (
        db.execute("PRAGMA page_count").fetchone()[0] - db.execute("PRAGMA freelist_count").fetchone()[0]
    )
    return pages * int(db.execute("PRAGMA page_size").fetchone()[0])


class Retention:
    """Removes windows before a cutoff, all tiers alike, so that one coverage floor is true for all."""

    def __init__(
        self, db: sqlite3.Connection, settings: StoreSettings, tables: Sequence[WindowTable]
    ) -> None:
        self._db = db
        self._settings = settings
        self._tables = tables
        self.used = 0
        """Bytes of the history at the last look."""

    def cutoff(self, now: int, not_history: int) -> int | None:
        """Where to cut now, by age or size; `not_history` are bytes that have a budget of their own."""
        oldest, newest = self._span()
        self.used = max(used_bytes(self._db) - not_history, 0)
        if oldest is None or newest is None:
            return None
        by_age = age_cutoff(now, self._settings.history_keep)
        by_size = size_cutoff(oldest, newest, self.used, self._settings.history_max_bytes)
        cutoff = max(by_age, by_size or 0)
        return cutoff if cutoff > oldest else None

    def delete_before(self, cutoff: int) -> int:
        """Remove windows that start before the cutoff; returns how many."""
        tiers = range(len(self._settings.tiers))
        return sum(table.delete_before(tier, cutoff) for table in self._tables for tier in tiers)

    def _span(self) -> tuple[int | None, int | None]:
        tiers = range(len(self._settings.tiers))
        spans = [table.span(tier) for table in self._tables for tier in tiers]
        starts = [start for span in spans if span is not None for start in span]
        return (min(starts), max(starts)) if starts else (None, None)

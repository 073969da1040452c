"""Keep the history within its bounds of age and size."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from edge_gateway.store.settings import FOR_EVER, StoreSettings
from edge_gateway.store.window_table import WindowTable

SHARE: Final = 20
"""Above its size the history loses about 1/SHARE of its windows at a time, the oldest ones."""
SAMPLED: Final = 1_000
"""Windows, the oldest ones, whose average size stands for all: counting them would read the whole file."""
BYTES_BESIDE_ROW: Final = 24
"""Approximate bytes that a window takes on disk beside its row: key, revision, record header, cell pointer."""


def age_cutoff(now: int, keep: int) -> int:
    """Return the time (ms) before which windows are older than the history keeps; `keep` 0 is for ever."""
    return now - keep if keep else FOR_EVER


def used_bytes(db: sqlite3.Connection) -> int:
    """Return the bytes of the file that hold data; free pages are used again before the file grows."""
    pages: int = (
        db.execute("PRAGMA page_count").fetchone()[0] - db.execute("PRAGMA freelist_count").fetchone()[0]
    )
    return pages * int(db.execute("PRAGMA page_size").fetchone()[0])


class Retention:
    """Removes windows before a cutoff, the same for all tiers, so that one coverage floor holds for all."""

    def __init__(
        self, db: sqlite3.Connection, settings: StoreSettings, tables: Sequence[WindowTable]
    ) -> None:
        self._db = db
        self._settings = settings
        self._tables = tables
        self.used = 0
        """Bytes of the history when `cutoff` was last computed."""

    def cutoff(self, now: int, not_history: int) -> int | None:
        """Return the time (ms) before which windows are to go now, by age or size; None if nothing is.

        `not_history`: bytes in the same file that have a budget of their own.
        """
        oldest, newest = self._span()
        self.used = max(used_bytes(self._db) - not_history, 0)
        if oldest is None or newest is None:
            return None
        cutoff = age_cutoff(now, self._settings.history_keep)
        if self.used > self._settings.history_max_bytes and oldest < newest:
            cutoff = max(cutoff, self._start_behind_share(), oldest + 1)
        return cutoff if cutoff > oldest else None

    def delete_before(self, cutoff: int) -> int:
        """Remove windows that start before the cutoff (ms); return how many."""
        tiers = range(len(self._settings.tiers))
        return sum(table.delete_before(tier, cutoff) for table in self._tables for tier in tiers)

    def _start_behind_share(self) -> int:
        """Return the start (ms) of the window that has 1/SHARE of all before it; FOR_EVER if there are too few.

        Windows are counted, not time: the stamps of a clock that was wrong may stretch the history over decades.
        """
        tiers = range(len(self._settings.tiers))
        windows = " UNION ALL ".join(table.sizes(tier) for table in self._tables for tier in tiers)
        in_order = f"SELECT start, size FROM ({windows}) ORDER BY start"  # noqa: S608 - tables of this package
        sample = f"SELECT AVG(size) FROM ({in_order} LIMIT {SAMPLED})"  # noqa: S608
        (size,) = self._db.execute(sample).fetchone()
        share = self.used // (SHARE * (size + BYTES_BESIDE_ROW))
        row = self._db.execute(f"{in_order} LIMIT 1 OFFSET ?", (int(share),)).fetchone()
        return FOR_EVER if row is None else row[0]

    def _span(self) -> tuple[int | None, int | None]:
        tiers = range(len(self._settings.tiers))
        spans = [table.span(tier) for table in self._tables for tier in tiers]
        starts = [start for span in spans if span is not None for start in span]
        return (min(starts), max(starts)) if starts else (None, None)

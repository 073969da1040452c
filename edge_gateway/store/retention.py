"""Where the history is to be cut, to keep it within its bounds of age and size."""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Final

from edge_gateway.records.window_block import WINDOW_ROW
from edge_gateway.store.settings import FOR_EVER, StoreSettings
from edge_gateway.store.window_table import WindowTable

SHARE: Final = 20
"""Above its size the history loses about 1/SHARE of its windows at a time, the oldest ones of one tier."""
ANY_TIME: Final = 1 << 62
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
    """Finds the cuts, one for each tier.

    A cut is a start of the tier's windows, and none is later than the window that contains the base tier's cut: a
    coarser window is kept as long as any of its base windows.
    """

    def __init__(
        self, db: sqlite3.Connection, settings: StoreSettings, tables: Sequence[WindowTable]
    ) -> None:
        self._db = db
        self._every = [tier.every for tier in settings.tiers]
        self._keep = settings.history_keep
        self._max_bytes = settings.history_max_bytes
        self._tables = tables
        self.used = 0
        """Bytes of the history when `cuts` were last computed."""

    def cuts(self, now: int, not_history: int, cut: int) -> tuple[int, ...]:
        """Return by tier the time (ms) before which windows are to go now; empty if none are.

        Args:
            now: ms, the time that has certainly passed; it may lie far behind.
            not_history: bytes in the same file that have a budget of their own.
            cut: the base tier's so far, ms.
        """
        self.used = max(used_bytes(self._db) - not_history, 0)
        by_age = age_cutoff(now, self._keep)
        cuts = [self._aligned(tier, by_age) for tier in range(len(self._every))]
        if self.used > self._max_bytes:
            self._cut_by_size(cuts, now, cut)
        old = [self._oldest(tier) for tier in range(len(cuts))]
        return (
            tuple(cuts)
            if any(start is not None and start < cut for start, cut in zip(old, cuts, strict=True))
            else ()
        )

    def delete_before(self, cuts: Sequence[int]) -> int:
        """Remove the windows of each tier that start before its cut (ms); return how many."""
        return sum(table.delete_before(tier, cut) for table in self._tables for tier, cut in enumerate(cuts))

    def _cut_by_size(self, cuts: list[int], now: int, cut: int) -> None:
        """Move cuts on until a share is left out: that of the base, then those of coarser tiers, else the base again.

        The base keeps one of the coarsest windows at first. Each step has to find its share: a base that is so short
        gives a little every minute, and coarser tiers would grow for ever behind it. The base goes beyond `now` only
        where nothing before it is left: the size holds by any clock. No share of a span of time: one stamp of a clock
        that was wrong may stretch that over decades.
        """
        before, left = list(cuts), self._windows() // SHARE
        for tier in range(len(cuts)):
            keeping = now - self._every[-1]
            left = self._move(cuts, tier, min(keeping, max(cut, cuts[0])) if tier else keeping, left)
            if not left and cuts != before:
                return
        for upto in (now, ANY_TIME):
            if cuts == before:
                self._move(cuts, 0, upto, left)

    def _move(self, cuts: list[int], tier: int, upto: int, share: int) -> int:
        """Move the cut of a tier behind its oldest windows, about `share` and at least one start; return what is left.

        At most the last window that starts before `upto` stays beyond; a tier that has nothing to give keeps its cut.
        """
        oldest = self._oldest(tier)
        if oldest is None:
            return share
        starts: Counter[int] = sum((table.starts(tier, share) for table in self._tables), Counter())
        left, following = share, FOR_EVER
        for start, count in sorted(starts.items()):
            if left < count:
                following = start
                break
            left -= count
        cut = self._aligned(tier, min(max(oldest + self._every[tier], following), upto))
        if cut <= max(oldest, cuts[tier]) or self._newest(tier) < cut:
            return share
        cuts[tier] = cut
        return 0 if cut == following else max(share - sum(n for start, n in starts.items() if start < cut), 0)

    def _windows(self) -> int:
        """Return about how many windows there are."""
        rows, size = map(sum, zip(*(table.blocks.totals() for table in self._tables), strict=True))
        row_bytes = max(table.row_bytes() for table in self._tables) or WINDOW_ROW.itemsize
        return rows + int(max(self.used - size, 0) // (row_bytes + BYTES_BESIDE_ROW))

    def _aligned(self, tier: int, at: int) -> int:
        return at if at == FOR_EVER else at - at % self._every[tier]

    def _oldest(self, tier: int) -> int | None:
        starts = [span[0] for table in self._tables if (span := table.span(tier)) is not None]
        return min(starts, default=None)

    def _newest(self, tier: int) -> int:
        return max(span[1] for table in self._tables if (span := table.span(tier)) is not None)

"""Send a corrected point once more, where an older version of it may have overtaken the correction.

    write of the old point ─▶ no answer in time ─▶ sent again, stored ─▶ correction sent, stored
             └── held up on its way ──────────────────────────────────────────▶ stored: the old point is back

Nobody can know whether a write without an answer is still on its way. So each corrected row is noted by its key. When
its line has left the outbox it is forgotten; but if a write had no answer in the ten minutes before, the row is read
again ten minutes later, and sent as it is stored then. Times are monotonic ms.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from edge_gateway.records.store_effects import Stamp
from edge_gateway.store.counters import StoreCounters
from edge_gateway.store.outbox import Outbox
from edge_gateway.store.outgoing_lines import OutgoingLines, TextLines
from edge_gateway.store.schema import insert_many
from edge_gateway.store.settings import StoredTier
from edge_gateway.store.window_table import WindowTable

REPEAT_AFTER: Final = 600_000
"""Milliseconds after which a write without an answer is taken to be lost, and not still on its way."""
AT_ONCE: Final = 2_000
"""Rows sent again in one transaction."""
MOST_NOTED: Final = 200_000
"""Rows noted; beyond it the oldest notes are dropped and counted."""
_KEY: Final = "sink, kind, tier, start, series"
_BEHIND_ALL: Final = 1 << 62
"""Above the id of every chunk of an outbox."""

Kinds = dict[str, tuple[WindowTable, OutgoingLines | TextLines]]
"""By the name under which rows are noted: their table, and what renders them."""


class Corrections:
    """Used inside the store's transactions. `tables`: the windows of numbers and those of texts."""

    def __init__(  # noqa: PLR0917 - the parts of a store
        self,
        db: sqlite3.Connection,
        counters: StoreCounters,
        outbox: Outbox,
        tiers: Sequence[StoredTier],
        lines: OutgoingLines,
        tables: tuple[WindowTable, WindowTable],
    ) -> None:
        self._db = db
        self._counters = counters
        self._outbox = outbox
        self._tiers = tiers
        numbers, texts = tables
        self._kinds: Kinds = {"number": (numbers, lines), "text": (texts, lines.of_texts)}
        self._looked_at: dict[str, int] = {}
        """By sink: when it was last looked up which lines had left its outbox."""

    def snapshot(self) -> dict[str, int]:
        """Return what memory holds, for `restore` after a rollback."""
        return dict(self._looked_at)

    def restore(self, snapshot: dict[str, int]) -> None:
        """Go back to what was committed; what was corrected since is not."""
        self._looked_at = snapshot
        for table, _ in self._kinds.values():
            table.corrected.clear()

    def note(self) -> None:
        """Note the rows that were corrected in this transaction, after their lines were queued."""
        for name, (table, _) in self._kinds.items():
            keys, table.corrected = table.corrected, []
            if keys:
                upto = self._outbox.newest
                rows = [(sink, name, *key, upto) for sink in self._outbox.sinks for key in keys]
                into = "INSERT OR REPLACE INTO corrected(sink, kind, tier, start, series, upto)"
                insert_many(self._db, into, 6, rows)

    def repeat(self, now: int, at: Stamp, unknown: Mapping[str, int]) -> int:
        """Send due rows again; return how many, at most AT_ONCE for each sink.

        Args:
            now: monotonic ms.
            at: the time now.
            unknown: by sink, when a write last had no answer, or the sink was started, in monotonic ms.
        """
        repeated = 0
        for sink in self._outbox.sinks:
            self._take_sent(sink, now, unknown[sink])
            repeated += self._repeat_due(sink, now, at)
        self._outbox.enforce()
        self._bound()
        self._counters.add("corrections_repeated", repeated)
        return repeated

    def _take_sent(self, sink: str, now: int, unknown: int) -> None:
        """Forget the rows whose lines have left the outbox, or say when they are due."""
        before = self._looked_at.get(sink, unknown)
        self._looked_at[sink] = now
        waiting = self._outbox.oldest_by_bucket(sink)
        in_doubt = unknown >= before - REPEAT_AFTER
        sent = "sink=? AND tier=? AND due IS NULL AND upto<?"
        for tier, stored in enumerate(self._tiers):
            key = sink, tier, waiting.get(stored.bucket, _BEHIND_ALL)
            if in_doubt:
                self._db.execute(f"UPDATE corrected SET due=? WHERE {sent}", (now + REPEAT_AFTER, *key))  # noqa: S608
            else:
                self._db.execute(f"DELETE FROM corrected WHERE {sent}", key)  # noqa: S608

    def _repeat_due(self, sink: str, now: int, at: Stamp) -> int:
        """Send due rows; also those of a later time, whose monotonic time began anew with the spool."""
        rows: list[tuple[Any, ...]] = self._db.execute(
            f"SELECT {_KEY} FROM corrected WHERE sink=? AND (due<=? OR due>?) LIMIT ?",  # noqa: S608
            (sink, now, now + REPEAT_AFTER, AT_ONCE),
        ).fetchall()
        with self._outbox.only(sink):
            for name, tier in sorted({row[1:3] for row in rows}):
                keys = [row[3:5] for row in rows if row[1:3] == (name, tier)]
                table, lines = self._kinds[name]
                lines.windows(tier, table.read(tier, keys), at)
        self._forget(rows)
        return len(rows)

    def _bound(self) -> None:
        (count,) = self._db.execute("SELECT COUNT(*) FROM corrected").fetchone()
        if count > MOST_NOTED:
            order = f"SELECT {_KEY} FROM corrected ORDER BY upto LIMIT ?"  # noqa: S608
            self._forget(self._db.execute(order, (count - MOST_NOTED,)).fetchall())
            self._counters.add("corrections_not_repeated", count - MOST_NOTED)

    def _forget(self, keys: Sequence[tuple[Any, ...]]) -> None:
        self._db.executemany(f"DELETE FROM corrected WHERE ({_KEY}) = (?, ?, ?, ?, ?)", keys)  # noqa: S608

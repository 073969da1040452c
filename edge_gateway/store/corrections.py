"""Send a corrected point once more, where an older version of it may have overtaken or outlasted the correction.

    write of the old point ─▶ no answer in time ─▶ sent again, stored ─▶ correction sent, stored
             └── held up on its way ──────────────────────────────────────────▶ stored: the old point is back

Nobody can know whether a write without an answer is still on its way. So each corrected row is noted by its key. When
its line has left the outbox it is forgotten; but if a write had no answer in the ten minutes before, the row is read
again ten minutes later, and sent as it is stored then. Times are monotonic ms.

A full outbox drops lines, and without a correction the old point would stay for good: it may be stored already, or
waits in a block, which takes no room. So the note of a dropped correction stays, and the row is sent again, as it is
stored then, once there is room.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from edge_gateway.records.store_effects import Stamp
from edge_gateway.store.counters import StoreCounters
from edge_gateway.store.outbox import Dropped, Outbox
from edge_gateway.store.outgoing_lines import OutgoingLines, TextLines
from edge_gateway.store.schema import insert_many
from edge_gateway.store.settings import StoredTier
from edge_gateway.store.window_table import WindowTable

REPEAT_AFTER: Final = 600_000
"""Milliseconds after which a write without an answer is taken to be lost, and not still on its way."""
AT_ONCE: Final = 2_000
"""Rows sent again in one transaction."""
LINE_BYTES: Final = 64
"""What the line of a row takes of an outbox, compressed, where names are long and values random."""
MOST_NOTED: Final = 200_000
"""Rows noted; beyond it the oldest notes are dropped and counted."""
_KEY: Final = "sink, kind, tier, start, series"
_BEHIND_ALL: Final = 1 << 62
"""Above the id of every chunk of an outbox."""
_DROPPED: Final = -1
"""Stands for the time at which a row is due whose correction was dropped: once there is room."""

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

    def keep_dropped(self, dropped: Sequence[Dropped]) -> None:
        """Keep the notes of the corrections in chunks that an outbox dropped, so that they are sent again."""
        for sink, tier, number in dropped:
            noted = "sink=? AND tier=? AND upto"
            self._db.execute(
                f"UPDATE corrected SET due=? WHERE {noted}=(SELECT MIN(upto) FROM corrected WHERE {noted}>=?)",  # noqa: S608
                (_DROPPED, sink, tier, sink, tier, number),
            )

    def forget_all(self) -> None:
        """Send nothing again of what was corrected until now."""
        self._db.execute("DELETE FROM corrected")

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
            repeated += self._repeat_due(sink, now, at) + self._repeat_dropped(sink, at)
        self.keep_dropped(self._outbox.enforce())
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
        due = f"SELECT {_KEY} FROM corrected WHERE sink=? AND due>=0 AND (due<=? OR due>?) LIMIT ?"  # noqa: S608
        keys = self._db.execute(due, (sink, now, now + REPEAT_AFTER, AT_ONCE)).fetchall()
        self._send(sink, keys, at)
        self._forget(keys)
        return len(keys)

    def _repeat_dropped(self, sink: str, at: Stamp) -> int:
        """Send rows whose corrections were dropped, as many as there is room for; they may be dropped once more."""
        most = min(self._outbox.room(sink) // LINE_BYTES, AT_ONCE)
        dropped = f"SELECT {_KEY} FROM corrected WHERE sink=? AND due=? LIMIT ?"  # noqa: S608
        keys = self._db.execute(dropped, (sink, _DROPPED, most)).fetchall()
        self._send(sink, keys, at)
        change = f"UPDATE corrected SET due=NULL, upto=? WHERE ({_KEY}) = (?, ?, ?, ?, ?)"  # noqa: S608
        self._db.executemany(change, [(self._outbox.newest, *key) for key in keys])
        return len(keys)

    def _send(self, sink: str, keys: Sequence[tuple[Any, ...]], at: Stamp) -> None:
        """Queue rows, as they are stored now, for one sink."""
        with self._outbox.only(sink):
            for name, tier in sorted({key[1:3] for key in keys}):
                chosen = [key[3:5] for key in keys if key[1:3] == (name, tier)]
                table, lines = self._kinds[name]
                lines.windows(tier, table.read(tier, chosen), at)

    def _bound(self) -> None:
        (count,) = self._db.execute("SELECT COUNT(*) FROM corrected").fetchone()
        if count > MOST_NOTED:
            order = f"SELECT {_KEY} FROM corrected ORDER BY upto LIMIT ?"  # noqa: S608
            self._forget(self._db.execute(order, (count - MOST_NOTED,)).fetchall())
            self._counters.add("corrections_not_repeated", count - MOST_NOTED)

    def _forget(self, keys: Sequence[tuple[Any, ...]]) -> None:
        self._db.executemany(f"DELETE FROM corrected WHERE ({_KEY}) = (?, ?, ?, ?, ?)", keys)  # noqa: S608

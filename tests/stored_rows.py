"""The windows of a store, in blocks or not, as the rows of their table."""

import sqlite3
from typing import Any

from edge_gateway.records.window_block import STATE_ROW, WINDOW_ROW
from edge_gateway.store.block_body import decoded, decoded_marks
from edge_gateway.store.row_checksum import with_checksum


def stored_rows(db: sqlite3.Connection, kind: str) -> list[tuple[Any, ...]]:
    """Return tier, start, series, revision and row of the windows of a kind, `window` or `state_window`, in order.

    A window that was corrected counts where it was stored last: not in a block that says so.
    """
    columns = "SELECT tier, start, series, revision, row FROM"
    rows = {row[:3]: row for row in db.execute(f"{columns} {kind}")}
    dtype = WINDOW_ROW if kind == "window" else STATE_ROW
    blocks = (
        "SELECT tier, first_start, corrected, keys, body FROM block JOIN block_body USING(id)"
        " WHERE kind=? AND first_start<=last_start"
    )
    for tier, first, marks, keys, body in db.execute(blocks, (kind,)):
        windows, revisions = decoded(keys, body, dtype)
        corrected = decoded_marks(marks, len(windows))
        for at, (row, data) in enumerate(zip(windows.rows, windows.packed(), strict=True)):
            key = (tier, int(row["start"]), int(row["series"]))
            if key[1] >= first and not corrected[at]:
                assert key not in rows, "a window counts in one place only"
                rows[key] = (*key, int(revisions[at]), with_checksum(data))
    return [rows[key] for key in sorted(rows)]


def named_rows(db: sqlite3.Connection, kind: str) -> list[tuple[Any, ...]]:
    """Return tier, start, revision, row, device, metric, site, type and tags of the windows of a kind."""
    names = {row[0]: row[1:] for row in db.execute("SELECT id, device, metric, site, type, tags FROM series")}
    return [
        (tier, start, revision, row, *names[series])
        for tier, start, series, revision, row in stored_rows(db, kind)
    ]

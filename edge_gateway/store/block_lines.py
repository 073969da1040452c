"""The lines of a block in any store, for the export of its outboxes."""

import sqlite3

from edge_gateway.records.window_block import WINDOW_ROW
from edge_gateway.store.block_table import read_block
from edge_gateway.store.line_protocol import prefix, render_windows
from edge_gateway.store.names import NameTables
from edge_gateway.store.schema import StoreDamaged


def lines_of_block(db: sqlite3.Connection, number: int, skip: int) -> bytes:
    """Return the lines of a block of numbers without its first `skip` rows; StoreDamaged if it is damaged."""
    windows = read_block(db, number, WINDOW_ROW).windows.take(slice(skip, None))
    series = windows.rows["series"].tolist()
    names = NameTables.names_of(db, set(series))
    prefixes = {one: prefix("sensor", identity.labels()) for one, identity in names.items()}
    try:
        return render_windows([prefixes[one] for one in series], windows)
    except KeyError as error:
        raise StoreDamaged(f"a series of block {number} has no name") from error

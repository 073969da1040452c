"""A block has the lines that a sink takes."""

import sqlite3

import pytest

from edge_gateway.store.block_lines import lines_of_block
from edge_gateway.store.database import Store
from edge_gateway.store.schema import StoreDamaged
from tests.gateway.store.stored import lines
from tests.gateway.store.test_block_rows import MINUTES, SERIES, db, store

__all__ = ["db", "store"]


def test_a_block_has_the_lines_that_a_sink_takes(store: Store, db: sqlite3.Connection) -> None:
    chunks = db.execute("SELECT block, skip FROM outbox ORDER BY id").fetchall()
    assert [skip for _, skip in chunks] == [0] * 4
    rendered = b"".join(lines_of_block(db, *chunk) for chunk in chunks)
    assert (
        lines_of_block(db, chunks[0][0], 29)
        == lines_of_block(db, chunks[0][0], 0).splitlines(keepends=True)[29]
    )
    parcel = store.take("influx")
    assert parcel is not None
    assert (parcel.body, parcel.lines) == (rendered, SERIES * MINUTES)
    assert len(lines(store)) == SERIES * MINUTES


def test_a_block_without_the_names_of_its_series_has_no_lines(store: Store, db: sqlite3.Connection) -> None:
    store._db.execute("DELETE FROM series WHERE id=1")
    with pytest.raises(StoreDamaged, match="has no name"):
        lines_of_block(db, 1, 0)

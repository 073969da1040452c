"""The estimate of a row's room against the file that SQLite makes."""

import os
import sqlite3
from pathlib import Path

import pytest

from edge_gateway.store.outbox import Reference
from edge_gateway.store.retention import used_bytes
from edge_gateway.store.room_in_file import block_in_file, row_in_file
from edge_gateway.store.schema import open_store
from tests.gateway.store.fleet import MINUTE, T0

SIZES = [30, 300, 1_000, 1_300, 2_000, 2_100, 3_900, 4_200, 8_000, 30_000]
ROWS = 300
BLOCK = (
    "INSERT INTO block(kind, tier, span, first_start, last_start, first_series, last_series, rows, size, loose,"
    " corrected) VALUES('window', 0, 0, ?, ?, 1, 1000, 0, ?, 1, X'')"
)
CHUNK = (
    "INSERT INTO outbox(sink, bucket, rank, lines, size, at, block, skip, body)"
    " VALUES('influx', 'telemetry', 0, 50, ?, ?, ?, ?, ?)"
)


def queue(db: sqlite3.Connection, at: int, size: int, *, block: bool) -> None:
    """Queue a chunk with a body of so many bytes, or a block that the history has let go."""
    if not block:
        db.execute(CHUNK, (size, at, None, None, os.urandom(size)))
        return
    number = db.execute(BLOCK, (at + 1, at, size)).lastrowid
    assert number is not None
    db.execute(
        "INSERT INTO block_body VALUES(?, ?, ?)",
        (number, os.urandom(size // 5), os.urandom(size - size // 5)),
    )
    db.execute(CHUNK, (size, at, *Reference(number, 0), b""))


@pytest.mark.parametrize("block", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_what_a_row_takes_of_the_file_is_known_closely(tmp_path: Path, size: int, *, block: bool) -> None:
    db, _ = open_store(tmp_path / "store.sqlite")
    before = used_bytes(db)
    db.execute("BEGIN")
    for number in range(ROWS):
        queue(db, T0 + number * MINUTE, size, block=block)
    db.execute("COMMIT")
    taken = (used_bytes(db) - before) / ROWS
    told = block_in_file(size) if block else row_in_file(size)
    assert taken / 1.2 <= told <= taken * 1.3
    db.close()

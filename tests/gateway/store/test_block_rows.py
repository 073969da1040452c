"""The history reads what it needs of blocks, and leaves out damaged ones."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge_gateway.store import fresh_windows
from edge_gateway.store.block_rows import BlockRows
from edge_gateway.store.database import Store
from edge_gateway.store.schema import connect_reader
from tests.gateway.store.fleet import MINUTE, T0, closed, named
from tests.gateway.store.stored import opened

SERIES, MINUTES = 10, 12


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store with 120 windows in blocks of 30: each of three minutes."""
    monkeypatch.setattr(fresh_windows, "BLOCK_ROWS", 30)
    one = opened(tmp_path)
    readings = [
        (series, T0 + minute * MINUTE, series / 3) for minute in range(MINUTES) for series in range(SERIES)
    ]
    one.apply([(1, [named(range(SERIES), windows=(closed(0, readings),))])])
    yield one
    one.close()


@pytest.fixture
def db(store: Store) -> Iterator[sqlite3.Connection]:
    with closing(connect_reader(store.path)) as one:
        yield one


def test_windows_come_by_start_then_series(db: sqlite3.Connection) -> None:
    rows = list(BlockRows(db, "window", 0, range(1, SERIES + 1)).read(T0, T0 + MINUTES * MINUTE))
    assert len(rows) == SERIES * MINUTES
    assert [row[:2] for row in rows] == sorted(row[:2] for row in rows)
    assert {row[2] for row in rows} == {0}


def test_only_the_blocks_of_its_time_and_series_are_read(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA query_only=OFF")
    read: list[str] = []
    db.set_trace_callback(read.append)
    found = list(BlockRows(db, "window", 0, [2]).read(T0 + 4 * MINUTE, T0 + 6 * MINUTE))
    assert [row[:2] for row in found] == [(T0 + 4 * MINUTE, 2), (T0 + 5 * MINUTE, 2)]
    assert len([one for one in read if "block_body" in one]) == 1
    read.clear()
    assert list(BlockRows(db, "window", 0, [99]).read(T0, T0 + 99 * MINUTE)) == []
    assert not [one for one in read if "block_body" in one]
    assert list(BlockRows(db, "window", 1, [2]).read(T0, T0 + 99 * MINUTE)) == []


def test_a_damaged_block_costs_its_windows_and_is_counted(store: Store, db: sqlite3.Connection) -> None:
    store._db.execute("UPDATE block_body SET body=X'00' WHERE id=2")
    rows = BlockRows(db, "window", 0, [1])
    found = [row[0] for row in rows.read(T0, T0 + MINUTES * MINUTE)]
    assert found == [T0 + minute * MINUTE for minute in range(MINUTES) if minute not in {3, 4, 5}]
    assert rows.damaged == 30

"""What a history lacks is kept with it, and its times never go back."""

import sqlite3
from pathlib import Path

from edge_gateway.store.coverage import Coverage, StoredCoverage
from edge_gateway.store.schema import open_store
from edge_gateway.store.settings import FOR_EVER


def opened(path: Path) -> sqlite3.Connection:
    db, _ = open_store(path / "store.sqlite")
    return db


def test_times_only_advance_and_are_read_again(tmp_path: Path) -> None:
    db = opened(tmp_path)
    kept = StoredCoverage(db, 2)
    assert kept.now == Coverage(0, FOR_EVER, (FOR_EVER, FOR_EVER))
    kept.advance(5)
    kept.advance(3, 2)
    kept.advance(cuts=(9, 4))
    kept.advance(cuts=(8, 6))
    assert kept.now == StoredCoverage(db, 2).now == Coverage(5, 2, (9, 6))
    assert kept.now.floor == 9
    kept.advance(11)
    assert kept.now.floor == 11
    db.close()


def test_a_rollback_goes_back(tmp_path: Path) -> None:
    db = opened(tmp_path)
    kept = StoredCoverage(db, 1)
    before = kept.snapshot()
    kept.advance(7)
    kept.restore(before)
    assert kept.now.complete_from == 0
    db.close()


def test_what_a_damaged_table_says_is_taken_where_it_is_a_time(tmp_path: Path) -> None:
    db = opened(tmp_path)
    kept = StoredCoverage(db, 2)
    assert kept.of({"floor": 3, "cut0": 2, "cut1": "x", "frozen": b"?"}, otherwise=50) == Coverage(
        3, 50, (2, 50)
    )
    assert kept.of({}, otherwise=50) == Coverage(50, FOR_EVER, (FOR_EVER, FOR_EVER))
    db.close()

"""Counters that change in the transaction of what they count."""

from __future__ import annotations

from pathlib import Path

from edge_gateway.store.counters import StoreCounters
from edge_gateway.store.schema import open_store


def test_counters_are_there_after_opening_again_and_zero_is_not_stored(tmp_path: Path) -> None:
    db, _ = open_store(tmp_path / "store.sqlite")
    counters = StoreCounters(db)
    counters.add("one")
    counters.add("three", 2)
    counters.add("three")
    counters.add("none", 0)
    assert counters.values == {"one": 1, "three": 3}
    assert StoreCounters(db).values == counters.values


def test_a_rollback_is_followed(tmp_path: Path) -> None:
    db, _ = open_store(tmp_path / "store.sqlite")
    counters = StoreCounters(db)
    counters.add("kept")
    snapshot = counters.snapshot()
    db.execute("BEGIN")
    counters.add("kept")
    counters.add("gone")
    db.execute("ROLLBACK")
    counters.restore(snapshot)
    assert counters.values == StoreCounters(db).values == {"kept": 1}


def test_those_of_another_store_replace_what_was_counted(tmp_path: Path) -> None:
    db, _ = open_store(tmp_path / "store.sqlite")
    counters = StoreCounters(db)
    counters.add("own", 9)
    counters.take_over({"theirs": 5, "nothing": 0})
    assert counters.values == StoreCounters(db).values == {"theirs": 5}

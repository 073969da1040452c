"""Windows in columns, merged with what is stored."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from edge_gateway.records.store_effects import (
    StoreEffects,
)
from edge_gateway.records.window_block import WINDOW_ROW, WindowBlock
from edge_gateway.store.database import Store
from edge_gateway.store.row_checksum import checked
from edge_gateway.store.schema import open_store
from edge_gateway.store.window_table import WindowTable
from tests.gateway.store.fleet import (
    T0,
    closed,
    named,
)
from tests.gateway.store.query_plans import plans, read_all
from tests.gateway.store.stored import lines, table


def test_a_window_that_comes_again_is_merged_and_sent_again(store: Store) -> None:
    store.apply([(1, [named(windows=(closed(0, [(1, T0 + 1, 1.0), (2, T0 + 1, 7.0)]),))])])
    store.apply([(2, [StoreEffects(T0, windows=(closed(0, [(1, T0 + 2, 5.0), (3, T0 + 2, 9.0)]),))])])
    rows = {
        series: (revision, checked(row, start, series))
        for _, start, series, revision, row in table(store, "window")
    }
    whole = closed(0, [(1, T0 + 1, 1.0), (1, T0 + 2, 5.0)]).rows
    assert sorted(revision for revision, _ in rows.values()) == [0, 0, 1]
    assert whole.tobytes()[8:] in {row[8:] for _, row in rows.values() if row}
    sent = lines(store)
    assert len(sent) == 4
    assert "count=2i" in sent[2]
    assert "sum=6.0" in sent[2]


def test_many_rows_of_which_one_is_known_are_all_stored(store: Store) -> None:
    fleet = range(2500)
    store.apply([(1, [named(fleet, windows=(closed(0, [(1700, T0, 1.0)]),))])])
    store.apply([(2, [StoreEffects(T0, windows=(closed(0, [(s, T0 + 1, 2.0) for s in fleet]),))])])
    revisions = [row[3] for row in table(store, "window")]
    assert len(revisions) == 2500
    assert sum(revisions) == 1


def test_stored_windows_are_looked_up_one_by_one(tmp_path: Path) -> None:
    db, _ = open_store(tmp_path / "store.sqlite")
    table = WindowTable(db, "window", WINDOW_ROW, lambda one, _: one)
    with plans(db) as found:
        assert table.find(0, [(start, series) for start in range(50) for series in range(10)]) == {}
    assert any("(tier=? AND start=? AND series=?)" in detail for detail in found)
    assert read_all(found) == []


def test_a_window_that_stands_twice_in_one_block_is_merged_with_itself(store: Store) -> None:
    one, other = closed(0, [(1, T0, 1.0)]), closed(0, [(1, T0 + 1, 5.0), (2, T0, 1.0)])
    both = replace(
        one,
        block=WindowBlock.joined([one.block, other.block]),
        versions=np.concatenate([one.versions, other.versions]),
    )
    store.apply([(1, [named(windows=(both,))])])
    rows = table(store, "window")
    assert [(row[2], row[3]) for row in rows] == [(2, 1), (3, 0)]
    assert [int(np.frombuffer(row[4], WINDOW_ROW, 1)[0]["count"]) for row in rows] == [2, 1]


def test_the_windows_of_some_keys_are_read_as_they_are_stored(store: Store) -> None:
    first, second = closed(0, [(1, T0 + 1, 1.0)]), closed(0, [(1, T0 + 2, 5.0), (3, T0 + 2, 9.0)])
    store.apply([(1, [named(windows=(first,))]), (2, [StoreEffects(T0, windows=(second,))])])
    found = store._windows.read(0, [(T0, 2), (T0, 99)])
    assert found.rows["count"].tolist() == [2]
    assert len(store._windows.read(1, [(T0, 2)])) == 0

"""Windows that are new are gathered over a transaction: many become blocks, few become rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_gateway.records.window_block import WindowBlock
from edge_gateway.store import fresh_windows
from edge_gateway.store.database import Record, Store
from edge_gateway.store.fresh_windows import BLOCK_ROWS, FEW
from tests.gateway.store.fleet import MINUTE, SETTINGS, T0, closed, closed_states, late, named, texts
from tests.gateway.store.stored import lines, merge_all, opened, table


def record(number: int, rows: int, *, series: int = 0) -> Record:
    readings = [(one, T0 + number * MINUTE, 1.0) for one in range(series, series + rows)]
    return number, [named(range(series, series + rows), windows=(closed(0, readings),))]


def rows_alone(store: Store) -> int:
    count: int = store._db.execute("SELECT COUNT(*) FROM window").fetchone()[0]
    return count


def blocks(store: Store) -> list[int]:
    return [rows for (rows,) in store._db.execute("SELECT rows FROM block ORDER BY id")]


@pytest.mark.parametrize(
    ("rows", "alone", "in_blocks"),
    [
        (FEW, FEW, []),
        (FEW + 1, 0, [FEW + 1]),
        (BLOCK_ROWS, 0, [BLOCK_ROWS]),
        (BLOCK_ROWS + 1, 0, [512, 513]),
    ],
)
def test_few_windows_are_rows_and_many_are_blocks(
    store: Store, rows: int, alone: int, in_blocks: list[int]
) -> None:
    store.apply([record(1, rows)])
    assert (rows_alone(store), blocks(store)) == (alone, in_blocks)
    assert len(table(store, "window")) == len(lines(store)) == rows


def test_the_records_of_a_transaction_share_a_block(store: Store) -> None:
    store.apply([record(number, 20) for number in range(1, 6)])
    assert (rows_alone(store), blocks(store)) == (0, [100])
    store.apply([record(number, 20) for number in range(6, 8)])
    assert (rows_alone(store), blocks(store)) == (40, [100])


def test_tiers_and_kinds_are_apart(store: Store) -> None:
    many = [(series, T0, 1.0) for series in range(100)]
    windows, states = (
        (closed(0, many), closed(1, many)),
        (closed_states(0, [(s, T0, 0) for s in range(100)]),),
    )
    store.apply([(1, [named(range(100), texts=texts("on"), windows=windows, states=states)])])
    held = store._db.execute("SELECT kind, tier, rows FROM block ORDER BY kind, tier").fetchall()
    assert held == [("state_window", 0, 100), ("window", 0, 100), ("window", 1, 100)]
    assert len(table(store, "state_window")) == 100
    assert len(lines(store)) == 300


def test_what_was_gathered_is_there_for_what_follows_in_the_transaction(store: Store) -> None:
    again = [(1, T0 + MINUTE + 1, 5.0)]
    store.apply([record(1, 100), (2, [named(windows=(closed(0, again),))])])
    (row,) = [row for row in table(store, "window") if row[3]]
    assert row[:4] == (0, T0 + MINUTE, 2, 1)
    assert [line for line in lines(store) if "dev-1," in line][-1].split("count=")[1][:2] == "2i"


def test_a_window_that_stands_there_twice_is_merged_with_itself(store: Store) -> None:
    one, other = (closed(0, [(s, T0 + at, 1.0) for s in range(80)]) for at in (0, 1))
    both = replace(one, block=WindowBlock.joined([one.block, other.block]), versions=np.zeros(160, np.int64))
    store.apply([(1, [named(range(80), windows=(both,))])])
    assert [row[3] for row in table(store, "window")] == [1] * 80
    assert len({line for line in lines(store) if "count=2i" in line}) == 80


def test_a_window_in_a_block_is_corrected_by_a_row(store: Store) -> None:
    store.apply([record(1, 100)])
    store.apply([(2, [named(late=late([(7, T0 + MINUTE + 9, 3.0)], tiers=1))])])
    merge_all(store)
    assert (rows_alone(store), blocks(store)) == (1, [99])
    assert sorted(row[3] for row in table(store, "window")) == [0] * 99 + [1]
    assert len(table(store, "window")) == 100


def test_a_transaction_of_very_many_is_stored_in_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh_windows, "MOST_GATHERED", 150)
    store.apply([record(number, 100) for number in range(1, 6)])
    assert blocks(store) == [200, 200, 100]


def test_a_rollback_drops_what_was_gathered(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(store._outbox, "enforce", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.apply([record(1, 100)])
    store.apply([record(1, 100)])
    assert blocks(store) == [100], "they are as new as they were"
    assert len(table(store, "window")) == 100


def test_after_a_start_windows_are_new_behind_all_that_are_stored(tmp_path: Path) -> None:
    opened(tmp_path).close()
    for turn in range(1, 4):
        store = opened(tmp_path, SETTINGS)
        store.apply([record(turn, 100)])
        assert blocks(store) == [100] * turn
        store.close()

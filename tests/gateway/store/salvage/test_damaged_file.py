"""A damaged SQLite file is read around what cannot be read."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from edge_gateway.store.salvage.damaged_file import PIECE, DamagedStore, KeyedTable, TablePiece
from edge_gateway.store.salvage.sound_rows import EVENT, SERIES, WINDOW
from tests.gateway.store.fleet import named
from tests.gateway.store.salvage.test_stages import corrupt, made, pages_of, stopped, zero
from tests.gateway.store.stored import opened

TWO = KeyedTable("pair", ("a", "b"), (16, 32), ("value",))


@pytest.mark.parametrize("key", [(0, 0), (5, 0), (5, (1 << 32) - 1), (-3, 7), ((1 << 15) - 1, 1)])
def test_a_key_is_one_number_and_back(key: tuple[int, int]) -> None:
    assert TWO.parts(TWO.number(key)) == key


def test_packed_keys_sort_like_keys() -> None:
    draw = random.Random(1)
    keys = [(draw.randrange(-(1 << 15), 1 << 15), draw.randrange(1 << 32)) for _ in range(200)]
    assert sorted(keys, key=TWO.number) == sorted(keys)
    assert all(TWO.lowest <= TWO.number(key) <= TWO.highest for key in keys)
    assert (TWO.number((-(1 << 15), 0)), TWO.number(((1 << 15) - 1, (1 << 32) - 1))) == (
        TWO.lowest,
        TWO.highest,
    )


def test_a_sound_table_comes_in_pieces_without_damage(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store._db.executemany("INSERT INTO event VALUES(?, 1, 'c', 't')", [(n,) for n in range(1, 2 * PIECE + 1)])
    pieces = all_pieces(stopped(store), EVENT.table)
    assert [len(piece.rows) for piece in pieces] == [PIECE, PIECE, 0]
    assert not any(piece.damaged for piece in pieces)
    assert [row[0] for piece in pieces for row in piece.rows] == list(range(1, 2 * PIECE + 1))


def test_a_small_table_is_read_from_both_of_its_ends(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store._db.executemany("INSERT INTO counter VALUES(?, ?)", [(f"c{n:05}", n) for n in range(2_000)])
    pages = pages_of(store.path, "counter")
    path = stopped(store)
    corrupt(path, zero(pages[len(pages) // 2]))
    source = DamagedStore(path)
    found = source.pairs("counter")
    source.close()
    assert (found["c00000"], found["c01999"]) == (0, 1_999)
    assert 0 < len(found) < 2_000
    assert all(int(name[1:]) == value for name, value in found.items())


def test_a_value_of_any_kind_is_read_as_it_is(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store._db.executemany(
        "INSERT INTO meta VALUES(?, ?)", [("nothing", None), ("number", 1.5), ("text", "ä")]
    )
    source = DamagedStore(stopped(store))
    found = source.pairs("meta")
    source.close()
    assert (found["nothing"], found["number"], found["text"]) == (None, 1.5, "ä")


def test_a_table_that_is_lost_whole_is_empty_and_damaged(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.apply([(1, [named()])])
    (page,) = pages_of(store.path, "event")
    path = stopped(store)
    corrupt(path, zero(page))
    source = DamagedStore(path)
    assert source.piece(EVENT.table, None) == ([], None, True)
    source.close()


def test_a_file_that_is_no_store_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "none").write_bytes(b"x" * 100)
    with pytest.raises((sqlite3.DatabaseError, OSError)):
        DamagedStore(tmp_path / "none")


def test_with_a_new_first_page_the_log_of_the_old_one_is_left_out_and_kept(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.apply([(1, [named()])])
    path = stopped(store)
    first = path.read_bytes()[:4096]
    corrupt(path, zero(1))
    log, shared = path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")
    log.write_bytes(b"a log")
    shared.write_bytes(b"its index")
    source = DamagedStore(path)
    assert len(source.piece(SERIES.table, None).rows) == 5
    source.close()
    assert path.with_name(f"{path.name}-wal.left-out").read_bytes() == b"a log"
    assert not shared.exists() or shared.read_bytes() != b"its index"
    assert path.with_name(f"{path.name}.page1").read_bytes() == bytes(4096)
    assert path.read_bytes()[100:4096] == first[100:]
    assert not path.with_name(f"{path.name}.new").exists()


@pytest.mark.parametrize(("table", "beside"), [(EVENT.table, 0), (WINDOW.table, 1)])
def test_only_the_rows_of_a_lost_page_are_lost(tmp_path: Path, table: KeyedTable, beside: int) -> None:
    """Windows are also in inner pages; SQLite looks for the one behind a leaf by way of that leaf."""
    store = made(tmp_path)
    store._db.executemany("INSERT INTO event VALUES(?, 1, 'c', 't')", [(n,) for n in range(1_001, 3_001)])
    leaf = pages_of(store.path, table.name)[5]
    (cells,) = store._db.execute("SELECT ncell FROM dbstat WHERE pageno=?", (leaf,)).fetchone()
    path = stopped(store)
    before = [row for piece in all_pieces(path, table) for row in piece.rows]
    corrupt(path, zero(leaf))
    pieces = all_pieces(path, table)
    found = [row for piece in pieces for row in piece.rows]
    assert sum(piece.damaged for piece in pieces) == 1
    lost = [place for place, row in enumerate(before) if row not in set(found)]
    assert lost == list(range(lost[0], lost[0] + cells + beside))
    assert [row for place, row in enumerate(before) if place not in set(lost)] == found


def test_a_damaged_page_of_one_table_leaves_the_others_whole(tmp_path: Path) -> None:
    before = made(tmp_path)
    leaves = pages_of(before.path, "window")[1:]
    path = stopped(before)
    corrupt(path, zero(leaves[5]))
    source = DamagedStore(path)
    assert source.piece(EVENT.table, None).rows[0][0] == 1
    source.close()


def all_pieces(path: Path, table: KeyedTable) -> list[TablePiece]:
    source = DamagedStore(path)
    pieces = [source.piece(table, None)]
    while (after := pieces[-1].last) is not None:
        pieces.append(source.piece(table, after))
    source.close()
    return pieces

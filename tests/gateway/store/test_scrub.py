"""Every name and stored window is checked once, a piece at a time."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from edge_gateway.store import scrub
from edge_gateway.store.database import Store
from edge_gateway.store.row_checksum import NAME_TABLES
from edge_gateway.store.schema import StoreDamaged, is_damage
from tests.gateway.store.fleet import MINUTE, T0, closed, closed_states, named, texts
from tests.gateway.store.stored import opened, table


def filled(path: Path) -> None:
    store = opened(path)
    windows = tuple(
        closed(tier, [(s, T0 + m * MINUTE, 1.0) for s in range(2) for m in range(5)]) for tier in (0, 1)
    )
    states = (closed_states(0, [(4, T0, 0)]),)
    store.apply([(1, [named(texts=texts("on"), windows=windows, states=states)])])
    store.close()


def steps(path: Path) -> int:
    store = opened(path)
    count = 0
    while store.scrub_pending:
        store.scrub()
        count += 1
    store.close()
    return count


def test_all_pieces_of_all_tables_and_tiers_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path)
    monkeypatch.setattr(scrub, "PIECE", 3)
    store = opened(tmp_path)
    of_names = sum(1 + len(table(store, one.table)) // 3 for one in NAME_TABLES)
    store.close()
    assert steps(tmp_path) == of_names + sum(-(-count // 3) + 1 for count in (10, 2, 1))


@pytest.mark.parametrize("place", ["tier=0 AND series=1", "tier=1", "series=2"])
def test_damage_anywhere_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    filled(tmp_path)
    monkeypatch.setattr(scrub, "PIECE", 3)
    with sqlite3.connect(tmp_path / "store.sqlite") as db:
        assert db.execute(f"UPDATE window SET row = X'00' WHERE {place}").rowcount
    db.close()
    with pytest.raises(StoreDamaged, match="checksum mismatch in table window"):
        steps(tmp_path)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("series", "device = 'other'"),
        ("series", "tags = '{}x'"),
        ("series", "device = CAST(X'FF' AS TEXT)"),
        ("number", "id = 1"),
        ("number", "tags = NULL"),
        ("text", "text = 'off'"),
        ("code", "id = 7"),
        ("code", "crc = 0"),
    ],
)
def test_a_name_that_is_not_what_was_stored_is_found(tmp_path: Path, kind: str, change: str) -> None:
    filled(tmp_path)
    with sqlite3.connect(tmp_path / "store.sqlite") as db:
        last = f"rowid = (SELECT MAX(rowid) FROM {kind})" if kind != "number" else "series = 4"
        assert db.execute(f"UPDATE {kind} SET {change} WHERE {last}").rowcount == 1
    db.close()
    with pytest.raises(sqlite3.DatabaseError) as found:
        steps(tmp_path)
    assert is_damage(found.value)


def test_windows_that_come_while_it_goes_on_are_not_among_them(tmp_path: Path) -> None:
    filled(tmp_path)
    store = opened(tmp_path)
    store.apply([(2, [named(windows=(closed(0, [(1, T0 + 99 * MINUTE, 1.0)]),))])])
    store._db.execute("UPDATE window SET row = X'00' WHERE start=?", (T0 + 99 * MINUTE,))
    while store.scrub_pending:
        store.scrub()
    assert damaged_windows(store) == [T0 + 99 * MINUTE], "it is there, and was passed over"
    store.close()


def damaged_windows(store: Store) -> list[int]:
    """The starts of windows whose row is what this file damages them with."""
    return [start for (start,) in store._db.execute("SELECT start FROM window WHERE row = X'00'")]


def test_of_a_new_store_only_its_tables_of_names_are_looked_at(tmp_path: Path) -> None:
    assert steps(tmp_path) == len(NAME_TABLES)

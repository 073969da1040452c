"""Every stored window is checked once, a piece at a time."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from edge_gateway.store import scrub
from edge_gateway.store.database import Store
from edge_gateway.store.schema import StoreDamaged
from edge_gateway.store.scrub import Scrub
from tests.gateway.store.fleet import MINUTE, T0, closed, closed_states, named, texts
from tests.gateway.store.stored import opened


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
    rows = (10, 2, 1)
    assert steps(tmp_path) == sum(-(-count // 3) + 1 for count in rows)


@pytest.mark.parametrize("place", ["tier=0 AND series=1", "tier=1", "series=2"])
def test_damage_anywhere_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    filled(tmp_path)
    monkeypatch.setattr(scrub, "PIECE", 3)
    with sqlite3.connect(tmp_path / "store.sqlite") as db:
        assert db.execute(f"UPDATE window SET row = X'00' WHERE {place}").rowcount
    db.close()
    with pytest.raises(StoreDamaged, match="checksum mismatch in table window"):
        steps(tmp_path)


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


def test_a_store_without_windows_has_nothing_to_check(tmp_path: Path) -> None:
    assert not Scrub((), tiers=3).pending
    assert steps(tmp_path) == 0

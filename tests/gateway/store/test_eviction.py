"""Whoever has most in a full table gives way."""

import sqlite3
from collections import Counter
from dataclasses import replace
from pathlib import Path

from edge_gateway.records.store_effects import (
    Quarantined,
    StoreEffects,
)
from edge_gateway.store.database import Store
from edge_gateway.store.eviction import ALERTS, SENDER, evict, largest_owners
from edge_gateway.store.schema import open_store
from tests.gateway.store.fleet import (
    SETTINGS,
    T0,
)
from tests.gateway.store.stored import opened, table


def refused(
    device: str, count: int, *, kind: str = "telemetry", site: str = "s", size: int = 200
) -> tuple[Quarantined, ...]:
    topic = f"fleet/v1/{site}/{device}/{kind}"
    return tuple(Quarantined(topic, bytes(size), f"reason {number}", T0) for number in range(count))


def test_a_flood_into_the_quarantine_pushes_out_its_own(tmp_path: Path) -> None:
    """A device at many sites and on every topic is one device."""
    store = opened(tmp_path, replace(SETTINGS, quarantine_max_bytes=20_000))
    store.apply(
        [(1, [StoreEffects(T0, quarantined=refused("quiet", 5) + refused("other", 3, kind="status"))])]
    )
    for number in range(50):
        flood = refused("flood", 10, site=f"s{number}", kind=("ack", "telemetry")[number % 2])
        store.apply([(2 + number, [StoreEffects(T0, quarantined=flood)])])
        assert store.facts().quarantine_bytes <= 20_000
    kept = Counter(row[2].split("/")[3] for row in table(store, "quarantine"))
    assert (kept["quiet"], kept["other"]) == (5, 3)
    assert kept["flood"] > 20
    newest = [row[0] for row in table(store, "quarantine") if "/flood/" in row[2]]
    assert newest == list(range(max(newest) - len(newest) + 1, max(newest) + 1)), "its oldest went"
    counters = store.facts().counters
    assert counters["quarantined"] - counters["quarantine_dropped"] == sum(kept.values())
    assert store.facts().quarantine_bytes == sum(row[5] for row in table(store, "quarantine"))
    assert [name for name, _ in store.quarantine_users(2)] == ["flood", "quiet"]


def test_where_all_have_as_much_all_give_way(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, quarantine_max_bytes=20_000))
    for number in range(30):
        some = tuple(one for name in "abcd" for one in refused(name, 2))
        store.apply([(1 + number, [StoreEffects(T0, quarantined=some)])])
    kept = Counter(row[2].split("/")[3] for row in table(store, "quarantine"))
    assert set(kept) == set("abcd")
    assert max(kept.values()) - min(kept.values()) <= 3


def test_one_message_above_the_whole_cap_leaves_the_others(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, quarantine_max_bytes=5_000))
    store.apply([(1, [StoreEffects(T0, quarantined=refused("quiet", 2) + refused("big", 1, size=50_000))])])
    assert [row[2].split("/")[3] for row in table(store, "quarantine")] == ["quiet", "quiet"]


def test_who_has_most_is_found_by_the_index_alone(store: Store) -> None:
    with sqlite3.connect(store.path) as db:
        select = f"SELECT {SENDER} AS owner, SUM(size) FROM quarantine GROUP BY owner"
        plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {select}"))
    db.close()
    assert "quarantine_sender" in plan
    assert "TEMP B-TREE" not in plan


def test_eviction_frees_a_little_more_than_it_must(tmp_path: Path) -> None:
    db, _ = open_store(tmp_path / "store.sqlite")
    db.executemany("INSERT INTO alert VALUES(?, 1, 'a', 'r', 'd', 'm', 's', '')", [(n,) for n in range(641)])
    assert evict(db, ALERTS, 641, 640) == (11, 11)
    assert db.execute("SELECT MIN(id) FROM alert").fetchone() == (11,)
    assert evict(db, ALERTS, 630, 640) == (0, 0)
    assert largest_owners(db, ALERTS, 5) == [("d", 630)]
    db.close()

"""Series and texts have numbers of the store's own, which last as long as the rows with them."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from edge_gateway.records.store_effects import (
    SeriesName,
    StoreEffects,
    TextName,
)
from edge_gateway.store.database import Store
from edge_gateway.store.names import UNKNOWN, NameTables
from edge_gateway.store.schema import open_store
from tests.gateway.store.fleet import (
    MINUTE,
    SETTINGS,
    T0,
    closed,
    name,
    named,
)
from tests.gateway.store.query_plans import plans, read_all
from tests.gateway.store.stored import lines, opened, table


def test_tags_that_change_give_new_series_and_forwarded_tags_alone_count(store: Store) -> None:
    def effects(version: int, ts: int, **tags: str) -> StoreEffects:
        return StoreEffects(T0, (name(1, version, **tags),), windows=(closed(0, [(1, ts, 1.0)], version),))

    store.apply([(1, [effects(0, T0, region="eu", owner="x")])])
    store.apply([(2, [effects(1, T0 + MINUTE, region="us", owner="x")])])
    store.apply([(3, [effects(2, T0 + 2 * MINUTE, region="us", owner="y")])])
    store.apply([(4, [effects(3, T0 + 3 * MINUTE)])])
    tags = [line.partition(" ")[0] for line in lines(store)]
    assert ["region=eu" in tags[0], "region=us" in tags[1], "region=unknown" in tags[3]] == [True] * 3
    assert tags[1] == tags[2]
    assert "owner" not in "".join(tags)
    assert len(table(store, "series")) == 3


def test_an_empty_tag_or_type_is_unknown_and_old_versions_are_forgotten(store: Store) -> None:
    names = [SeriesName(1, version, "d", "m", "s", "", {"region": ""}) for version in range(20)]
    store.apply([(1, [StoreEffects(T0, tuple(names), windows=(closed(0, [(1, T0, 1.0)], version=19),))])])
    (line,) = lines(store)
    assert "region=unknown" in line
    assert "type=unknown" in line
    assert sorted(row[1] for row in table(store, "number")) == list(range(12, 20))


def test_other_forwarded_tags_take_effect_on_the_next_start(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.apply([(1, [named([1], windows=(closed(0, [(1, T0, 1.0)]),))])])
    store.close()
    store = opened(tmp_path, replace(SETTINGS, forwarded=("owner", "region")))
    store.apply([(2, [StoreEffects(T0, windows=(closed(0, [(1, T0 + MINUTE, 1.0)]),))])])
    first, second = lines(store)
    assert "owner" not in first
    assert "owner=unknown" in second
    assert "region=eu" in second


def test_names_are_looked_up_one_by_one(tmp_path: Path) -> None:
    db, _ = open_store(tmp_path / "store.sqlite")
    names = NameTables(db, ())
    with plans(db) as found:
        names.define(SeriesName(n, 0, "pump-1", f"metric_{n}", "north", "pump", {}) for n in range(500))
        names.define_texts(TextName(code, f"text {code}") for code in range(2, 500))
        known = names.identities(names.ids(np.arange(500), np.zeros(500, np.int64)).tolist())
    assert sorted(one.metric for one in known.values()) == sorted(f"metric_{n}" for n in range(500))
    assert any("sqlite_autoindex_series_1" in detail for detail in found)
    assert read_all(found) == []


def test_a_code_that_is_gone_is_forgotten_unless_that_is_rolled_back(tmp_path: Path) -> None:
    db, _ = open_store(tmp_path / "store.sqlite")
    names = NameTables(db, ())
    names.define_texts(TextName(code, f"text {code}") for code in range(2, 3_000))
    names.snapshot()
    before = names.text_ids(np.arange(2, 3_000))
    names.forget_texts(range(2, 2_500))
    assert (names.text_ids(np.arange(2, 2_500)) == UNKNOWN).all()
    assert names.text_ids(np.arange(2_500, 3_000)).tolist() == before[2_498:].tolist()
    assert db.execute("SELECT COUNT(*) FROM code").fetchone() == (500,)
    names.restore(None)
    assert names.text_ids(np.arange(2, 3_000)).tolist() == before.tolist()
    assert set(names.texts(before.tolist()).values()) == {f"text {code}" for code in range(2, 3_000)}


def test_a_series_that_is_forgotten_leaves_its_family_and_comes_back_after_a_rollback(tmp_path: Path) -> None:
    db, _ = open_store(tmp_path / "store.sqlite")
    names = NameTables(db, ("region",))
    versions = [
        SeriesName(1, version, "d", "m", "s", "t", {"region": region}) for version, region in enumerate("abc")
    ]
    names.define(versions)
    first, second, third = (number for (number,) in db.execute("SELECT id FROM series ORDER BY id"))
    assert names.kin[first] == [first, second, third]
    db.execute("BEGIN")
    names.snapshot()
    names.forget([first])
    assert sorted(names.kin) == [second, third]
    assert names.kin[second] == [second, third]
    db.execute("ROLLBACK")
    names.restore(None)
    assert names.kin[second] == [first, second, third]

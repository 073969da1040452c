"""How many rows SQLite reads to find a few: it must not read all there are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection

import numpy as np

from edge_gateway.records.store_effects import SeriesName, TextName
from edge_gateway.store.names import UNKNOWN, NameTables
from edge_gateway.store.schema import open_store
from edge_gateway.store.window_table import WindowTable
from edge_gateway.windows.rows import WINDOW_ROW

READS_ALL = (
    "SCAN series",
    "SCAN number",
    "SCAN text",
    "SCAN window",
    "SEARCH window USING PRIMARY KEY (tier=?)",
)


@contextmanager
def plans(db: Connection) -> Iterator[list[str]]:
    """Filled at the end with how SQLite finds the rows of each query that was made."""
    asked: list[str] = []
    found: list[str] = []
    db.set_trace_callback(asked.append)
    yield found
    db.set_trace_callback(None)
    for query in asked:
        if query.startswith(("SELECT", "WITH")):
            found += [detail for *_, detail in db.execute(f"EXPLAIN QUERY PLAN {query}")]


def read_all(found: list[str]) -> list[str]:
    return [detail for detail in found if detail in READS_ALL]


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


def test_stored_windows_are_looked_up_one_by_one(tmp_path: Path) -> None:
    db, _ = open_store(tmp_path / "store.sqlite")
    table = WindowTable(db, "window", WINDOW_ROW, lambda one, _: one)
    with plans(db) as found:
        assert table.find(0, [(start, series) for start in range(50) for series in range(10)]) == {}
    assert any("(tier=? AND start=? AND series=?)" in detail for detail in found)
    assert read_all(found) == []

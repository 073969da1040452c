"""Single values of the store, and the number of the newest record applied."""

from __future__ import annotations

import sqlite3

import pytest

from edge_gateway.store.meta_table import MetaTable, applied_in


@pytest.fixture
def meta() -> MetaTable:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID")
    return MetaTable(db)


def test_a_value_is_kept_by_its_name_until_the_next(meta: MetaTable) -> None:
    assert meta.get("forwarded", "none") == "none"
    for value in ("zone", "zone,line"):
        meta.keep("forwarded", value)
        assert meta.get("forwarded", "none") == value


def test_the_number_applied_is_known_once_it_was_kept(meta: MetaTable) -> None:
    assert meta.applied() is None
    meta.keep_applied(7)
    assert meta.applied() == 7
    meta.keep("applied", 8)
    assert meta.applied() is None


@pytest.mark.parametrize("damaged", [{}, {"applied": 7}, {"applied": "7", "applied_check": ~7}])
def test_a_number_that_is_not_kept_twice_is_not_believed(damaged: dict[str, object]) -> None:
    assert applied_in({"applied": 7, "applied_check": ~7}) == 7
    assert applied_in(damaged) is None

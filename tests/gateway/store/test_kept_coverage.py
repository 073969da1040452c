"""Floors that a clock which was not sure has set, and their correction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from edge_gateway.store.kept_coverage import ALWAYS, KeptCoverage
from edge_gateway.store.late_job import Coverage

NOW = 1_800_000_000_000
YEAR = 365 * 86_400_000
LEAST = NOW - 1_000


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as made:
        made.execute("CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID")
        yield made


def test_a_floor_only_rises_and_is_kept(db: sqlite3.Connection) -> None:
    kept = KeptCoverage(db)
    assert kept.now == Coverage(0, ALWAYS)
    kept.raise_to(5, 3)
    kept.raise_to(4, 2)
    assert kept.now == KeptCoverage(db).now == Coverage(5, 3)
    kept.confirm(NOW, LEAST)
    assert kept.now == Coverage(5, 3)


@pytest.mark.parametrize("wrong", [NOW + 3 * YEAR, NOW - 36_000_000])
@pytest.mark.parametrize("reopened", [False, True])
def test_what_an_unsure_clock_set_is_corrected_by_the_monotonic_time_since(
    db: sqlite3.Connection, wrong: int, *, reopened: bool
) -> None:
    kept = KeptCoverage(db)
    kept.raise_to(7, 7)
    kept.raise_to(wrong, wrong, unsure=LEAST)
    kept.raise_to(NOW - YEAR)
    assert kept.now == Coverage(wrong, wrong)
    if reopened:
        kept = KeptCoverage(db)
    kept.confirm(NOW + 60_000, LEAST + 60_000)
    assert kept.now == Coverage(NOW, NOW)
    kept.confirm(NOW + 90_000, LEAST)
    assert kept.now == KeptCoverage(db).now == Coverage(NOW, NOW)


def test_only_what_the_unsure_clock_has_raised_is_corrected(db: sqlite3.Connection) -> None:
    kept = KeptCoverage(db)
    kept.raise_to(0, NOW + YEAR)
    kept.raise_to(NOW - 5, unsure=LEAST)
    kept.confirm(NOW, LEAST)
    assert kept.now == Coverage(NOW, NOW + YEAR)


def test_a_rollback_restores_it(db: sqlite3.Connection) -> None:
    kept = KeptCoverage(db)
    before = kept.snapshot()
    kept.raise_to(9, 9, unsure=LEAST)
    kept.restore(before)
    assert kept.now == Coverage(0, ALWAYS)

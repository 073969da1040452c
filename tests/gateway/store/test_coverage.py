"""What a history lacks is kept with it, and its times never go back but where a clock was wrong."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge_gateway.store.coverage import Coverage, StoredCoverage
from edge_gateway.store.schema import open_store
from edge_gateway.store.settings import FOR_EVER

NOW = 1_800_000_000_000
YEAR = 365 * 86_400_000
LEAST = NOW - 1_000
NO_CUTS = (FOR_EVER, FOR_EVER)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened, _ = open_store(tmp_path / "store.sqlite")
    with closing(opened):
        yield opened


def test_times_only_advance_and_are_read_again(db: sqlite3.Connection) -> None:
    kept = StoredCoverage(db, 2)
    assert kept.now == Coverage(0, FOR_EVER, NO_CUTS)
    kept.advance(5)
    kept.advance(3, 2)
    kept.cut((9, 4))
    kept.cut((8, 6))
    kept.confirm(NOW, LEAST)
    assert kept.now == StoredCoverage(db, 2).now == Coverage(5, 2, (9, 6))
    assert kept.now.floor == 9
    kept.advance(11)
    assert kept.now.floor == 11


@pytest.mark.parametrize("wrong", [NOW + 3 * YEAR, NOW - 36_000_000])
@pytest.mark.parametrize("reopened", [False, True])
def test_what_an_unsure_clock_set_is_corrected_by_the_monotonic_time_since(
    db: sqlite3.Connection, wrong: int, *, reopened: bool
) -> None:
    kept = StoredCoverage(db, 2)
    kept.advance(7, 7)
    kept.advance(wrong, wrong, unsure=LEAST)
    kept.advance(NOW - YEAR)
    assert kept.now == Coverage(wrong, wrong, NO_CUTS)
    if reopened:
        kept = StoredCoverage(db, 2)
    kept.confirm(NOW + 60_000, LEAST + 60_000)
    assert kept.now == Coverage(NOW, NOW, NO_CUTS)
    kept.confirm(NOW + 90_000, LEAST)
    assert kept.now == StoredCoverage(db, 2).now == Coverage(NOW, NOW, NO_CUTS)


def test_only_what_the_unsure_clock_has_raised_is_corrected(db: sqlite3.Connection) -> None:
    kept = StoredCoverage(db, 1)
    kept.advance(0, NOW + YEAR)
    kept.advance(NOW - 5, unsure=LEAST)
    kept.confirm(NOW, LEAST)
    assert kept.now == Coverage(NOW, NOW + YEAR, NO_CUTS[:1])


def test_a_cut_years_ahead_comes_back_to_the_time_of_its_trim_and_an_earlier_one_stays(
    db: sqlite3.Connection,
) -> None:
    kept = StoredCoverage(db, 2)
    kept.cut((NOW + 3 * YEAR, NOW - YEAR), unsure=LEAST)
    kept.cut((NOW + 3 * YEAR, NOW - YEAR))
    kept = StoredCoverage(db, 2)
    kept.confirm(NOW + 60_000, LEAST + 60_000)
    assert kept.now == StoredCoverage(db, 2).now == Coverage(0, FOR_EVER, (NOW, NOW - YEAR))


def test_a_rollback_goes_back(db: sqlite3.Connection) -> None:
    kept = StoredCoverage(db, 1)
    before = kept.snapshot()
    kept.advance(7, 7, unsure=LEAST)
    kept.cut((9,), unsure=LEAST)
    kept.restore(before)
    assert kept.now == Coverage(0, FOR_EVER, NO_CUTS[:1])


def test_what_a_damaged_table_says_is_taken_where_it_is_a_time(db: sqlite3.Connection) -> None:
    kept = StoredCoverage(db, 2)
    assert kept.of({"floor": 3, "cut0": 2, "cut1": "x", "frozen": b"?"}, otherwise=50) == Coverage(
        3, 50, (2, 50)
    )
    assert kept.of({}, otherwise=50) == Coverage(50, FOR_EVER, NO_CUTS)

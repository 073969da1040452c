"""The one way into a stored window: what becomes of rows of each kind, stored already or not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_gateway.records.store_effects import Kind
from edge_gateway.store.coverage import NOTHING_HELD, Coverage
from edge_gateway.store.stored_windows import Merged, StoredWindows
from edge_gateway.windows.reduce import rows_of_values
from tests.gateway.store.fleet import MINUTE, T0, columns, named
from tests.gateway.store.stored import opened

SERIES = 1
LACKING = Coverage(complete_from=T0, frozen=T0 - 10 * MINUTE)
OLD, FROZEN = T0 - MINUTE, T0 - 11 * MINUTE


@pytest.fixture
def windows(tmp_path: Path) -> Iterator[StoredWindows]:
    store = opened(tmp_path)
    store.apply([(1, [named()])])
    store._db.execute("BEGIN")
    yield store._numbers.windows
    store.close()


def merge(windows: StoredWindows, kind: Kind, *starts: int, coverage: Coverage = LACKING) -> Merged:
    rows = rows_of_values(MINUTE, columns([(SERIES, start, 1.0) for start in starts]))
    return windows.merge(0, rows, kind, coverage)


def counts(merged: Merged) -> list[tuple[int, int]]:
    return [(int(row["start"]), int(row["count"])) for row in merged.stored.rows]


def revisions(windows: StoredWindows) -> dict[int, int]:
    return dict(windows.table._db.execute("SELECT start, revision FROM window"))


def test_a_first_window_is_new_wherever_the_history_begins(windows: StoredWindows) -> None:
    for coverage, start in ((LACKING, FROZEN), (NOTHING_HELD, OLD)):
        merged = merge(windows, Kind.FIRST, start, coverage=coverage)
        assert (counts(merged), merged.refused.tolist()) == ([(start, 1)], [])


@pytest.mark.parametrize(("kind", "first_revision"), [(Kind.AGAIN, 0), (Kind.LATE, 1)])
def test_others_are_new_only_where_nothing_can_be_missing(
    windows: StoredWindows, kind: Kind, first_revision: int
) -> None:
    merged = merge(windows, kind, FROZEN, OLD, T0)
    assert (counts(merged), merged.refused.tolist()) == ([(T0, 1)], [0, 1])
    assert revisions(windows) == {T0: first_revision}


@pytest.mark.parametrize("kind", [Kind.FIRST, Kind.AGAIN, Kind.LATE])
def test_what_is_stored_is_merged_and_never_replaced(windows: StoredWindows, kind: Kind) -> None:
    merge(windows, Kind.FIRST, OLD, T0)
    merged = merge(windows, kind, OLD, T0)
    assert (counts(merged), merged.refused.tolist()) == ([(OLD, 2), (T0, 2)], [])
    assert revisions(windows) == {OLD: 1, T0: 1}


@pytest.mark.parametrize("kind", [Kind.AGAIN, Kind.LATE])
def test_a_frozen_window_does_not_change(windows: StoredWindows, kind: Kind) -> None:
    merge(windows, Kind.FIRST, FROZEN)
    assert merge(windows, kind, FROZEN).refused.tolist() == [0]
    assert revisions(windows) == {FROZEN: 0}


@pytest.mark.parametrize("kind", [Kind.GONE, Kind.PARTIAL])
def test_what_the_fold_knows_to_be_incomplete_is_refused_stored_or_not(
    windows: StoredWindows, kind: Kind
) -> None:
    merge(windows, Kind.FIRST, T0)
    merged = merge(windows, kind, T0, T0 + MINUTE)
    assert (counts(merged), merged.refused.tolist()) == ([], [0, 1])
    assert revisions(windows) == {T0: 0}

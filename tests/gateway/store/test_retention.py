"""The history stays within its bounds of age and size."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from edge_gateway.store.retention import age_cutoff, size_cutoff, used_bytes
from edge_gateway.store.settings import FOR_EVER
from edge_gateway.store.store import Store
from tests.gateway.store.fleet import (
    DAY,
    MINUTE,
    SETTINGS,
    T0,
    closed,
    named,
)
from tests.gateway.store.stored import ALERT, opened, table


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    one = opened(tmp_path)
    yield one
    one.close()


def test_history_by_age_goes_with_the_floor_raised_first(store: Store) -> None:
    windows = closed(0, [(1, T0 + n * DAY, 1.0) for n in range(5)])
    store.apply([(1, [named(windows=(windows,), alerts=(ALERT, structs.replace(ALERT, at=T0 + 4 * DAY)))])])
    now = T0 + 32 * DAY + 5
    assert store.trim(now) == 3
    assert [row[1] for row in table(store, "window")] == [T0 + 3 * DAY, T0 + 4 * DAY]
    assert store.floor == now - SETTINGS.history_keep
    assert len(table(store, "alert")) == 1
    assert store.trim(now) == 0


def test_a_history_that_is_kept_for_ever_is_bound_by_its_size_alone(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, history_keep=0))
    store.apply([(1, [named(windows=(closed(0, [(1, T0, 1.0)]),), alerts=(ALERT,))])])
    assert store.trim(T0 + 40_000 * DAY) == 0
    assert (len(table(store, "window")), len(table(store, "alert"))) == (1, 1)


def test_history_by_size_gives_up_its_oldest_part_step_by_step(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, history_max_bytes=100_000, sinks=()))
    for minute in range(40):
        readings = [(s, T0 + minute * MINUTE, 1.0) for s in range(100)]
        store.apply([(minute + 1, [named(range(100), windows=(closed(0, readings),))])])
    removed = 0
    while step := store.trim(T0):
        removed += step
    starts = sorted({row[1] for row in table(store, "window")})
    assert 0 < removed < 4000
    assert starts[-1] == T0 + 39 * MINUTE
    assert starts[0] >= store.floor > T0
    assert store.facts().counters["history_trimmed"] == removed


@pytest.mark.parametrize(
    ("oldest", "newest", "used", "cutoff"),
    [
        (1_000, 3_000, 100, None),
        (1_000, 3_000, 101, 1_100),
        (1_000, 1_000, 101, None),
        (2_000, 1_000, 101, None),
        (1_000, 1_019, 101, 1_001),
        (1_000, 1_040, 101, 1_002),
    ],
)
def test_above_its_size_a_twentieth_of_the_span_goes_and_never_the_newest_window(
    oldest: int, newest: int, used: int, cutoff: int | None
) -> None:
    assert size_cutoff(oldest, newest, used, 100) == cutoff


def test_an_age_of_zero_keeps_for_ever() -> None:
    assert age_cutoff(1_000, 300) == 700
    assert age_cutoff(1_000, 0) == FOR_EVER


def test_what_has_a_budget_of_its_own_does_not_count_as_history(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, history_max_bytes=1, sinks=()))
    store.apply([(1, [named(windows=(closed(0, [(1, T0 + n * MINUTE, 1.0) for n in range(40)]),))])])
    retention = store._retention
    assert retention.cutoff(T0, 1 << 40) is None
    assert retention.used == 0
    assert retention.cutoff(T0, 0) == T0 + 39 * MINUTE // 20
    assert retention.used == used_bytes(store._db) > 1
    assert retention.cutoff(T0 + SETTINGS.history_keep, 1 << 40) is None, (
        "the oldest window starts at the cutoff"
    )
    assert retention.cutoff(T0 + SETTINGS.history_keep + 1, 1 << 40) == T0 + 1
    assert retention.cutoff(T0 + SETTINGS.history_keep + 5 * MINUTE, 0) == T0 + 5 * MINUTE, (
        "the later of both"
    )
    assert retention.delete_before(T0 + 5 * MINUTE) == 5
    store.close()


def test_free_pages_do_not_count(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, sinks=()))
    store.apply([(1, [named(windows=(closed(0, [(1, T0 + n * MINUTE, 1.0) for n in range(400)]),))])])
    before = used_bytes(store._db)
    assert before % 4096 == 0
    store._retention.delete_before(T0 + 400 * MINUTE)
    assert used_bytes(store._db) < before
    store.close()

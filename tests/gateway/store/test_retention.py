"""The history stays within its bounds of age and size."""

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from edge_gateway.store.database import Store
from edge_gateway.store.retention import age_cutoff, used_bytes
from edge_gateway.store.settings import FOR_EVER
from tests.gateway.store.fleet import (
    DAY,
    MINUTE,
    SETTINGS,
    T0,
    closed,
    closed_states,
    named,
    texts,
)
from tests.gateway.store.stored import ALERT, opened, table


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


@pytest.mark.parametrize("astray", [T0 - 3650 * DAY, T0 + 3650 * DAY], ids=["ten years ago", "in ten years"])
def test_a_window_of_another_decade_does_not_change_how_much_goes(tmp_path: Path, astray: int) -> None:
    store = opened(tmp_path, replace(SETTINGS, history_max_bytes=1, sinks=()))
    readings = [(s, T0 + minute * MINUTE, 1.0) for minute in range(40) for s in range(100)]
    store.apply([(1, [named(range(100), windows=(closed(0, [*readings, (1, astray, 1.0)]),))])])
    assert 100 < store.trim(T0) < 600, "about a twentieth of 4,001 rows"
    store.close()


def test_tiers_and_texts_share_one_cutoff(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, history_max_bytes=1, sinks=()))
    readings = [(s, T0 + minute * MINUTE, 1.0) for minute in range(40) for s in range(100)]
    windows, states = tuple(closed(tier, readings) for tier in range(2)), closed_states(0, readings)
    store.apply([(1, [named(range(100), texts=texts("a", "b"), windows=windows, states=(states,))])])
    assert store.trim(T0) > 0
    for name in ("window", "state_window"):
        rows = table(store, name)
        assert min(row[1] for row in rows if row[0] == 0) == store.floor
        assert all(row[1] >= store.floor for row in rows)
    store.close()


def test_the_newest_windows_stay_whatever_the_size(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, history_max_bytes=1, sinks=()))
    readings = [(s, T0 + minute * MINUTE, 1.0) for minute in range(3) for s in range(3)]
    store.apply([(1, [named(windows=(closed(0, readings),))])])
    while store.trim(T0):
        pass
    assert [row[1] for row in table(store, "window")] == [T0 + 2 * MINUTE] * 3
    store.close()


def test_an_age_of_zero_keeps_for_ever() -> None:
    assert age_cutoff(1_000, 300) == 700
    assert age_cutoff(1_000, 0) == FOR_EVER


def test_what_has_a_budget_of_its_own_does_not_count_as_history(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, history_max_bytes=1, sinks=()))
    store.apply([(1, [named(windows=(closed(0, [(1, T0 + n * MINUTE, 1.0) for n in range(40)]),))])])
    retention = store._retention
    assert retention.cutoff(T0, 1 << 40) is None
    assert retention.used == 0
    assert retention.cutoff(T0, 0) == T0 + 1, "too few windows for a twentieth: the oldest"
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

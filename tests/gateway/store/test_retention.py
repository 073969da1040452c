"""The history stays within its bounds of age and size."""

from dataclasses import replace
from pathlib import Path
from random import Random

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
    TIERS,
    closed,
    closed_states,
    named,
    texts,
)
from tests.gateway.store.stored import ALERT, opened, table, trim


def test_history_by_age_goes_with_the_floor_raised_first(store: Store) -> None:
    windows = closed(0, [(1, T0 + n * DAY, 1.0) for n in range(5)])
    store.apply([(1, [named(windows=(windows,), alerts=(ALERT, structs.replace(ALERT, at=T0 + 4 * DAY)))])])
    now = T0 + 32 * DAY + 5
    assert trim(store, now) == 2
    assert [row[1] for row in table(store, "window")] == [T0 + n * DAY for n in (2, 3, 4)]
    floor = T0 + 2 * DAY
    assert store.coverage.now.cuts == tuple(floor - floor % tier.every for tier in TIERS)
    assert len(table(store, "alert")) == 1
    assert trim(store, now) == 0


def test_a_history_that_is_kept_for_ever_is_bound_by_its_size_alone(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, history_keep=0))
    store.apply([(1, [named(windows=(closed(0, [(1, T0, 1.0)]),), alerts=(ALERT,))])])
    assert trim(store, T0 + 40_000 * DAY) == 0
    assert (len(table(store, "window")), len(table(store, "alert"))) == (1, 1)


def test_history_by_size_gives_up_its_oldest_part_step_by_step(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, history_max_bytes=100_000, sinks=()))
    for minute in range(40):
        readings = [(s, T0 + minute * MINUTE, 1.0) for s in range(100)]
        store.apply([(minute + 1, [named(range(100), windows=(closed(0, readings),))])])
    removed = 0
    while step := trim(store, T0 + 40 * MINUTE):
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
    assert 100 < trim(store, T0 + DAY) < 600, "about a twentieth of 4,001 rows"
    store.close()


def test_numbers_and_texts_share_a_cut_and_the_base_goes_first(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, history_max_bytes=1, sinks=()))
    readings = [(s, T0 + minute * MINUTE, 1.0) for minute in range(40) for s in range(100)]
    windows, states = tuple(closed(tier, readings) for tier in range(2)), closed_states(0, readings)
    store.apply([(1, [named(range(100), texts=texts("a", "b"), windows=windows, states=(states,))])])
    coarser = [row for row in table(store, "window") if row[0]]
    assert trim(store, T0 + 3 * DAY) > 0
    assert min(row[1] for row in table(store, "window") if row[0] == 0) == store.floor
    assert min(row[1] for row in table(store, "state_window")) == store.floor
    assert [row for row in table(store, "window") if row[0]] == coarser
    assert max(store.coverage.now.cuts[1:]) < T0 - DAY
    while trim(store, T0 + 3 * DAY):
        pass
    assert len({row[:2] for row in table(store, "window")}) == 2, "of each tier the newest windows stay"
    store.close()


def test_a_coarser_window_is_kept_as_long_as_any_of_its_base_windows(store: Store) -> None:
    """Otherwise a late reading would be merged into the base window and not into the coarser one."""
    start = T0 - T0 % (60 * MINUTE)
    readings = [(1, start + minute * MINUTE, 1.0) for minute in range(180)]
    store.apply([(1, [named(windows=tuple(closed(tier, readings) for tier in range(3)))])])
    trim(store, start + 95 * MINUTE + SETTINGS.history_keep)
    oldest = [min(row[1] for row in table(store, "window") if row[0] == tier) for tier in range(3)]
    assert oldest == [start + 95 * MINUTE, start + 90 * MINUTE, start + 60 * MINUTE]


def test_while_less_than_a_coarsest_window_is_held_the_base_is_cut_within_one(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, history_max_bytes=1, sinks=()))
    readings = [(s, T0 + minute * MINUTE, 1.0) for minute in range(20) for s in range(50)]
    store.apply([(1, [named(range(50), windows=(closed(0, readings), closed(2, readings)))])])
    assert trim(store, T0 + 20 * MINUTE) > 0
    assert T0 < store.floor < T0 + 20 * MINUTE
    assert store.coverage.now.cuts[2] < T0 - DAY
    store.close()


def test_the_size_holds_though_the_base_gives_a_little_at_every_step(tmp_path: Path) -> None:
    """Once the base is as short as it may be, minute by minute, the coarser tiers must give the rest."""
    most = 600_000
    store = opened(tmp_path, replace(SETTINGS, history_max_bytes=most, sinks=()))
    for minute in range(3_000):
        at = T0 + minute * MINUTE
        due = [tier for tier, kind in enumerate(TIERS) if not at % kind.every]
        windows = tuple(closed(tier, [(s, at, minute / 7) for s in range(20)]) for tier in due)
        store.apply([(minute + 1, [named(range(20) if minute == 0 else (), windows=windows)])])
        trim(store, at)
    assert used_bytes(store._db) < 1.2 * most
    starts = [[row[1] for row in table(store, "window") if row[0] == tier] for tier in range(3)]
    assert min(starts[0]) >= min(starts[1]) >= min(starts[2]), "the finer the sooner"
    assert max(starts[0]) - min(starts[0]) >= 59 * MINUTE
    store.close()


@pytest.mark.parametrize("history_keep", [0, SETTINGS.history_keep])
def test_a_stamp_from_2099_takes_nothing_with_it(tmp_path: Path, history_keep: int) -> None:
    store = opened(tmp_path, replace(SETTINGS, history_max_bytes=1, history_keep=history_keep, sinks=()))
    readings = [(s, T0 + minute * MINUTE, 1.0) for minute in range(90) for s in range(9)]
    ahead = 4_070_908_800_000
    store.apply(
        [(1, [named(range(9), windows=tuple(closed(t, [*readings, (1, ahead, 1.0)]) for t in range(3)))])]
    )
    while trim(store, T0 + 90 * MINUTE):
        assert max(store.coverage.now.cuts) <= T0 + 90 * MINUTE
    assert (0, ahead) in {row[:2] for row in table(store, "window")}
    store.close()


def test_a_clock_far_behind_does_not_let_the_history_outgrow_its_size(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, history_max_bytes=1, sinks=()))
    readings = [(s, T0 + minute * MINUTE, 1.0) for minute in range(20) for s in range(50)]
    store.apply([(1, [named(range(50), windows=(closed(0, readings),))])])
    assert trim(store, T0 - 300 * DAY) > 0
    assert T0 < store.floor < T0 + 20 * MINUTE
    store.close()


def test_the_newest_windows_stay_whatever_the_size(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, history_max_bytes=1, sinks=()))
    readings = [(s, T0 + minute * MINUTE, 1.0) for minute in range(3) for s in range(3)]
    store.apply([(1, [named(windows=(closed(0, readings),))])])
    while trim(store, T0 + 3 * MINUTE):
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
    assert retention.cuts(T0 + DAY, 1 << 40, T0) == ()
    assert retention.used == 0
    assert retention.cuts(T0 + DAY, 0, T0)[0] == T0 + MINUTE, "too few for a twentieth: the oldest"
    assert retention.used == used_bytes(store._db) > 1
    old = T0 + SETTINGS.history_keep
    assert retention.cuts(old + MINUTE - 1, 1 << 40, T0) == (), "the oldest window starts at the cut"
    assert retention.cuts(old + MINUTE, 1 << 40, T0)[0] == T0 + MINUTE
    later = retention.cuts(old + 5 * MINUTE, 0, T0)
    assert later[0] >= T0 + 5 * MINUTE, "the later of both"
    assert retention.delete_before((T0 + 5 * MINUTE, T0, T0)) == 5
    store.close()


def test_free_pages_do_not_count(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, sinks=()))
    chance = Random(1)
    readings = [(1, T0 + n * MINUTE, chance.random()) for n in range(4_000)]
    store.apply([(1, [named(windows=(closed(0, readings),))])])
    before = used_bytes(store._db)
    assert before % 4096 == 0
    assert store._retention.delete_before([T0 + 4_000 * MINUTE]) == 4_000
    assert used_bytes(store._db) < before
    store.close()

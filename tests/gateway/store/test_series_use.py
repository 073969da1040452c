"""Series go when their last window is gone."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from edge_gateway.records.store_effects import (
    StoreEffects,
)
from edge_gateway.store.counters import StoreCounters
from edge_gateway.store.database import Store
from tests.gateway.store.fleet import (
    DAY,
    MINUTE,
    SETTINGS,
    T0,
    closed,
    name,
    named,
)
from tests.gateway.store.stored import Registry, opened, table, trim


class TestSeries:
    """Names go with the history that bears them."""

    def flapping(self, store: Store, days: int) -> None:
        """Each day other tags, and a device that stays as it is."""
        for day in range(days):
            at = T0 + day * DAY
            named = (name(1, day, region=f"r{day}"), name(2, 0, region="eu"))
            windows = (closed(0, [(1, at, 1.0)], version=day), closed(0, [(2, at, 1.0)]))
            store.apply([(store.applied + 1, [StoreEffects(at, named, windows=windows)])])
            trim(store, at)

    def test_those_whose_windows_have_gone_are_forgotten(self, tmp_path: Path) -> None:
        store = opened(tmp_path, replace(SETTINGS, history_keep=5 * DAY))
        self.flapping(store, 60)
        regions = [json.loads(row[5])["region"] for row in table(store, "series")]
        assert "eu" in regions
        assert len(regions) < 15
        assert regions[-1] == "r59"
        assert store.facts().counters["series_forgotten"] == 61 - len(regions)
        assert len(table(store, "series_use")) <= len(regions)
        alive = {row[0] for row in table(store, "series")}
        assert {row[2] for row in table(store, "window")} <= alive
        assert {row[2] for row in table(store, "number")} <= alive

    def test_a_restart_every_day_keeps_none_alive(self, tmp_path: Path) -> None:
        settings = replace(SETTINGS, history_keep=5 * DAY)
        store = opened(tmp_path, settings)
        for day in range(40):
            at = T0 + day * DAY
            known = (name(1, day, region=f"r{day}"),)
            windows = (closed(0, [(1, at, 1.0)], version=day),)
            store.apply([(store.applied + 1, [StoreEffects(at, known, windows=windows)])])
            trim(store, at)
            store.close()
            store = opened(tmp_path, settings)
        assert len(table(store, "series")) < 15
        store.close()

    def test_one_that_is_named_again_is_there_again(self, tmp_path: Path) -> None:
        store = opened(tmp_path, replace(SETTINGS, history_keep=5 * DAY), resolver=Registry())
        first = (closed(0, [(2, T0, 1.0)]),)
        store.apply([(1, [StoreEffects(T0, (name(2, region="eu"), name(3, region="eu")), windows=first)])])
        for day in range(1, 40):
            at = T0 + day * DAY
            store.apply([(store.applied + 1, [StoreEffects(at, windows=(closed(0, [(3, at, 1.0)]),))])])
            trim(store, at)
        assert [row[1] for row in table(store, "series")] == ["dev-3"]
        at = T0 + 40 * DAY
        store.apply([(store.applied + 1, [StoreEffects(at, windows=(closed(0, [(2, at, 1.0)]),))])])
        names = {row[0]: row[1] for row in table(store, "series")}
        assert [names[row[2]] for row in table(store, "window") if row[1] == at - at % MINUTE] == ["dev-2"]
        store.close()

    def test_a_rollback_forgets_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        store = opened(tmp_path, replace(SETTINGS, history_keep=5 * DAY))
        self.flapping(store, 20)
        before = table(store, "number")

        def full(*_: object) -> None:
            raise sqlite3.OperationalError("disk full")

        with monkeypatch.context() as patch:
            patch.setattr(StoreCounters, "add", full)
            with pytest.raises(sqlite3.OperationalError):
                trim(store, T0 + 60 * DAY)
        assert table(store, "number") == before
        at = T0 + 20 * DAY
        store.apply(
            [(store.applied + 1, [StoreEffects(at, windows=(closed(0, [(1, at, 1.0)], version=19),))])]
        )
        assert "unnamed_readings" not in store.facts().counters
        store.close()


def test_a_series_goes_when_its_entry_cannot_be_behind_and_is_searched_for_once_an_hour(
    tmp_path: Path,
) -> None:
    store = opened(tmp_path)
    store.apply([(1, [named([1, 2], windows=(closed(0, [(1, T0, 1.0)]),))])])

    def devices_after(oldest: int) -> list[str]:
        store._use.prune(oldest, store._names, store._counters)
        return [device for (device,) in store._db.execute("SELECT device FROM series ORDER BY id")]

    margin, hour = 3 * DAY, 60 * MINUTE
    assert devices_after(T0 + margin) == ["dev-1", "dev-2"]
    assert devices_after(T0 + margin + hour - 1) == ["dev-1", "dev-2"], (
        "nothing is searched for within the hour"
    )
    assert devices_after(T0 + margin + hour) == ["dev-2"]
    store.close()


def test_series_that_have_only_coarse_windows_left_are_kept_over_a_restart(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.apply([(1, [named([1, 2], windows=(closed(1, [(1, T0, 1.0), (2, T0, 1.0)]),))])])
    store.close()
    store = opened(tmp_path)
    store.apply([(2, [StoreEffects(T0, cuts=(T0 + MINUTE, 0, 0))])])
    assert [row[1] for row in table(store, "series")] == ["dev-1", "dev-2"]
    store.close()

"""Windows rebuilt from the journal: late readings of windows that are there, and nothing sent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edge_gateway.records.store_effects import Kind, Stamp, StoreEffects
from edge_gateway.store import rebuild
from edge_gateway.store.coverage import NOTHING_HELD
from edge_gateway.store.database import Store
from edge_gateway.store.rebuild import Derived, NoLines, merge_all, send_all
from tests.gateway.store.fleet import (
    MINUTE,
    SETTINGS,
    T0,
    closed,
    closed_states,
    late,
    late_states,
    name,
    named,
    texts,
)
from tests.gateway.store.stored import lines, opened, table
from tests.gateway.store.stored import merge_all as merge_late


def test_late_readings_are_merged_where_their_window_is_and_dropped_elsewhere_and_nothing_is_sent(
    tmp_path: Path,
) -> None:
    store = opened(tmp_path)
    windows, states = (closed(0, [(1, T0, 1.0)]),), (closed_states(0, [(2, T0, 0)]),)
    store.apply([(1, [named(texts=texts("on", "off"), windows=windows, states=states)])])
    sent = table(store, "outbox")
    values = late([(1, T0 + 1, 2.0), (1, T0 + 9 * MINUTE, 3.0)], tiers=1)
    store.apply([(2, [named(late=values, late_states=late_states([(2, T0 + 1, 1.0), (3, T0, 1.0)]))])])
    merge_all((store._numbers, store._texts), NoLines(), NOTHING_HELD)
    assert store.late_pending == 0
    assert [row[3] for row in table(store, "window")] == [1]
    assert [row[3] for row in table(store, "state_window")] == [1]
    assert table(store, "outbox") == sent
    store.close()


def test_a_late_reading_is_merged_in_the_one_tier_of_which_the_records_have_the_window(
    tmp_path: Path,
) -> None:
    """The base window closed before they begin. Without the reading, the point of the coarser one would lose it."""
    store = opened(tmp_path)
    store.apply(
        [(1, [named(windows=(closed(1, [(1, T0, 1.0)]),), late=late([(1, T0 + 1, 2.0)], tiers=0b11))])]
    )
    merge_all((store._numbers, store._texts), NoLines(), NOTHING_HELD)
    assert [row[:2] + row[3:4] for row in table(store, "window")] == [(1, T0 - T0 % (10 * MINUTE), 1)]
    store.close()


def test_all_windows_are_sent_piece_by_piece_and_returned_by_family(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "AT_ONCE", 2)
    store = opened(tmp_path)
    readings = [(1, T0 + n * MINUTE, 1.0) for n in range(3)]
    store.apply([(1, [named([0, 1], windows=(closed(0, readings), closed(1, readings[:1])))])])
    store.apply(
        [
            (
                2,
                [
                    StoreEffects(
                        T0, (name(1, 1, region="us"),), windows=(closed(0, [(1, T0 - MINUTE, 1.0)], 1),)
                    )
                ],
            )
        ]
    )
    lines(store)
    found, heads = send_all(
        store._db, ((store._windows, store._lines), (store._states, NoLines())), Stamp(T0)
    )
    assert heads == {1: 1, 2: 2, 3: 2}, "a device whose tags changed is one family"
    tier_1 = T0 - T0 % (10 * MINUTE)
    assert found == {(0, T0 + n * MINUTE, 2) for n in range(-1, 3)} | {(1, tier_1, 2)}
    assert len(lines(store)) == 5
    store.close()


def test_what_no_window_takes_comes_back_from_the_journal_when_the_store_is_gone(tmp_path: Path) -> None:
    partial = closed(0, [(1, T0, 1.0)], kind=Kind.PARTIAL)
    records = [(1, (named(windows=(partial, closed(0, [(2, T0, 1.0)]))),))]
    store = Store.open(tmp_path / "store.sqlite", SETTINGS, floor=T0, at=T0, records=lambda: iter(records))
    assert [row[1] for row in table(store, "apart")] == ["partial"]
    assert sorted(line.split(",")[0] for line in lines(store)) == ["sensor", "sensor_partial"]
    store.close()


def test_what_a_store_made_anew_cannot_name_is_counted(tmp_path: Path) -> None:
    records = [(1, (StoreEffects(T0, windows=(closed(0, [(1, T0, 1.0), (2, T0, 1.0)]),)),))]
    store = opened(tmp_path, records=lambda: iter(records))
    assert store.unnamed == store.facts().counters["unnamed_readings"] == 2
    store.close()
    again = opened(tmp_path)
    assert again.unnamed == 0, "it is not made anew"
    again.close()


FAR = T0 + 30 * MINUTE
LATE = late([(1, FAR, 3.0), (1, FAR + 1, 4.0), (2, T0 + 1, 1.0)], tiers=0b11)
"""A backlog of one device, for a window that it has not, and a late reading of another."""


def a_life() -> list[Derived]:
    windows = tuple(closed(tier, [(1, T0, 1.0), (2, T0, 1.0)]) for tier in (0, 1))
    return [(1, (named(windows=windows),)), (2, (named(late=LATE),))]


def lived(path: Path, damage: str = "", records: Sequence[Derived] = ()) -> Store:
    return Store.open(
        path / "store.sqlite", SETTINGS, floor=T0, at=T0, damage=damage, records=lambda: iter(records)
    )


def histories(store: Store) -> tuple[list[Any], list[Any]]:
    """The windows, and what no window takes."""
    merge_late(store)
    while store.facts().salvaging:
        store.salvage()
    found = sorted((row[:3], row[4]) for row in table(store, "window")), table(store, "apart")
    store.close()
    return found


@pytest.mark.parametrize("damage", ["", "malformed"], ids=["missing", "damaged"])
def test_windows_that_late_readings_opened_come_back_where_the_journal_is_whole(
    tmp_path: Path, damage: str
) -> None:
    before = opened(tmp_path)
    for number, effects in a_life():
        before.apply([(number, list(effects or ()))])
    expected = histories(before)
    assert len(expected[0]) == 6
    if not damage:
        (tmp_path / "store.sqlite").unlink()
    assert histories(lived(tmp_path, damage, a_life())) == expected


def test_late_readings_whose_windows_closed_before_the_journal_begins_are_kept_apart(tmp_path: Path) -> None:
    store = lived(tmp_path, records=[(7, a_life()[1][1])])
    assert store.facts().counters["late_too_late"] == 3
    windows, apart = histories(store)
    assert windows == []
    assert [row[1] for row in apart] == ["late"] * 3

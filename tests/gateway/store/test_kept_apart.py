"""What no window takes can be found, with the reason, whether a sink is there or not."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_gateway.records.store_effects import BEHIND, OVER_SHARE, Kind
from edge_gateway.store import side_tables
from edge_gateway.store.database import Store
from edge_gateway.store.history import History
from tests.gateway.store.fleet import (
    DAY,
    MINUTE,
    SETTINGS,
    T0,
    closed,
    closed_states,
    late,
    late_states,
    named,
    texts,
)
from tests.gateway.store.stored import opened, table

WITHOUT_SINK = replace(SETTINGS, sinks=())


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Store]:
    """A store without a sink."""
    one = opened(tmp_path, WITHOUT_SINK)
    yield one
    one.close()


def shown(path: Path, what: str, **only: Any) -> list[dict[str, Any]]:
    with History.open(path, [tier.every for tier in SETTINGS.tiers]) as history:
        return list(history.query(what, **only))


def test_a_part_of_a_window_is_kept_without_a_sink(bare: Store, tmp_path: Path) -> None:
    lost = [closed(tier, [(1, T0, 1.5), (1, T0 + 1, 2.5)], kind=Kind.PARTIAL) for tier in range(2)]
    again = closed(1, [(1, T0 - DAY, 1.0)], kind=Kind.GONE)
    bare.apply([(1, [named(windows=(*lost, again))])])
    first, second = shown(tmp_path, "partial")
    assert (first["why"], second["why"]) == ("again", "lost"), "coarser windows of a loss say nothing more"
    assert (second["start"], second["every"], second["count"], second["sum"]) == (T0, MINUTE, 2, 4.0)
    assert (second["device"], second["metric"], second["min"], second["last"]) == (
        "dev-1",
        "temperature",
        1.5,
        2.5,
    )
    assert shown(tmp_path, "partial", tier=1) == [first]
    assert shown(tmp_path, "partial", device="dev-2") == []
    assert shown(tmp_path, "partial", since=T0) == [second]
    assert bare.facts().waiting == {}


def test_readings_that_are_merged_nowhere_are_kept_without_a_sink(bare: Store, tmp_path: Path) -> None:
    numbers = late([(1, T0, 1.0), (1, T0 + 1, 2.0)])
    numbers.tiers[:] = OVER_SHARE, BEHIND
    states = late_states([(4, T0 + 2, 1.0), (4, T0 + 3, 0.0)])
    states.tiers[:] = OVER_SHARE, BEHIND
    unknown = late([(1, T0 + 4, 3.0)])
    bare.apply(
        [(1, [named(late=numbers, late_states=states, not_known=unknown, texts=texts("open", "closed"))])]
    )
    rows = [(row["at"], row["value"], row["why"]) for row in shown(tmp_path, "late")]
    expected = [
        (T0, 1.0, "share"),
        (T0 + 1, 2.0, "late"),
        (T0 + 2, "closed", "share"),
        (T0 + 3, "open", "late"),
    ]
    assert rows == [*expected, (T0 + 4, 3.0, "unknown")]


def test_a_late_reading_that_its_window_refuses_is_kept(bare: Store, tmp_path: Path) -> None:
    bare.freeze(T0 + DAY)
    given = named(
        late=late([(1, T0, 1.0)]), late_states=late_states([(4, T0, 1.0)]), texts=texts("open", "closed")
    )
    bare.apply([(1, [given])])
    while bare.run_late():
        pass
    assert {(row["value"], row["why"]) for row in shown(tmp_path, "late")} == {
        (1.0, "late"),
        ("closed", "late"),
    }


def test_parts_of_windows_of_texts_are_kept(bare: Store, tmp_path: Path) -> None:
    states = closed_states(0, [(4, T0, 0), (4, T0 + 5, 1)], kind=Kind.PARTIAL)
    bare.apply([(1, [named(states=(states,), texts=texts("open", "closed"))])])
    (row,) = shown(tmp_path, "partial")
    assert (row["start"], row["first"], row["last"], row["changes"], row["why"]) == (
        T0,
        "open",
        "closed",
        1,
        "lost",
    )


def test_what_is_kept_apart_has_the_bounds_of_the_history(
    bare: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_tables, "MOST_APART", 3)
    times = [(series, T0 + at, 1.0) for series, many in ((1, 5), (2, 1)) for at in range(many)]
    refused = late(times)
    refused.tiers[:] = OVER_SHARE
    bare.apply([(1, [named(late=refused)])])
    bare.trim(T0)
    rows = shown(tmp_path, "late")
    assert [row["device"] for row in rows].count("dev-2") == 1, "a flood displaces only itself"
    assert (len(rows), bare.facts().counters["apart_dropped"]) == (3, 3)
    bare.trim(T0 + SETTINGS.history_keep + DAY)
    assert table(bare, "apart") == []

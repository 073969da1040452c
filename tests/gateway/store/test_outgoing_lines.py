"""What goes to the sinks, and what is too old for its bucket."""

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from edge_gateway.records.store_effects import OVER_SHARE, Kind, StoreEffects, both
from edge_gateway.store import outgoing_lines
from edge_gateway.store.database import Store
from edge_gateway.store.outbox import SinkBudget
from edge_gateway.store.room_in_file import block_in_file
from tests.gateway.store.fleet import (
    DAY,
    MINUTE,
    SETTINGS,
    T0,
    closed,
    closed_states,
    late,
    name,
    named,
    texts,
)
from tests.gateway.store.stored import ALERT, lines, merge_all, opened, table


def test_partial_windows_are_sent_to_their_own_measurement_and_not_stored(store: Store) -> None:
    store.apply([(1, [named(windows=(closed(0, [(1, T0, 1.0)], kind=Kind.PARTIAL),))])])
    assert table(store, "window") == []
    assert [line.split(",")[0] for line in lines(store)] == ["sensor_partial"]
    assert store.facts().counters["partial_windows"] == 1


def test_a_partial_window_that_is_stored_may_have_counted_and_says_so(store: Store) -> None:
    """The records that closed it are lost, and the state before them still had it open."""
    store.apply([(1, [named(windows=(closed(0, [(1, T0, 1.0)]),))])])
    partial = [
        closed(tier, [(1, T0, 1.0), (1, T0 + 60 * MINUTE, 2.0)], kind=Kind.PARTIAL) for tier in range(2)
    ]
    store.apply([(2, [named(windows=tuple(partial))])])
    apart = [line for line in lines(store) if line.startswith("sensor_partial")]
    assert [line.split("why=")[1].split(" ")[0] for line in apart] == ["lost", "unknown"]
    assert store.facts().counters["partial_windows"] == 4


def test_a_refused_window_is_sent_apart_with_the_reason_in_the_bucket_of_its_tier(store: Store) -> None:
    again = tuple(closed(tier, [(1, T0 - 60 * MINUTE, 1.0)], kind=Kind.GONE) for tier in range(2))
    store.apply([(1, [named(windows=again)])])
    assert table(store, "window") == []
    assert {row[2] for row in table(store, "outbox")} == {"telemetry", "telemetry_10m"}
    assert [",why=again " in line for line in lines(store)] == [True, True]
    assert store.facts().counters["windows_refused"] == 2


def test_parts_of_one_window_that_are_sent_apart_do_not_overwrite_one_another(store: Store) -> None:
    parts = [closed(1, [(1, T0 + at, 1.0)], kind=Kind.GONE) for at in (MINUTE, 2 * MINUTE)]
    store.apply([(number, [named(windows=(part,))]) for number, part in enumerate(parts, start=1)])
    times = [int(line.rsplit(" ", 1)[1]) // 10**6 for line in lines(store)]
    assert times == [T0 + MINUTE, T0 + 2 * MINUTE], "the first reading of each"


def test_points_older_than_their_bucket_keeps_are_stored_and_not_sent(store: Store) -> None:
    old = T0 - 40 * DAY
    windows = (closed(0, [(1, old, 1.0), (1, T0, 2.0)]), closed(1, [(1, old, 1.0)]))
    alerts = (structs.replace(ALERT, at=old), structs.replace(ALERT, at=T0))
    store.apply([(1, [named(windows=windows, alerts=alerts)])])
    assert len(table(store, "window")) == 3
    assert len(table(store, "alert")) == 2
    assert len(lines(store)) == 3
    assert store.facts().counters["points_beyond_retention"] == 2


def test_a_point_exactly_as_old_as_its_bucket_keeps_is_sent(store: Store) -> None:
    oldest = T0 - SETTINGS.tiers[0].keep
    at = {"at": oldest}, {"at": oldest - 1}
    one = named(
        windows=(closed(0, [(1, oldest - MINUTE, 1e300), (2, oldest, 1e300)]),),
        late=late([(1, oldest, 5.0), (1, oldest - 1, 6.0)], tiers=0),
        alerts=tuple(structs.replace(ALERT, **changed) for changed in at),
    )
    store.apply([(1, [one])])
    sent = lines(store)
    assert sorted(line.split(",")[0] for line in sent) == ["alert", "sensor", "sensor_late"]
    assert all(line.rpartition(" ")[2].startswith(str(oldest)) for line in sent)
    assert any("sum=1e300" in line and "dev-2" in line for line in sent)
    assert store.facts().counters["points_beyond_retention"] == 3


def test_readings_of_messages_that_are_not_known_are_sent_as_such_and_merged_nowhere(store: Store) -> None:
    store.apply([(1, [named(windows=(closed(0, [(1, T0, 1.0)]),), not_known=late([(1, T0, 5.0)], tiers=0))])])
    sent, apart = sorted(lines(store), key=lambda line: line.startswith("sensor_late"))
    assert "sum=1.0" in sent
    assert apart.startswith("sensor_late,device=dev-1,")
    assert apart.endswith(f",why=unknown value=5.0 {T0}000000")
    assert store.facts().late_pending == 0


def test_readings_of_one_time_that_are_merged_nowhere_are_points_of_their_own(tmp_path: Path) -> None:
    """By all three ways; and a store that is made again sends the same points."""
    same = [(1, T0, 5.0)] * 4
    waited = late([(1, T0 - DAY, 5.0)] * 4, tiers=0b1)
    told = named(late=both(late(same, tiers=OVER_SHARE), waited), not_known=late(same, tiers=0))
    found = []
    for place in ("first", "again"):
        (tmp_path / place).mkdir()
        store = opened(tmp_path / place)
        store.apply([(1, [told])])
        merge_all(store)
        found.append([line for line in lines(store) if line.startswith("sensor_late")])
        store.close()
    points = {(line.split(" ")[0], line.rpartition(" ")[2]) for line in found[0]}
    assert len(points) == 12
    assert {int(time) // 10**6 for _, time in points} == {T0, T0 - DAY}
    assert sorted(found[0]) == sorted(found[1])


def test_partial_windows_older_than_their_bucket_keeps_are_not_sent(store: Store) -> None:
    oldest = T0 - SETTINGS.tiers[0].keep
    partial = (
        closed(0, [(1, oldest - MINUTE, 1.0), (1, oldest, 2.0)], kind=Kind.PARTIAL),
        closed(1, [(1, T0, 1.0)], kind=Kind.PARTIAL),
    )
    store.apply([(1, [named(windows=partial)])])
    (line,) = lines(store)
    assert line.rpartition(" ")[2].startswith(str(oldest))


def test_a_bucket_that_keeps_for_ever_is_sent_points_of_any_age(tmp_path: Path) -> None:
    ever = replace(SETTINGS, tiers=tuple(replace(tier, keep=0) for tier in SETTINGS.tiers))
    store, old = opened(tmp_path, ever), T0 - 40_000 * DAY
    windows = (closed(0, [(1, old, 1.0), (1, T0, 2.0)]), closed(1, [(1, old, 1.0)]))
    states = (closed_states(0, [(4, old, 0)]),)
    told = named(
        windows=windows,
        states=states,
        texts=texts("open"),
        alerts=(structs.replace(ALERT, at=old),),
    )
    store.apply([(1, [told])])
    assert len(lines(store)) == 5
    assert "points_beyond_retention" not in store.facts().counters


def test_lines_for_a_sink_that_is_no_longer_configured_are_dropped_and_counted(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.apply([(1, [named(windows=(closed(0, [(1, T0, 1.0)]),))])])
    store.close()
    store = opened(tmp_path, replace(SETTINGS, sinks=()))
    assert table(store, "outbox") == []
    assert store.facts().counters["outbox_dropped_unconfigured"] == 1
    store.apply([(2, [named(windows=(closed(0, [(1, T0 + MINUTE, 1.0)]),), alerts=(ALERT,))])])
    assert table(store, "outbox") == []
    assert len(table(store, "window")) == 2


def test_without_a_sink_nothing_is_rendered(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, sinks=()))
    partial = (closed(0, [(1, T0, 1.0)], kind=Kind.PARTIAL),)
    store.apply([(1, [named(windows=partial, alerts=(ALERT,), late=late([(1, T0, 1.0)], tiers=0))])])
    store.enqueue(b"gateway up=1i 1\n", T0)
    assert table(store, "outbox") == []
    assert "points_beyond_retention" not in store.facts().counters
    store.close()


def test_more_prefixes_than_are_cached_are_rendered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing_lines, "MOST_PREFIXES", 2)
    store = opened(tmp_path)
    for number, series in enumerate(([0, 1], [1, 2], [0, 1, 2]), 1):
        readings = [(one, T0 + number * MINUTE, 1.0) for one in series]
        store.apply([(number, [named(windows=(closed(0, readings),))])])
    found = [line.partition("device=")[2].partition(",")[0] for line in lines(store)]
    assert found == ["dev-0", "dev-1", "dev-1", "dev-2", "dev-0", "dev-1", "dev-2"]
    store.close()


def many(*starts: int) -> StoreEffects:
    """First windows of 100 series for each of these starts."""
    windows = closed(0, [(series, start, 1.0) for start in starts for series in range(100)])
    return replace(named(range(100), windows=(windows,)), at=max(starts))


def test_of_a_block_only_what_its_bucket_keeps_is_sent(store: Store) -> None:
    kept = SETTINGS.tiers[0].keep
    store.apply([(1, [many(T0 - MINUTE, T0, T0 + kept)])])
    assert store.facts().counters["points_beyond_retention"] == 100
    assert [row[-3:-1] for row in table(store, "outbox")] == [(1, 100)]
    assert len(table(store, "window")) == 300
    assert {line.rsplit(" ", 1)[1] for line in lines(store)} == {f"{at}000000" for at in (T0, T0 + kept)}


def test_a_block_whose_lines_may_be_more_than_a_request_carries_is_sent_as_lines(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, forwarded=("where",)))
    names = tuple(name(series, where="x" * 10_000) for series in range(100))
    windows = closed(0, [(series, T0, 1.0) for series in range(100)])
    store.apply([(1, [StoreEffects(T0, names, windows=(windows,))])])
    assert [row[-3] for row in table(store, "outbox")] == [None, None], "two chunks"
    assert len(lines(store)) == 100
    store.close()


def test_a_block_takes_nothing_of_the_budget_until_the_history_lets_it_go(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, sinks=(SinkBudget("influx", 1, "drop_oldest"),)))
    store.apply([(1, [many(T0)])])
    waiting = store.facts().waiting["influx"]
    assert (waiting.chunks, waiting.lines, waiting.bytes) == (1, 100, 0)
    store.apply([(2, [StoreEffects(T0, cuts=(T0 + MINUTE,) * 3)])])
    assert table(store, "window") == []
    assert store.facts().waiting["influx"].chunks == 0
    assert store.facts().counters["outbox_dropped_lines"] == 100
    assert store._db.execute("SELECT (SELECT COUNT(*) FROM block), COUNT(*) FROM block_body").fetchone() == (
        0,
        0,
    )
    store.close()


def test_a_sink_is_sent_what_the_history_does_not_have_any_more(store: Store) -> None:
    store.apply([(1, [many(T0)])])
    store.apply([(2, [StoreEffects(T0, cuts=(T0 + MINUTE,) * 3)])])
    assert store.facts().waiting["influx"].bytes > 0
    parcel = store.take("influx")
    assert parcel is not None
    assert parcel.lines == 100
    store.done(parcel)
    assert store._db.execute("SELECT (SELECT COUNT(*) FROM block), COUNT(*) FROM block_body").fetchone() == (
        0,
        0,
    )
    assert store.facts().waiting["influx"].bytes == 0


def test_a_block_that_several_sinks_wait_for_counts_to_each_budget_and_once_in_the_file(
    tmp_path: Path,
) -> None:
    sinks = (SinkBudget("influx", 1 << 30), SinkBudget("other", 1 << 30))
    store = opened(tmp_path, replace(SETTINGS, sinks=sinks))
    store.apply([(1, [many(T0)])])
    assert store._outbox.bytes_in_file() == 0, "the history has it"
    store.apply([(2, [StoreEffects(T0, cuts=(T0 + MINUTE,) * 3)])])
    size = block_in_file(*store._db.execute("SELECT size FROM block").fetchone())
    waiting = store.facts().waiting
    assert waiting["influx"].bytes == waiting["other"].bytes == size == store._outbox.bytes_in_file()
    store.enqueue(b"gateway up=1\n", T0)
    alone = store.facts().waiting["other"].bytes - size
    assert store._outbox.bytes_in_file() == size + 2 * alone
    lines(store)
    assert store._outbox.bytes_in_file() == size + alone
    store.close()


def test_a_series_is_known_for_as_long_as_a_block_of_it_waits(store: Store) -> None:
    store.apply([(1, [many(T0)])])
    later = T0 + 40 * DAY
    store.apply([(2, [StoreEffects(later, windows=(closed(0, [(0, later, 1.0)]),), cuts=(later,) * 3)])])
    assert "series_forgotten" not in store.facts().counters
    assert len(lines(store)) == 101
    store.apply([(3, [StoreEffects(later, cuts=(later + 3_600_000,) * 3)])])
    assert store.facts().counters["series_forgotten"] == 98, "all but the newest, and the one in use"


def test_corrections_of_a_block_that_waits_come_behind_it(store: Store) -> None:
    store.apply([(1, [many(T0)])])
    store.apply([(2, [StoreEffects(T0, late=late([(5, T0 + 9, 3.0)], tiers=1))])])
    while store.run_late():
        pass
    counts = [line.split("count=")[1].split("i")[0] for line in lines(store) if "dev-5," in line]
    assert counts == ["1", "2"]
    parcel = store.take("influx")
    assert parcel is None

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from edge_gateway.errors import NewerSpool
from edge_gateway.records import codec
from edge_gateway.records.alerts import CommandChange
from edge_gateway.records.store_effects import (
    Event,
    Quarantined,
    SeriesName,
    StoreEffects,
    TextName,
    effects_from_tree,
)
from edge_gateway.store import side_tables
from edge_gateway.store.counters import StoreCounters
from edge_gateway.store.eviction import SENDER
from edge_gateway.store.row_checksum import checked
from edge_gateway.store.schema import is_damage, set_aside
from edge_gateway.store.settings import StoreSettings
from edge_gateway.store.store import Store
from tests.gateway.records.transitions import too_warm
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

ALERT = too_warm(subject="dev-1", at=T0)
COMMAND = CommandChange("c1", 5, "dev-1", "cool", {"to": -20}, "sent", T0)


def opened(path: Path, settings: StoreSettings = SETTINGS, **more: Any) -> Store:
    return Store.open(path / "store.sqlite", settings, **{"floor": T0, "at": T0, **more})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    one = opened(tmp_path)
    yield one
    one.close()


def table(store: Store, name: str) -> list[tuple[Any, ...]]:
    """Everything in a table, read through a second connection, so only what is committed."""
    with sqlite3.connect(store.path) as db:
        rows = db.execute(f"SELECT * FROM {name}").fetchall()
    db.close()
    return rows


def everything(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    kinds = (
        "series",
        "number",
        "text",
        "code",
        "window",
        "state_window",
        "late",
        "late_state",
        "alert",
        "command",
    )
    return {kind: table(store, kind) for kind in (*kinds, "quarantine", "event", "outbox", "counter", "meta")}


def lines(store: Store, sink: str = "influx") -> list[str]:
    """Take everything out of the outbox, with what is superseded there."""
    chunks = [codec.decompress(row[-1]) for row in table(store, "outbox") if row[1] == sink]
    while (parcel := store.take(sink)) is not None:
        store.done(parcel)
    return b"".join(chunks).decode().splitlines()


def rich(number: int) -> StoreEffects:
    start = T0 + number * MINUTE
    return named(
        at=start,
        texts=texts("open", "closed"),
        windows=(closed(0, [(s, start + s, 1.5 * s) for s in range(4)]), closed(1, [(1, start, 2.0)])),
        states=(closed_states(0, [(4, start, 0), (4, start + 5, 1)]),),
        late=late([(2, start - MINUTE, 1.0)]),
        alerts=(structs.replace(ALERT, at=start),),
        commands=(structs.replace(COMMAND, id=f"c{number}"),),
        quarantined=(Quarantined("t", b"x", "bad", start),),
        events=(Event("broker_lost_session", "text", start),),
    )


def test_records_are_applied_once_whatever_is_repeated(tmp_path: Path) -> None:
    once, again = opened(tmp_path / "once"), opened(tmp_path / "again")
    for number in range(1, 6):
        once.apply([(number, [rich(number)])])
    for first, last in ((1, 2), (1, 1), (2, 4), (1, 5), (5, 5)):
        again.apply([(number, [rich(number)]) for number in range(first, last + 1)])
    assert again.applied == 5
    assert everything(once) == everything(again)
    assert len([row for row in table(once, "window") if row[0] == 0]) == 5 * 4


def test_a_crash_inside_a_transaction_leaves_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)
    store.apply([(1, [rich(1)])])
    before = everything(store)
    for part, method in (
        ("_outbox", "enforce"),
        ("_side_tables", "alerts"),
        ("_numbers", "add"),
        ("_lines", "windows"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(getattr(store, part), method, lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                store.apply([(2, [rich(2)])])
        assert everything(store) == before
        assert store.applied == 1
    store.apply([(2, [rich(2)])])
    other = opened(tmp_path / "other")
    other.apply([(1, [rich(1)]), (2, [rich(2)])])
    assert everything(store) == everything(other)
    assert store.facts() == other.facts()


def test_effects_survive_the_journal_record_unchanged(tmp_path: Path) -> None:
    record = codec.decode(codec.encode({"effects": [rich(1), rich(2)]}))
    direct, replayed = opened(tmp_path / "a"), opened(tmp_path / "b")
    direct.apply([(1, [rich(1), rich(2)])])
    replayed.apply([(1, [effects_from_tree(tree) for tree in record["effects"]])])
    assert everything(direct) == everything(replayed)


def test_what_is_stored_is_there_after_opening_again(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.apply([(n, [rich(n)]) for n in range(1, 4)])
    facts, tables = store.facts(), everything(store)
    store.close()
    again = opened(tmp_path, floor=T0 + DAY)
    assert not again.opened.created
    assert again.facts() == facts
    assert everything(again) == tables


def test_a_window_that_comes_again_is_merged_and_sent_again(store: Store) -> None:
    store.apply([(1, [named(windows=(closed(0, [(1, T0 + 1, 1.0), (2, T0 + 1, 7.0)]),))])])
    store.apply([(2, [StoreEffects(T0, windows=(closed(0, [(1, T0 + 2, 5.0), (3, T0 + 2, 9.0)]),))])])
    rows = {
        series: (revision, checked(row, start, series))
        for _, start, series, revision, row in table(store, "window")
    }
    whole = closed(0, [(1, T0 + 1, 1.0), (1, T0 + 2, 5.0)]).rows
    assert sorted(revision for revision, _ in rows.values()) == [0, 0, 1]
    assert whole.tobytes()[8:] in {row[8:] for _, row in rows.values() if row}
    sent = lines(store)
    assert len(sent) == 4
    assert "count=2i" in sent[2]
    assert "sum=6.0" in sent[2]


def test_many_rows_of_which_one_is_known_are_all_stored(store: Store) -> None:
    fleet = range(2500)
    store.apply([(1, [named(fleet, windows=(closed(0, [(1700, T0, 1.0)]),))])])
    store.apply([(2, [StoreEffects(T0, windows=(closed(0, [(s, T0 + 1, 2.0) for s in fleet]),))])])
    revisions = [row[3] for row in table(store, "window")]
    assert len(revisions) == 2500
    assert sum(revisions) == 1


def test_tags_that_change_give_new_series_and_forwarded_tags_alone_count(store: Store) -> None:
    def effects(version: int, ts: int, **tags: str) -> StoreEffects:
        return StoreEffects(T0, (name(1, version, **tags),), windows=(closed(0, [(1, ts, 1.0)], version),))

    store.apply([(1, [effects(0, T0, region="eu", owner="x")])])
    store.apply([(2, [effects(1, T0 + MINUTE, region="us", owner="x")])])
    store.apply([(3, [effects(2, T0 + 2 * MINUTE, region="us", owner="y")])])
    store.apply([(4, [effects(3, T0 + 3 * MINUTE)])])
    tags = [line.partition(" ")[0] for line in lines(store)]
    assert ["region=eu" in tags[0], "region=us" in tags[1], "region=unknown" in tags[3]] == [True] * 3
    assert tags[1] == tags[2]
    assert "owner" not in "".join(tags)
    assert len(table(store, "series")) == 3


def test_an_empty_tag_or_type_is_unknown_and_old_versions_are_forgotten(store: Store) -> None:
    names = [SeriesName(1, version, "d", "m", "s", "", {"region": ""}) for version in range(20)]
    store.apply([(1, [StoreEffects(T0, tuple(names), windows=(closed(0, [(1, T0, 1.0)], version=19),))])])
    (line,) = lines(store)
    assert "region=unknown" in line
    assert "type=unknown" in line
    assert sorted(row[1] for row in table(store, "number")) == list(range(12, 20))


def test_other_forwarded_tags_take_effect_on_the_next_start(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.apply([(1, [named([1], windows=(closed(0, [(1, T0, 1.0)]),))])])
    store.close()
    store = opened(tmp_path, replace(SETTINGS, forwarded=("owner", "region")))
    store.apply([(2, [StoreEffects(T0, windows=(closed(0, [(1, T0 + MINUTE, 1.0)]),))])])
    first, second = lines(store)
    assert "owner" not in first
    assert "owner=unknown" in second
    assert "region=eu" in second


class Registry:
    """Knows the names of even series."""

    def series_name(self, series: int, version: int) -> SeriesName | None:
        return name(series, version, region="eu") if series % 2 == 0 else None

    def text_name(self, code: int) -> TextName | None:
        return TextName(code, f"text {code}") if code % 2 == 0 else None


def test_names_a_new_store_lacks_are_asked_for_and_what_stays_unknown_is_counted(tmp_path: Path) -> None:
    store = opened(tmp_path, resolver=Registry())
    store.apply(
        [
            (
                7,
                [
                    StoreEffects(
                        T0,
                        windows=(closed(0, [(s, T0, 1.0) for s in range(4)]),),
                        states=(closed_states(0, [(6, T0, 3), (6, T0 + 1, 4)]),),
                        late=late([(2, T0, 1.0), (3, T0, 1.0)]),
                    )
                ],
            )
        ]
    )
    assert len(table(store, "window")) == 2
    assert len(table(store, "late")) == 1
    assert store.facts().counters["unnamed_readings"] == 3
    assert sorted(row[1] for row in table(store, "text")) == ["text 4", "unknown"]


def test_partial_windows_are_sent_to_their_own_measurement_and_not_stored(store: Store) -> None:
    store.apply([(1, [named(windows=(closed(0, [(1, T0, 1.0)], partial=True),))])])
    assert table(store, "window") == []
    assert [line.split(",")[0] for line in lines(store)] == ["sensor_partial"]
    assert store.facts().counters["partial_windows"] == 1


def test_points_older_than_their_bucket_keeps_are_stored_and_not_sent(store: Store) -> None:
    old = T0 - 40 * DAY
    windows = (closed(0, [(1, old, 1.0), (1, T0, 2.0)]), closed(1, [(1, old, 1.0)]))
    alerts = (structs.replace(ALERT, at=old), structs.replace(ALERT, at=T0))
    store.apply([(1, [named(windows=windows, alerts=alerts)])])
    assert len(table(store, "window")) == 3
    assert len(table(store, "alert")) == 2
    assert len(lines(store)) == 3
    assert store.facts().counters["points_beyond_retention"] == 2


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


def test_texts_are_stored_under_numbers_of_the_store(store: Store) -> None:
    one = named([4], texts=texts("open", "closed"), states=(closed_states(0, [(4, T0, 0), (4, T0 + 9, 1)]),))
    store.apply([(1, [one])])
    other = named([4], texts=texts("closed", "open"), states=(closed_states(0, [(4, T0 + 20, 0)]),))
    store.apply([(2, [other])])
    assert [line.partition(" ")[2] for line in lines(store)] == [
        f'last="closed",changes=1i {T0}',
        f'last="closed",changes=1i {T0}',
    ]


def test_commands_keep_their_newest_state_and_alerts_every_transition(store: Store) -> None:
    store.apply([(1, [StoreEffects(T0, alerts=(ALERT,), commands=(COMMAND,))])])
    store.apply(
        [
            (
                2,
                [
                    StoreEffects(
                        T0,
                        alerts=(structs.replace(ALERT, state="resolved"),),
                        commands=(structs.replace(COMMAND, state="done"),),
                    )
                ],
            )
        ]
    )
    assert [row[6] for row in table(store, "alert")] == ["firing", "resolved"]
    assert [(row[0], row[5]) for row in table(store, "command")] == [("c1", "done")]
    assert len(lines(store)) == 2


def test_the_quarantine_drops_its_oldest_over_the_cap_and_counts(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, quarantine_max_bytes=1000))
    bad = tuple(Quarantined("topic", bytes(200), f"reason {n}", T0) for n in range(10))
    store.apply([(1, [StoreEffects(T0, quarantined=bad)])])
    kept = [row[3] for row in table(store, "quarantine")]
    assert kept == ["reason 7", "reason 8", "reason 9"]
    facts = store.facts()
    assert (facts.counters["quarantined"], facts.counters["quarantine_dropped"]) == (10, 7)
    assert 0 < facts.quarantine_bytes <= 1000


def refused(
    device: str, count: int, *, kind: str = "telemetry", site: str = "s", size: int = 200
) -> tuple[Quarantined, ...]:
    topic = f"fleet/v1/{site}/{device}/{kind}"
    return tuple(Quarantined(topic, bytes(size), f"reason {number}", T0) for number in range(count))


def test_a_flood_into_the_quarantine_pushes_out_its_own(tmp_path: Path) -> None:
    """A device at many sites and on every topic is one device."""
    store = opened(tmp_path, replace(SETTINGS, quarantine_max_bytes=20_000))
    store.apply(
        [(1, [StoreEffects(T0, quarantined=refused("quiet", 5) + refused("other", 3, kind="status"))])]
    )
    for number in range(50):
        flood = refused("flood", 10, site=f"s{number}", kind=("ack", "telemetry")[number % 2])
        store.apply([(2 + number, [StoreEffects(T0, quarantined=flood)])])
        assert store.facts().quarantine_bytes <= 20_000
    kept = Counter(row[2].split("/")[3] for row in table(store, "quarantine"))
    assert (kept["quiet"], kept["other"]) == (5, 3)
    assert kept["flood"] > 20
    newest = [row[0] for row in table(store, "quarantine") if "/flood/" in row[2]]
    assert newest == list(range(max(newest) - len(newest) + 1, max(newest) + 1)), "its oldest went"
    counters = store.facts().counters
    assert counters["quarantined"] - counters["quarantine_dropped"] == sum(kept.values())
    assert store.facts().quarantine_bytes == sum(row[5] for row in table(store, "quarantine"))
    assert [name for name, _ in store.quarantine_users(2)] == ["flood", "quiet"]


def test_where_all_have_as_much_all_give_way(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, quarantine_max_bytes=20_000))
    for number in range(30):
        some = tuple(one for name in "abcd" for one in refused(name, 2))
        store.apply([(1 + number, [StoreEffects(T0, quarantined=some)])])
    kept = Counter(row[2].split("/")[3] for row in table(store, "quarantine"))
    assert set(kept) == set("abcd")
    assert max(kept.values()) - min(kept.values()) <= 3


def test_one_message_above_the_whole_cap_leaves_the_others(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, quarantine_max_bytes=5_000))
    store.apply([(1, [StoreEffects(T0, quarantined=refused("quiet", 2) + refused("big", 1, size=50_000))])])
    assert [row[2].split("/")[3] for row in table(store, "quarantine")] == ["quiet", "quiet"]


def test_who_has_most_is_found_by_the_index_alone(store: Store) -> None:
    with sqlite3.connect(store.path) as db:
        select = f"SELECT {SENDER} AS owner, SUM(size) FROM quarantine GROUP BY owner"
        plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {select}"))
    db.close()
    assert "quarantine_sender" in plan
    assert "TEMP B-TREE" not in plan


def test_an_alert_that_never_rests_pushes_out_its_own(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_tables, "MOST_ALERTS", 50)
    monkeypatch.setattr(side_tables, "MOST_EVENTS", 5)
    restless = tuple(structs.replace(ALERT, subject="restless", at=T0 + n) for n in range(200))
    events = tuple(Event("code", str(n), T0 + n) for n in range(20))
    store.apply([(1, [StoreEffects(T0, alerts=(ALERT, ALERT, *restless), events=events)])])
    store.trim(T0)
    subjects = Counter(row[4] for row in table(store, "alert"))
    assert subjects[ALERT.subject] == 2
    assert 40 <= subjects["restless"] <= 48
    assert table(store, "alert")[-1][1] == T0 + 199, "its newest are kept"
    assert store.facts().counters["alerts_dropped"] == 200 - subjects["restless"]
    assert [row[3] for row in table(store, "event")] == ["15", "16", "17", "18", "19"]


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


class TestSeries:
    """Names go with the history that bears them."""

    def flapping(self, store: Store, days: int) -> None:
        """Each day other tags, and a device that stays as it is."""
        for day in range(days):
            at = T0 + day * DAY
            named = (name(1, day, region=f"r{day}"), name(2, 0, region="eu"))
            windows = (closed(0, [(1, at, 1.0)], version=day), closed(0, [(2, at, 1.0)]))
            store.apply([(store.applied + 1, [StoreEffects(at, named, windows=windows)])])
            store.trim(at)

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
            store.apply([(day + 1, [StoreEffects(at, known, windows=windows)])])
            store.trim(at)
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
            store.apply([(1 + day, [StoreEffects(at, windows=(closed(0, [(3, at, 1.0)]),))])])
            store.trim(at)
        assert [row[1] for row in table(store, "series")] == ["dev-3"]
        at = T0 + 40 * DAY
        store.apply([(41, [StoreEffects(at, windows=(closed(0, [(2, at, 1.0)]),))])])
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
                store.trim(T0 + 60 * DAY)
        assert table(store, "number") == before
        at = T0 + 20 * DAY
        store.apply(
            [(store.applied + 1, [StoreEffects(at, windows=(closed(0, [(1, at, 1.0)], version=19),))])]
        )
        assert "unnamed_readings" not in store.facts().counters
        store.close()


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


def test_a_newer_store_is_left_alone(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.close()
    with sqlite3.connect(store.path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    before = store.path.read_bytes()
    with pytest.raises(NewerSpool, match="format 99, this one reads"):
        opened(tmp_path)
    assert store.path.read_bytes() == before


def test_a_store_of_the_format_before_is_taken_over_whole(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.apply([(1, [rich(1)])])
    before = everything(store)
    store.close()
    with sqlite3.connect(store.path) as db:
        db.execute("ALTER TABLE command DROP COLUMN detail")
        db.execute("PRAGMA user_version=2")
    db.close()
    again = opened(tmp_path)
    assert not again.opened.set_aside
    assert everything(again) == before
    again.apply([(2, [named(at=T0, commands=(structs.replace(COMMAND, id="c2", detail="no"),))])])
    assert {row[7] for row in table(again, "command")} == {"", "no"}


@pytest.mark.parametrize("damage", ["garbage", "pages"])
def test_a_damaged_store_is_set_aside_and_a_new_one_made(tmp_path: Path, damage: str) -> None:
    store = opened(tmp_path)
    store.apply([(n, [rich(n)]) for n in range(1, 30)])
    store.sync()
    store.close()
    path = store.path
    data = bytearray(path.read_bytes())
    spoilt = slice(0, 100) if damage == "garbage" else slice(4096, len(data))
    data[spoilt] = b"\x55" * len(data[spoilt])
    path.write_bytes(data)
    new = opened(tmp_path, at=123, floor=T0 + 5)
    assert new.opened.created
    assert new.opened.set_aside == "store.sqlite.corrupt-123"
    assert new.opened.damage
    assert (tmp_path / "store.sqlite.corrupt-123").stat().st_size > 0
    assert (new.applied, new.floor) == (0, T0 + 5)
    new.apply([(30, [rich(30)])])
    assert new.applied == 30


def test_the_log_of_a_store_goes_with_it(tmp_path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"s{suffix}").write_bytes(b"x")
    assert set_aside(tmp_path / "s", 9) == "s.corrupt-9"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "s.corrupt-9",
        "s.corrupt-9-shm",
        "s.corrupt-9-wal",
    ]


def test_sync_moves_the_log_into_the_file_even_beside_a_reader(store: Store) -> None:
    store.apply([(1, [rich(1)])])
    reader = sqlite3.connect(store.path)
    reader.execute("BEGIN")
    reader.execute("SELECT COUNT(*) FROM window").fetchone()
    store.apply([(2, [rich(2)])])
    store.sync()
    assert reader.execute("SELECT value FROM meta WHERE key='applied'").fetchone() == (1,)
    reader.close()
    store.apply([(3, [rich(3)])])
    store.sync()
    assert store.applied == 3


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


@pytest.mark.parametrize(
    "raised",
    [sqlite3.OperationalError("unsupported file format"), UnicodeDecodeError("utf-8", b"", 0, 1, "")],
)
def test_what_sqlite_says_of_a_broken_header_without_a_code_is_damage(raised: Exception) -> None:
    assert is_damage(raised)

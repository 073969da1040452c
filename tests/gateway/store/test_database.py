"""The store as a whole: transactions, opening, and damage."""

from pathlib import Path

import pytest

from edge_gateway.records import codec
from edge_gateway.records.store_effects import (
    Event,
    Quarantined,
    StoreEffects,
    effects_from_tree,
)
from edge_gateway.store.coverage import Coverage
from edge_gateway.store.database import Store
from edge_gateway.store.settings import FOR_EVER
from tests.gateway.store.fleet import (
    DAY,
    MINUTE,
    T0,
    closed,
    named,
)
from tests.gateway.store.stored import content, everything, opened, rich, table


def test_records_are_applied_once_whatever_is_repeated(tmp_path: Path) -> None:
    once, again = opened(tmp_path / "once"), opened(tmp_path / "again")
    for number in range(1, 6):
        once.apply([(number, [rich(number)])])
    for first, last in ((1, 2), (1, 1), (2, 4), (1, 5), (5, 5)):
        again.apply([(number, [rich(number)]) for number in range(first, last + 1)])
    assert again.applied == 5
    assert content(once) == content(again)
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
    for number in (1, 2):
        other.apply([(number, [rich(number)])])
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
    assert again.lost_text() == ""
    assert again.facts() == facts
    assert everything(again) == tables


@pytest.mark.parametrize("damage", ["garbage", "pages"])
def test_a_damaged_store_is_set_aside_and_a_new_one_made(tmp_path: Path, damage: str) -> None:
    store = opened(tmp_path)
    store.apply([(n, [rich(n)]) for n in range(1, 30)])
    store.sync()
    store.close()
    path = store.path
    data = bytearray(path.read_bytes())
    corrupted = slice(0, 100) if damage == "garbage" else slice(4096, len(data))
    data[corrupted] = b"\x55" * len(data[corrupted])
    path.write_bytes(data)
    new = opened(tmp_path, at=123, floor=T0 + 5)
    assert new.opened.created
    assert new.opened.set_aside == "store.sqlite.corrupt-123"
    assert new.opened.damage
    path = tmp_path / "store.sqlite"
    assert new.lost_text() == (
        f"{path}: {new.opened.damage}; set aside as {path}.corrupt-123; what can be read is brought back"
    )
    assert (tmp_path / "store.sqlite.corrupt-123").stat().st_size > 0
    assert (new.applied, new.floor) == (0, T0 + 5)
    new.apply([(30, [rich(30)])])
    assert new.applied == 30


def test_events_of_a_replay_are_kept_though_its_records_are_known(store: Store) -> None:
    store.apply([(1, [rich(1)])])
    before = table(store, "event")
    store.keep_events([Event("replay_differs", "record 1", T0)])
    assert [row[-3:] for row in table(store, "event")[len(before) :]] == [(T0, "replay_differs", "record 1")]
    assert store.applied == 1


def test_messages_come_into_the_quarantine_and_out_of_it_again_with_a_record(store: Store) -> None:
    store.apply([(1, [rich(1)])])
    store.keep_quarantined([Quarantined("a/b", b"y", "cannot be replayed", T0)])
    found = store.quarantined(0, 10)
    assert [message.reason for _, message in found] == ["bad", "cannot be replayed"]
    (first, _), (second, _) = found
    assert store.quarantined(first, 10) == found[1:]
    assert store.quarantined(0, 1) == found[:1]
    before = store.facts().quarantine_bytes
    store.apply_replayed((2, [named(windows=(closed(0, [(1, T0 + 500 * MINUTE, 1.0)]),))]), [first])
    assert [number for number, _ in store.quarantined(0, 10)] == [second]
    assert 0 < store.facts().quarantine_bytes < before
    assert store.applied == 2
    store.apply([(2, [rich(9)])])
    assert store.applied == 2, "it counts as applied"


def test_frozen_windows_and_the_floor_only_rise(store: Store) -> None:
    store.freeze(T0 + 5)
    assert store.coverage.now == Coverage(T0 + 5, T0 + 5, (FOR_EVER,) * 3)
    store.freeze(T0)
    assert store.coverage.now == Coverage(T0 + 5, T0 + 5, (FOR_EVER,) * 3)
    store.apply([(1, [StoreEffects(T0, frozen=T0 + 9)])])
    assert store.coverage.now == Coverage(T0 + 9, T0 + 9, (FOR_EVER,) * 3)
    again = opened(store.path.parent)
    assert again.coverage.now == store.coverage.now
    again.close()


def test_lines_about_the_gateway_itself_wait_like_others_and_a_stopped_sink_takes_them_again(
    store: Store,
) -> None:
    store.enqueue(b"gateway,gateway=g up=1i 1\ngateway,gateway=g up=1i 2\n", T0)
    parcel = store.take("influx")
    assert parcel is not None
    assert (parcel.bucket, parcel.lines) == ("telemetry", 2)
    store.release("influx")
    assert store.take("influx") == parcel
    store.done(parcel, [Quarantined("influx/telemetry", b"line", "refused", T0)], {"refused_lines": 3})
    assert store.facts().waiting["influx"].chunks == 0
    assert store.facts().counters["refused_lines"] == 3
    assert len(store.quarantined(0, 10)) == 1


def test_a_store_that_says_two_numbers_of_its_newest_record_knows_none(store: Store) -> None:
    store.apply([(7, [named()])])
    store._db.execute("UPDATE meta SET value=1 WHERE key='applied_check'")
    again = opened(store.path.parent)
    assert again.applied == 0
    again.close()

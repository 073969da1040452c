"""A corrected point is sent once more where an older one may have come after it, and only there."""

import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_gateway.records.store_effects import Stamp, StoreEffects
from edge_gateway.store import corrections
from edge_gateway.store.corrections import REPEAT_AFTER
from edge_gateway.store.database import Store
from edge_gateway.store.outbox import OnFull, Outbox, SinkBudget
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
from tests.gateway.store.stored import lines, merge_all, opened, table

HOUR = 3_600_000
TIERS = range(3)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store that sent a window of each tier."""
    one = opened(tmp_path)
    one.apply([(1, [named(windows=tuple(closed(tier, [(1, T0, 1.0)]) for tier in TIERS))])])
    lines(one)
    yield one
    one.close()


def correct(store: Store, number: int = 2, value: float = 5.0) -> None:
    """Merge a late reading into the windows; their lines wait in the outbox."""
    store.apply([(number, [StoreEffects(T0, late=late([(1, T0 + number, value)]))])])
    while store.run_late():
        pass


def repeat(store: Store, now: int, unknown: int, at: int = T0) -> int:
    return store.repeat_corrections(now, Stamp(at), {"influx": unknown})


def noted(store: Store) -> int:
    return len(table(store, "corrected"))


def test_a_corrected_point_is_sent_again_ten_minutes_after_it_was_stored(store: Store) -> None:
    correct(store)
    sent = lines(store)
    assert len(sent) == len(TIERS)
    assert [repeat(store, now, unknown=0) for now in (1_000, 1_000 + REPEAT_AFTER - 1)] == [0, 0]
    assert repeat(store, 1_000 + REPEAT_AFTER, unknown=0) == len(TIERS)
    assert lines(store) == sent
    assert noted(store) == 0
    assert repeat(store, 3 * REPEAT_AFTER, unknown=3 * REPEAT_AFTER) == 0
    assert store.facts().counters["corrections_repeated"] == len(TIERS)


@pytest.mark.parametrize(
    ("unknown", "doubtful"), [(HOUR - REPEAT_AFTER, True), (HOUR - REPEAT_AFTER - 1, False)]
)
def test_it_is_not_sent_again_if_every_write_had_an_answer_for_ten_minutes(
    store: Store, unknown: int, *, doubtful: bool
) -> None:
    repeat(store, HOUR, unknown=0)
    correct(store)
    lines(store)
    repeat(store, HOUR + MINUTE, unknown)
    assert noted(store) == (len(TIERS) if doubtful else 0)


def test_the_ten_minutes_begin_when_its_line_was_stored(store: Store) -> None:
    correct(store)
    assert repeat(store, HOUR, unknown=0) == 0
    assert {due for *_, due in table(store, "corrected")} == {None}
    lines(store)
    repeat(store, 2 * HOUR, unknown=HOUR + 1)
    assert {due for *_, due in table(store, "corrected")} == {2 * HOUR + REPEAT_AFTER}


def test_what_is_sent_again_is_what_is_stored_then_and_not_the_old_line(store: Store) -> None:
    correct(store)
    lines(store)
    repeat(store, 1_000, unknown=0)
    correct(store, number=3, value=9.0)
    newest = lines(store)
    assert repeat(store, 1_000 + REPEAT_AFTER, unknown=0) == 0, "corrected again, it waits again"
    assert repeat(store, 1_000 + 2 * REPEAT_AFTER, unknown=0) == len(TIERS)
    assert lines(store) == newest


def test_a_window_that_is_closed_once_more_is_corrected_too(store: Store) -> None:
    store.apply([(2, [StoreEffects(T0, windows=(closed(0, [(1, T0 + 1, 2.0), (1, T0 + MINUTE, 3.0)]),))])])
    lines(store)
    assert [row[:5] for row in table(store, "corrected")] == [("influx", "number", 0, T0, 2)]


def test_windows_of_texts_are_sent_again_too(store: Store) -> None:
    told = named(texts=texts("open", "closed"), states=(closed_states(0, [(4, T0, 0)]),))
    store.apply([(2, [told]), (3, [StoreEffects(T0, late_states=late_states([(4, T0 + 5, 1)]))])])
    while store.run_late():
        pass
    *_, corrected = lines(store)
    repeat(store, 1_000, unknown=0)
    assert repeat(store, 1_000 + REPEAT_AFTER, unknown=0) == 1
    assert lines(store) == [corrected]
    assert corrected.startswith("sensor_state")


def test_a_window_that_is_not_stored_any_more_or_too_old_for_its_bucket_is_left(store: Store) -> None:
    correct(store)
    lines(store)
    repeat(store, 1_000, unknown=0)
    with closing(sqlite3.connect(store.path)) as db, db:
        db.execute("DELETE FROM window WHERE tier=0")
    assert repeat(store, 1_000 + REPEAT_AFTER, unknown=0, at=T0 + 365 * DAY) == len(TIERS)
    (line,) = lines(store)
    assert line.endswith(f" {T0 - T0 % HOUR}000000")


def test_only_the_sink_that_had_no_answer_gets_it_again(tmp_path: Path) -> None:
    budgets = SinkBudget("influx", 1 << 30), SinkBudget("archive", 1 << 30)
    store = opened(tmp_path, replace(SETTINGS, sinks=budgets))
    store.apply([(1, [named(windows=tuple(closed(tier, [(1, T0, 1.0)]) for tier in TIERS))])])
    store.repeat_corrections(HOUR, Stamp(T0), {"influx": 0, "archive": 0})
    correct(store)
    for sink in ("influx", "archive"):
        lines(store, sink)
    for now in (HOUR + MINUTE, 2 * HOUR):
        store.repeat_corrections(now, Stamp(T0), {"influx": HOUR, "archive": 0})
    assert (len(lines(store, "influx")), lines(store, "archive")) == (len(TIERS), [])
    assert store.facts().waiting.keys() == {"influx", "archive"}
    store.close()


def test_notes_are_bounded_and_the_oldest_are_dropped_and_counted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corrections, "MOST_NOTED", 2)
    correct(store)
    lines(store)
    repeat(store, 1_000, unknown=0)
    assert [row[2] for row in table(store, "corrected")] == [1, 2]
    assert store.facts().counters["corrections_not_repeated"] == 1


def test_many_are_sent_in_pieces(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corrections, "AT_ONCE", 2)
    correct(store)
    sent = lines(store)
    repeat(store, 0, unknown=0)
    assert [repeat(store, REPEAT_AFTER, unknown=0) for _ in range(3)] == [2, 1, 0]
    assert sorted(lines(store)) == sorted(sent)


def test_what_was_rolled_back_is_not_noted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Outbox) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    store.apply([(2, [StoreEffects(T0, late=late([(1, T0 + 2, 5.0)]))])])
    with monkeypatch.context() as full:
        full.setattr(Outbox, "enforce", refuse)
        with pytest.raises(sqlite3.OperationalError):
            store.run_late()
    store.apply([(3, [named()])])
    assert noted(store) == 0


def test_a_look_that_was_rolled_back_was_none(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What left the outbox before it may have overtaken a write from long before the next look."""

    def refuse(_: Outbox) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    repeat(store, HOUR, unknown=0)
    correct(store)
    lines(store)
    with monkeypatch.context() as full:
        full.setattr(Outbox, "enforce", refuse)
        with pytest.raises(sqlite3.OperationalError):
            repeat(store, HOUR + 1, unknown=HOUR - REPEAT_AFTER)
    repeat(store, 2 * HOUR, unknown=HOUR - REPEAT_AFTER)
    assert noted(store) == len(TIERS)


def test_notes_outlive_a_restart_and_a_spool_whose_time_began_anew(store: Store, tmp_path: Path) -> None:
    correct(store)
    lines(store)
    repeat(store, 100 * HOUR, unknown=100 * HOUR)
    store.close()
    again = opened(tmp_path)
    assert repeat(again, 0, unknown=0) == len(TIERS)
    again.close()


def test_without_a_sink_nothing_is_noted(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, sinks=()))
    store.apply([(1, [named(windows=(closed(0, [(1, T0, 1.0)]),))])])
    correct(store)
    assert store.repeat_corrections(0, Stamp(T0), {}) == 0
    assert noted(store) == 0
    store.close()


def counts(rendered: Sequence[str]) -> dict[str, int]:
    """What a database that keeps the last line of a point holds of the base tier: its count, by point."""
    held = {}
    for line in rendered:
        labels, values, at = line.rsplit(" ", 2)
        held[f"{labels} {at}"] = int(re.findall(r"count=(\d+)i", values)[0])
    return held


@pytest.mark.parametrize("on_full", ["merge", "drop_oldest"])
@pytest.mark.parametrize("sent_before", [True, False])
def test_a_correction_that_a_full_outbox_drops_is_sent_once_there_is_room(
    tmp_path: Path, on_full: OnFull, *, sent_before: bool
) -> None:
    """The first point is stored, or waits in a block: without its correction it would stay for good."""
    many = 4 * MINUTE * 20
    store = opened(tmp_path, replace(SETTINGS, sinks=(SinkBudget("influx", 2_000, on_full),)))
    starts = range(T0, T0 + many, MINUTE)
    windows = closed(0, [(series, start, 1.0) for start in starts for series in range(5)])
    store.apply([(1, [named(windows=(windows,))])])
    held = counts(lines(store)) if sent_before else {}
    values = np.random.default_rng(1).random(5 * len(starts)).tolist()
    readings = [(series, start + 1, values.pop()) for start in starts for series in range(5)]
    store.apply([(2, [StoreEffects(T0, late=late(readings, 0b1))])])
    merge_all(store)
    facts = store.facts()
    assert facts.counters["outbox_merged_lines" if on_full == "merge" else "outbox_dropped_lines"] > 0

    for now in range(1, 200):
        held |= counts(lines(store))
        repeat(store, now * 1_000, unknown=-2 * REPEAT_AFTER)
    assert set(held.values()) == {2}
    assert len(held) == 5 * len(starts)
    assert noted(store) == 0
    store.close()


def test_a_dropped_correction_waits_for_room(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, sinks=(SinkBudget("influx", 1_000, "drop_oldest"),)))
    store.apply([(1, [named(windows=(closed(0, [(series, T0, 1.0) for series in range(5)]),))])])
    lines(store)
    store.apply([(2, [StoreEffects(T0, late=late([(1, T0 + 1, 5.0)], 0b1))])])
    merge_all(store)
    for _ in range(10):
        store.enqueue(os.urandom(300).hex().encode() + b" a=1 1\n", T0)
    assert repeat(store, 1_000, unknown=-2 * REPEAT_AFTER) == 0
    lines(store)
    assert repeat(store, 2_000, unknown=-2 * REPEAT_AFTER) == 1
    assert list(counts(lines(store)).values()) == [2]
    store.close()


def test_of_an_older_copy_nothing_that_waited_is_sent_and_nothing_is_sent_again(store: Store) -> None:
    correct(store)
    lines(store)  # sent, to be sent again
    correct(store, 3)  # waits
    store.apply([(4, [StoreEffects(T0, frozen=T0 + HOUR, outbox_old=True)])])
    assert store.facts().counters["outbox_dropped_old"] == len(TIERS)
    assert repeat(store, 1_000 + REPEAT_AFTER, unknown=0) == 0
    assert lines(store) == []
    assert noted(store) == 0
    store.apply([(5, [named(windows=(closed(0, [(1, T0 + 2 * HOUR, 1.0)]),))])])
    assert len(lines(store)) == 1, "what comes afterwards is sent"

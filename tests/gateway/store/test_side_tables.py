"""Alerts, commands, events and quarantine, each within its bound."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from edge_gateway.records.store_effects import (
    Event,
    Quarantined,
    StoreEffects,
)
from edge_gateway.store import side_tables
from edge_gateway.store.database import Store
from tests.gateway.store.fleet import SETTINGS, T0, named
from tests.gateway.store.stored import ALERT, COMMAND, lines, opened, table


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


@pytest.mark.parametrize(("missing", "kept"), [(0, ["a", "b"]), (1, ["b"])])
def test_a_quarantine_may_be_as_large_as_its_bound(tmp_path: Path, missing: int, kept: list[str]) -> None:
    size = len("topic") + len("a") + 100 + 64
    store = opened(tmp_path, replace(SETTINGS, quarantine_max_bytes=2 * size - missing))
    for number, reason in enumerate("ab", 1):
        store.apply(
            [(number, [StoreEffects(T0, quarantined=(Quarantined("topic", bytes(100), reason, T0),))])]
        )
    assert [row[3] for row in table(store, "quarantine")] == kept
    assert store.facts().quarantine_bytes == len(kept) * size
    again = opened(tmp_path)
    assert again.facts().quarantine_bytes == len(kept) * size
    again.close()


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


def test_what_is_as_old_as_the_history_keeps_stays(store: Store) -> None:
    alerts = tuple(structs.replace(ALERT, id=f"a{n}", at=T0 + n) for n in range(3))
    store.apply(
        [(1, [named(alerts=alerts, events=(Event("code", "text", T0), Event("code", "text", T0 + 1)))])]
    )
    store.trim(T0 + 1 + SETTINGS.history_keep)
    assert [row[1] for row in table(store, "alert")] == [T0 + 1, T0 + 2]
    assert [row[1] for row in table(store, "event")] == [T0 + 1]


def test_a_reason_is_stored_as_people_may_read_it(store: Store) -> None:
    store.apply([(1, [named(quarantined=(Quarantined("t", b"\x1b", "bad \x1b[2J", T0),))])])
    ((_, _, _, reason, payload, _),) = table(store, "quarantine")
    assert "\x1b" not in reason
    assert reason.startswith("bad ")
    assert payload == b"\x1b"


def test_the_arrival_of_messages_without_a_time_is_corrected_once(store: Store) -> None:
    def came(reason: str, at: int) -> StoreEffects:
        return StoreEffects(at, quarantined=(Quarantined("fleet/v1/s/d/telemetry", b"", reason, at),))

    def ats() -> list[int]:
        return [message.at for _, message in store.quarantined(-1, 10)]

    store.apply([(1, [came("no_time", T0), came("bad", T0)])])
    store.apply([(2, [StoreEffects(T0, confirmed=(T0 + 36_000_000, T0))])])
    assert ats() == [T0 + 36_000_000, T0]
    store.apply([(3, [came("no_time", T0)])])
    store.apply([(4, [StoreEffects(T0, confirmed=(T0 + 5, T0))])])
    assert ats() == [T0 + 36_000_000, T0, T0 + 5]


def test_reminders_are_sent_but_push_no_change_out_of_the_history(store: Store) -> None:
    reminder = structs.replace(ALERT, event="reminder", at=ALERT.at + 1, since=ALERT.at)
    store.apply([(1, [StoreEffects(T0, alerts=(ALERT, reminder))])])
    assert len(table(store, "alert")) == 1

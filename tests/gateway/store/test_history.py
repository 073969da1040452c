import json
import math
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from edge_gateway.errors import BadInput
from edge_gateway.records.alerts import CommandChange, alert_row
from edge_gateway.records.store_effects import Event, Quarantined, StoreEffects
from edge_gateway.store import compaction
from edge_gateway.store import history as module
from edge_gateway.store.history import History
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
from tests.gateway.store.stored import ALERT, EVERY, filled, opened, spread


def test_windows_of_a_tier_come_by_start_with_their_names(tmp_path: Path) -> None:
    filled(tmp_path)
    with History.open(tmp_path, EVERY) as history:
        rows = list(history.query("windows", tier=0))
    assert [(row["start"], row["device"]) for row in rows] == [
        (T0 + minute * MINUTE, f"dev-{series}") for minute in range(5) for series in range(3)
    ]
    assert rows[4] == {
        "device": "dev-1",
        "metric": "temperature",
        "site": "berlin",
        "type": "freezer",
        "start": T0 + MINUTE,
        "every": MINUTE,
        "count": 1,
        "sum": 2.0,
        "min": 2.0,
        "max": 2.0,
        "first": 2.0,
        "last": 2.0,
        "quality": 1.0,
        "revision": 0,
        "p95": None,
    }


def steps_of(spool: Path, **selection: Any) -> tuple[int, int]:
    """Return how many rows a query of windows returns, and how many steps SQLite takes for it."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with History.open(spool, EVERY) as history:
        history._db.set_progress_handler(count, 1)
        rows = len(list(history.query("windows", tier=0, **selection)))
    return rows, steps


def test_a_narrow_query_costs_what_is_stored_and_not_the_time_it_spans(tmp_path: Path) -> None:
    spread(tmp_path / "dense", MINUTE)
    spread(tmp_path / "sparse", 40 * DAY)
    dense, sparse = (steps_of(tmp_path / name, device="dev-1") for name in ("dense", "sparse"))
    assert dense == sparse
    assert sparse[0] == 200
    assert sparse[1] < 200 * 200


def test_a_limit_ends_the_walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 10)
    spread(tmp_path, DAY)
    one, whole = (steps_of(tmp_path, device="dev-1", limit=limit)[1] for limit in (1, 0))
    assert 10 * one < whole


@pytest.mark.parametrize("series", [3, 60])
def test_few_series_and_many_are_read_alike(tmp_path: Path, series: int) -> None:
    filled(tmp_path, series=series)
    with History.open(tmp_path, EVERY) as history:
        one = list(history.query("windows", tier=0, device="dev-2"))
        everyone = list(history.query("windows", tier=0))
        part = list(history.query("windows", tier=0, since=T0 + 1, until=T0 + 3 * MINUTE))
        assert list(history.query("windows", metric="none")) == []
        assert history.metrics() == ["temperature"]
        assert {(one["device"], *one["tags"]) for one in history.series()} == {
            (device, "region") for device in history.devices()
        }
        assert len(list(history.query("windows"))) == series * 6
        assert len(list(history.query("windows", limit=7))) == 7
    assert [row["last"] for row in one] == [2.0, 3.0, 4.0, 5.0, 6.0]
    assert [row for row in everyone if row["device"] == "dev-2"] == one
    assert {row["start"] for row in part} == {T0 + MINUTE, T0 + 2 * MINUTE}


@pytest.mark.parametrize(
    ("since", "until", "minutes"),
    [
        (None, None, [0, 1, 2, 3, 4]),
        (0, None, [0, 1, 2, 3, 4]),
        (MINUTE, None, [1, 2, 3, 4]),
        (MINUTE + 1, None, [2, 3, 4]),
        (-MINUTE, 3 * MINUTE, [0, 1, 2]),
        (None, 3 * MINUTE + 1, [0, 1, 2, 3]),
        (None, 9 * MINUTE, [0, 1, 2, 3, 4]),
        (2 * MINUTE, 2 * MINUTE + 1, [2]),
        (2 * MINUTE, 2 * MINUTE, []),
        (4 * MINUTE, None, [4]),
        (4 * MINUTE + 1, None, []),
        (None, 0, []),
        (None, 1, [0]),
    ],
)
@pytest.mark.parametrize("series", [50, 51])
def test_a_window_is_read_if_it_starts_at_since_or_later_and_before_until(
    tmp_path: Path, series: int, since: int | None, until: int | None, minutes: list[int]
) -> None:
    filled(tmp_path, series=series).close()
    first, stop = (None if at is None else T0 + at for at in (since, until))
    with History.open(tmp_path, EVERY) as history:
        rows = list(history.query("windows", tier=0, since=first, until=stop))
    assert [(row["start"] - T0) // MINUTE for row in rows] == [at for at in minutes for _ in range(series)]


def test_more_windows_than_are_read_at_a_time_are_all_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    for series in (3, 51):
        filled(tmp_path / str(series), series=series).close()
        with History.open(tmp_path / str(series), EVERY) as history:
            assert len(list(history.query("windows", tier=0))) == 5 * series


@pytest.mark.parametrize(("change", "gone"), [("row = X'00'", 1), ("row = 'text'", 1), ("series = 2", 2)])
@pytest.mark.parametrize("series", [3, 60])
def test_a_row_that_is_not_what_was_stored_is_left_out_and_counted(
    tmp_path: Path, series: int, change: str, gone: int
) -> None:
    filled(tmp_path, series=series).close()
    with sqlite3.connect(tmp_path / "store.sqlite") as db:
        db.execute(f"UPDATE OR REPLACE window SET {change} WHERE tier=0 AND start={T0} AND series=1")
    db.close()
    with History.open(tmp_path, EVERY) as history:
        assert len(list(history.query("windows", tier=0))) == 5 * series - gone
        assert history.damaged == 1


def test_last_values_are_the_newest_of_each_series(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.apply([(9, [StoreEffects(T0, windows=(closed(0, [(1, T0 + 9 * MINUTE, 50.0)]),))])])
    with History.open(tmp_path, EVERY) as history:
        assert {row["device"]: row["last"] for row in history.query("last")} == {
            "dev-0": 4.0,
            "dev-1": 50.0,
            "dev-2": 6.0,
        }


def test_last_values_are_found_wherever_they_are_by_device(tmp_path: Path) -> None:
    store = filled(tmp_path, minutes=1)
    newest = T0 + DAY
    for number, start in enumerate((newest, newest + MINUTE), 2):
        store.apply([(number, [StoreEffects(T0, windows=(closed(0, [(number - 2, start, 9.0)]),))])])
    with History.open(tmp_path, EVERY) as history:
        assert [row["device"] for row in history.query("last")] == ["dev-0", "dev-1", "dev-2"]
        assert [row["device"] for row in history.query("last", limit=1)] == ["dev-0"]
        assert [row["device"] for row in history.query("last", since=newest + 1)] == ["dev-1"]
        assert [row["start"] for row in history.query("last", until=newest + 1)] == [newest, T0, T0]
        assert [row["device"] for row in history.query("last", tier=1)] == ["dev-0", "dev-1", "dev-2"]


@pytest.mark.parametrize("noted", [True, False], ids=["the store noted its series", "it has not yet"])
def test_a_stamp_far_ahead_hides_no_other_device(tmp_path: Path, noted: bool) -> None:
    """Also not where its window shares a block with others."""
    far, many = T0 + 27_000 * DAY, 100
    store = filled(tmp_path, minutes=3, series=many)
    store.apply([(9, [StoreEffects(T0, windows=(closed(0, [(1, far, 5.0), (2, T0 + 9 * MINUTE, 7.0)]),))])])
    if noted:
        store.trim(T0)
    with History.open(tmp_path, EVERY) as history:
        found = {row["device"]: (row["start"], row["last"]) for row in history.query("last")}
        before = {row["device"]: row["start"] for row in history.query("last", until=far)}
    newest = T0 + 2 * MINUTE
    expected = {f"dev-{one}": (newest, one + 2.0) for one in range(many)}
    assert found == expected | {"dev-1": (far, 5.0), "dev-2": (T0 + 9 * MINUTE, 7.0)}
    assert before == dict.fromkeys(expected, newest) | {"dev-2": T0 + 9 * MINUTE}


def test_looking_for_a_device_that_is_gone_does_not_read_the_history_of_others(tmp_path: Path) -> None:
    """A device that left a year ago is looked for where it was."""
    store = filled(tmp_path, minutes=1, series=2)
    for day in range(1, 40):
        store.apply([(day + 1, [StoreEffects(T0, windows=(closed(0, [(1, T0 + day * DAY, 1.0)]),))])])
    store.trim(T0)
    read: list[int] = []
    with History.open(tmp_path, EVERY) as history:
        pieces = history._pieces

        def counted(*given: Any) -> Any:
            for part in pieces(*given):
                read.extend(series for series, _, _ in part)
                yield part

        history._pieces = counted  # type: ignore[method-assign, assignment]
        assert [row["device"] for row in history.query("last")] == ["dev-0", "dev-1"]
    assert len(read) == 3, "a day of dev-1, and the window of dev-0"


def test_corrections_percentiles_and_huge_sums_are_read_exactly(tmp_path: Path) -> None:
    store = opened(tmp_path, replace(SETTINGS, p95_metrics=frozenset({"temperature"})))
    first = closed(0, [(1, T0, 1e300), (1, T0 + 1, 0.1), (1, T0 + 2, 5.0)], p95=True)
    store.apply([(1, [named(windows=(first,), late=late([(1, T0 + 5, -1e300)], tiers=1))])])
    store.run_late()
    with History.open(tmp_path, EVERY) as history:
        (row,) = history.query("windows", tier=0)
    assert row["sum"] == math.fsum([1e300, 0.1, 5.0, -1e300])
    assert (row["count"], row["revision"], row["p95"]) == (4, 1, 1e300)


def test_texts_are_read_as_texts(tmp_path: Path) -> None:
    store = opened(tmp_path)
    states = closed_states(0, [(4, T0, 0), (4, T0 + 5, 1), (4, T0 + MINUTE, 1)])
    store.apply([(1, [named([4], texts=texts("open", "closed"), states=(states,))])])
    with History.open(tmp_path, EVERY) as history:
        rows = list(history.query("states", tier=0))
    assert rows[0] == {
        "device": "dev-4",
        "metric": "temperature",
        "site": "berlin",
        "type": "freezer",
        "start": T0,
        "every": MINUTE,
        "first": "open",
        "last": "closed",
        "changes": 1,
        "revision": 0,
    }
    assert [(row["first"], row["last"], row["changes"]) for row in rows] == [
        ("open", "closed", 1),
        ("closed", "closed", 0),
    ]


def test_alerts_commands_quarantine_and_events_are_the_newest_in_order(tmp_path: Path) -> None:
    store = opened(tmp_path)
    for n in range(5):
        at = T0 + n
        store.apply(
            [
                (
                    n + 1,
                    [
                        StoreEffects(
                            at,
                            alerts=(structs.replace(ALERT, id=f"a{n}", subject=f"dev-{n % 2}", at=at),),
                            commands=(
                                CommandChange(f"c{n}", n, f"dev-{n % 2}", "cool", {"to": n}, "sent", at),
                            ),
                            quarantined=(
                                Quarantined(
                                    f"fleet/v1/s/dev-{n % 2}/telemetry", b"\xff" if n else b"{}", "bad", at
                                ),
                            ),
                            events=(Event("code", f"text {n}", at),),
                        )
                    ],
                )
            ]
        )
    with History.open(tmp_path, EVERY) as history:
        assert [row["id"] for row in history.query("alerts")] == ["a0", "a1", "a2", "a3", "a4"]
        assert [row["id"] for row in history.query("alerts", device="dev-1", limit=1)] == ["a3"]
        assert [row["id"] for row in history.query("commands", since=T0 + 1, until=T0 + 4)] == [
            "c1",
            "c2",
            "c3",
        ]
        assert next(history.query("commands", limit=1)) == {
            "id": "c4",
            "n": 4,
            "device": "dev-0",
            "name": "cool",
            "args": {"to": 4},
            "state": "sent",
            "at": T0 + 4,
            "detail": "",
        }
        assert [(row["payload"], row["text"]) for row in history.query("quarantine", limit=5)][:2] == [
            ("7b7d", "{}"),
            ("ff", None),
        ]
        assert len(list(history.query("quarantine", device="dev-1"))) == 2
        (newest,) = history.query("quarantine", device="dev-1", limit=1)
        assert newest["at"] == T0 + 3, "the limit counts rows of that device alone"
        assert list(history.query("quarantine", device="dev")) == []
        assert len(list(history.query("quarantine", device="fleet"))) == 5
        assert newest == {
            "id": newest["id"],
            "at": T0 + 3,
            "topic": "fleet/v1/s/dev-1/telemetry",
            "reason": "bad",
            "payload": "ff",
            "text": None,
        }
        assert [row["text"] for row in history.query("events", limit=2)] == ["text 3", "text 4"]
        assert next(history.query("events", limit=1)) == {"at": T0 + 4, "code": "code", "text": "text 4"}
        alert = next(history.query("alerts", limit=1))
        row = alert_row(structs.replace(ALERT, id="a4", subject="dev-0", at=alert["at"]))
        assert alert == json.loads(json.dumps(row))
        with pytest.raises(KeyError):
            history.query("weather")


def test_a_reader_sees_whole_records_beside_the_writer_and_cannot_write(tmp_path: Path) -> None:
    store = filled(tmp_path, minutes=1)
    with History.open(tmp_path, EVERY) as history:
        assert len(list(history.query("windows", tier=0))) == 3
        store.apply([(7, [StoreEffects(T0, (name(1),), windows=(closed(0, [(1, T0 + MINUTE, 1.0)]),))])])
        assert len(list(history.query("windows", tier=0))) == 4
        with pytest.raises(Exception, match="readonly"):
            history._db.execute("DELETE FROM window")


def test_no_history_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no history"):
        History.open(tmp_path, EVERY)
    filled(tmp_path, minutes=0)
    with History.open(tmp_path, EVERY) as history:
        assert list(history.query("windows")) == []
        assert list(history.query("last")) == []


@pytest.mark.parametrize("directory", ["a b", "50%20", "what?", "#1", "é[red]"])
def test_a_history_is_read_whatever_its_directory_is_called(tmp_path: Path, directory: str) -> None:
    (tmp_path / directory).mkdir()
    filled(tmp_path / directory, minutes=1)
    with History.open(tmp_path / directory, EVERY) as history:
        assert len(list(history.query("windows", tier=0))) == 3


@pytest.mark.parametrize("limit", [0, 3])
def test_windows_that_are_cut_anew_while_they_are_read_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    for bound, value in {"LEAST": 1, "MOST": 1_000, "STARTS": 1}.items():
        monkeypatch.setattr(compaction, bound, value)
    monkeypatch.setattr(module, "AT_ONCE", 2)
    store = filled(tmp_path, series=70)
    store.apply([(9, [named(range(70), late=late([(s, T0 + 1, 9.0) for s in range(9)], tiers=1))])])
    store.run_late()
    while (parcel := store.take("influx")) is not None:
        store.done(parcel)
    with History.open(tmp_path, EVERY) as history:
        before = list(history.query("windows", tier=0))
        reading = history.query("windows", tier=0, limit=limit)
        found = [next(reading)]
        other = list(history.query("windows", tier=0))
        assert store.compact()
        found += reading
        assert found == before[-limit:]
        assert list(history.query("windows", tier=0)) == other == before
        abandoned = history.query("windows", tier=0)
        next(abandoned)
    del abandoned
    store.close()

"""Of every table only rows that are what was stored are copied."""

from __future__ import annotations

from typing import Any

import pytest

from edge_gateway.records.store_effects import Kind
from edge_gateway.store.salvage.damaged_file import DamagedStore
from edge_gateway.store.salvage.sound_rows import (
    ALERT,
    APART,
    BLOCK,
    CODE,
    COMMAND,
    EARLIER,
    LATE,
    LATE_STATE,
    NUMBER,
    OUTBOX,
    QUARANTINE,
    SERIES,
    STATE_WINDOW,
    TEXT,
    WINDOW,
    Known,
    SalvagedTable,
    sound,
)
from edge_gateway.store.salvage.stages import NAMES, STAGES
from tests.gateway.store.fleet import MINUTE, T0, closed, late, late_states, named
from tests.gateway.store.salvage.test_stages import stopped
from tests.gateway.store.stored import opened, rich

ALL = (*NAMES, *STAGES, LATE, LATE_STATE)
MANY = [(series, T0 + minute * MINUTE, 1.0) for series in range(5) for minute in range(20)]
"""Enough for a block."""
KNOWN = Known(range(1, 6), range(1, 3), 3, {"influx"}, {"telemetry", "telemetry_10m"})

Found = dict[str, tuple[Any, ...]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """The first row of each table, as it is read from a file."""
    store = opened(tmp_path_factory.mktemp("store"))
    states = late_states([(4, T0, 1.0)])
    partial = closed(0, [(1, T0, 1.0)], kind=Kind.PARTIAL)
    given = named(late=late([(1, T0, 1.0)]), late_states=states, windows=(closed(0, MANY), partial))
    store.apply([(1, [rich(1), given])])
    source = DamagedStore(stopped(store))
    rows = {kept.table.name: source.piece(kept.table, None).rows[0] for kept in ALL}
    source.close()
    return rows


@pytest.mark.parametrize("kept", ALL, ids=lambda kept: kept.table.name)
def test_what_was_stored_is_sound(found: Found, kept: SalvagedTable) -> None:
    row = sound(kept, found[kept.table.name], KNOWN)
    assert row is not None
    moved = kept.table.name in {"late", "late_state", "alert", "quarantine", "event", "apart"}
    if kept is not COMMAND:
        assert row[0] == found[kept.table.name][0] - (EARLIER if moved else 0)


CHANGES: list[tuple[SalvagedTable, str, Any]] = [
    (APART, "kind", b"late"),
    (APART, "kind", b"other"),
    (APART, "at", 7),
    (APART, "device", b"other"),
    (APART, "body", b"{}"),
    (OUTBOX, "aged", b"x"),
    (LATE, "aged", b"x"),
    (SERIES, "device", b""),
    (SERIES, "metric", b""),
    (SERIES, "tags", b"[]"),
    (SERIES, "id", 6),
    *[(SERIES, column, b"other") for column in ("device", "metric", "site", "type")],
    (SERIES, "tags", b'{"region":"us"}'),
    (TEXT, "id", 6),
    (TEXT, "text", b"other"),
    (NUMBER, "id", 6),
    (NUMBER, "tags", b"7"),
    (NUMBER, "series", 2),
    (NUMBER, "version", 1),
    (NUMBER, "id", 2),
    (CODE, "code", 7),
    (CODE, "id", 2),
    (WINDOW, "tier", 3),
    (WINDOW, "tier", -1),
    (WINDOW, "start", 7),
    (WINDOW, "series", 7),
    (WINDOW, "revision", b"x"),
    (STATE_WINDOW, "row", b"short"),
    (LATE, "series", 6),
    (LATE, "value", float("inf")),
    (LATE, "value", 7),
    (LATE, "quality", 1001),
    (LATE, "quality", -1),
    (LATE, "tiers", 0),
    (LATE, "tiers", 8),
    *[(kept, column, 1.5) for kept in (LATE, LATE_STATE) for column in ("ts", "quality", "tiers", "at")],
    (LATE_STATE, "value", 3),
    (LATE_STATE, "series", 6),
    (LATE_STATE, "tiers", 8),
    (ALERT, "at", 7),
    (ALERT, "state", b"resolved"),
    (ALERT, "rule", b"other"),
    (COMMAND, "n", b"x"),
    (COMMAND, "args", b"[]"),
    (QUARANTINE, "size", 0),
    (BLOCK, "kind", b"other"),
    (BLOCK, "kind", b"state_window"),
    (BLOCK, "tier", 3),
    (BLOCK, "tier", -1),
    (BLOCK, "first_start", T0 - 1),
    (BLOCK, "last_start", T0),
    (BLOCK, "keys", b"short"),
    (BLOCK, "body", None),
    (OUTBOX, "block", 1),
    (OUTBOX, "sink", b"other"),
    (OUTBOX, "bucket", b"other"),
    (OUTBOX, "size", 1),
    (OUTBOX, "lines", 99),
    (OUTBOX, "rank", None),
]


@pytest.mark.parametrize(("kept", "column", "value"), CHANGES)
def test_a_row_with_one_wrong_value_is_not(
    found: Found, kept: SalvagedTable, column: str, value: object
) -> None:
    row = list(found[kept.table.name])
    row[[*kept.table.key, *kept.table.columns].index(column)] = value
    assert sound(kept, tuple(row), KNOWN) is None


def test_a_window_of_texts_needs_both_of_them(found: Found) -> None:
    for texts in ({1}, {2}, set[int]()):
        known = Known(KNOWN.series, texts, 3, {"influx"})
        assert sound(STATE_WINDOW, found["state_window"], known) is None


def test_limits_themselves_are_sound(found: Found) -> None:
    columns = [*LATE.table.key, *LATE.table.columns]
    row = list(found["late"])
    for column, value in (("quality", 0), ("quality", 1000), ("tiers", 1), ("tiers", 7)):
        row[columns.index(column)] = value
        assert sound(LATE, tuple(row), KNOWN) is not None


@pytest.mark.parametrize("kept", [*NAMES, *STAGES, LATE, LATE_STATE])
def test_a_row_of_anything_else_is_not_taken_over_and_raises_nothing(kept: SalvagedTable) -> None:
    known = Known({1}, {1}, 3, {"influx"}, {"telemetry"})
    width = len(kept.table.key) + len(kept.table.columns)
    for junk in (None, b"\xff", 7, -1.5, b"[]", b"1", "text"):
        row = (1,) * len(kept.table.key) + (junk,) * (width - len(kept.table.key))
        assert sound(kept, row, known) is None

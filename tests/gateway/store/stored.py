"""A store over the effects of a small fleet, and what stands in its tables."""

import sqlite3
from pathlib import Path
from typing import Any

from msgspec import structs

from edge_gateway.records import codec
from edge_gateway.records.alerts import CommandChange
from edge_gateway.records.store_effects import (
    Event,
    Quarantined,
    SeriesName,
    StoreEffects,
    TextName,
)
from edge_gateway.store.database import Store
from edge_gateway.store.outbox import Reference
from edge_gateway.store.settings import StoreSettings
from tests.gateway.records.transitions import too_warm
from tests.gateway.store.fleet import (
    MINUTE,
    SETTINGS,
    T0,
    TIERS,
    closed,
    closed_states,
    late,
    name,
    named,
    texts,
)
from tests.stored_rows import stored_rows

ALERT = too_warm(subject="dev-1", at=T0)
COMMAND = CommandChange("c1", 5, "dev-1", "cool", {"to": -20}, "sent", T0)
EVERY = [tier.every for tier in TIERS]


def opened(path: Path, settings: StoreSettings = SETTINGS, **more: Any) -> Store:
    return Store.open(path / "store.sqlite", settings, **{"floor": T0, "at": T0, **more})


def table(store: Store, name: str) -> list[tuple[Any, ...]]:
    """Everything in a table, read through a second connection, so only what is committed.

    Windows in blocks are among the windows, as the rows they stand for.
    """
    with sqlite3.connect(store.path) as db:
        rows = db.execute(f"SELECT * FROM {name}").fetchall()
        rows = stored_rows(db, name) if name in {"window", "state_window"} else rows
    db.close()
    return rows


def chunk_lines(store: Store, row: tuple[Any, ...]) -> bytes:
    """The lines of a row of the outbox."""
    *_, block, skip, body = row
    return codec.decompress(body) if block is None else store._outbox.render(Reference(block, skip))


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


def content(store: Store) -> dict[str, list[Any]]:
    """Everything, with the lines of the outboxes in order of their text: how they are cut does not count."""
    chunks = [(row[1:4], chunk_lines(store, row)) for row in table(store, "outbox")]
    waiting = sorted((where, line) for where, body in chunks for line in body.splitlines())
    return {**everything(store), "outbox": waiting}


def lines(store: Store, sink: str = "influx") -> list[str]:
    """Take everything out of the outbox, with what is superseded there."""
    chunks = [chunk_lines(store, row) for row in table(store, "outbox") if row[1] == sink]
    while (parcel := store.take(sink)) is not None:
        store.done(parcel)
    return b"".join(chunks).decode().splitlines()


def trim(store: Store, now: int) -> int:
    """Trim the history as the gateway does, by a record; return how many windows went."""
    before = store.facts().counters.get("history_trimmed", 0)
    cuts = store.trim(now)
    if cuts:
        store.apply([(store.applied + 1, [StoreEffects(now, cuts=cuts)])])
    return store.facts().counters.get("history_trimmed", 0) - before


def merge_all(store: Store) -> int:
    """Merge every late reading that waits; return how many."""
    merged = 0
    while step := store.run_late():
        merged += step
    assert store.late_pending == 0
    return merged


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


class Registry:
    """Knows the names of even series."""

    def series_name(self, series: int, version: int) -> SeriesName | None:
        return name(series, version, region="eu") if series % 2 == 0 else None

    def text_name(self, code: int) -> TextName | None:
        return TextName(code, f"text {code}") if code % 2 == 0 else None


def filled(spool: Path, minutes: int = 5, series: int = 3) -> Store:
    """Series 0… with the value `series + minute` at the start of each minute."""
    store = opened(spool, SETTINGS)
    for minute in range(minutes):
        readings = [(s, T0 + minute * MINUTE, float(s + minute)) for s in range(series)]
        windows = (closed(0, readings), closed(1, readings))
        store.apply([(minute + 1, [named(range(series), windows=windows)])])
    return store


def spread(spool: Path, apart: int) -> None:
    """Two devices with 200 windows each, one every `apart` ms, none of them in a block."""
    store = opened(spool, SETTINGS)
    for n in range(200):
        readings = [(s, T0 + n * apart, 1.0) for s in range(2)]
        store.apply([(n + 1, [named(range(2), windows=(closed(0, readings),))])])
    store.close()

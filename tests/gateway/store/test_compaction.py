"""Windows that stand loose are cut anew: what is read stays the same, and a narrow query decodes few blocks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_gateway.records.store_effects import ClosedWindows
from edge_gateway.records.window_block import WINDOW_ROW
from edge_gateway.store import block_rows, compaction
from edge_gateway.store.block_body import decoded_keys
from edge_gateway.store.block_table import BlockTable, Loose
from edge_gateway.store.database import Store
from edge_gateway.store.fresh_windows import BLOCK_ROWS
from edge_gateway.store.history import History
from edge_gateway.store.schema import StoreDamaged
from edge_gateway.store.window_table import WindowTable
from edge_gateway.windows.reduce import Readings, rows_of_values
from tests.gateway.store.fleet import DAY, MINUTE, T0, TIERS, closed, closed_states, late, named, texts
from tests.gateway.store.query_plans import plans, read_all
from tests.gateway.store.stored import everything, lines, merge_all, opened, table

EVERY = [tier.every for tier in TIERS]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LEAST": 2_000, "MOST": 4_000, "STARTS": 1}.items():
        monkeypatch.setattr(compaction, name, value)


def whole(start: int, apart: int, count: int, series: int) -> ClosedWindows:
    """Windows of one reading: `count` of each series, `apart` ms from each other."""
    ts = start + np.repeat(np.arange(count), series) * apart
    numbers = np.tile(np.arange(series), count)
    readings = Readings(
        numbers, ts, np.array(ts / 1e9 + numbers, np.float64), np.full(len(ts), 1000, np.uint16)
    )
    return ClosedWindows(0, rows_of_values(MINUTE, readings), np.zeros(len(ts), np.int64))


def small_site(place: Path, years: int, every: int, series: int = 20) -> Store:
    """A store of a few devices, whose windows close 60 or fewer at a time."""
    store = opened(place, floor=0)
    store.apply([(1, [named(range(series))])])
    at, stop = T0, T0 + years * 365 * DAY
    while at < stop:
        store.apply([(store.applied + 1, [named((), windows=(whole(at, every, 3, series),))])])
        at += 3 * every
    return store


def large_site(place: Path, minutes: int, series: int = 2_000) -> Store:
    """A store of many devices with a window each a minute: two blocks a minute, each of every series."""
    store = opened(place, floor=0)
    store.apply([(1, [named(range(series))])])
    for minute in range(minutes):
        for half in range(2):
            ts = np.full(series // 2, T0 + minute * MINUTE)
            numbers = np.arange(half, series, 2)
            readings = Readings(
                numbers, ts, np.array(numbers + 0.5, np.float64), np.full(len(ts), 1000, np.uint16)
            )
            windows = ClosedWindows(0, rows_of_values(MINUTE, readings), np.zeros(len(ts), np.int64))
            store.apply([(store.applied + 1, [named((), windows=(windows,))])])
    return store


def settled(store: Store) -> int:
    """Let the sinks go, and cut all that there is; return how often a window was written anew."""
    lines(store)
    done = 0
    while cut := store.compact():
        done += cut
    return done


def asked(place: Path, **selection: Any) -> list[dict[str, Any]]:
    with History.open(place, EVERY) as history:
        return list(history.query("windows", tier=0, **selection))


@pytest.fixture
def decoded_blocks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many blocks were looked into, as one number."""
    count, decode = [0], decoded_keys

    def counted(keys: object) -> Any:
        count[0] += 1
        return decode(keys)

    monkeypatch.setattr(block_rows, "decoded_keys", counted)
    return count


def steps_of(place: Path, **selection: Any) -> tuple[int, int]:
    """Return how many rows a query returns, and how many steps SQLite takes for it."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with History.open(place, EVERY) as history:
        history._db.set_progress_handler(count, 1)
        return len(list(history.query("windows", tier=0, **selection))), steps


def test_22_years_of_a_small_site_are_read_by_few_blocks(tmp_path: Path, decoded_blocks: list[int]) -> None:
    store = small_site(tmp_path, 22, 8 * DAY)
    before, (rows, dear) = asked(tmp_path), steps_of(tmp_path, device="dev-7")
    written = settled(store)
    assert asked(tmp_path) == before
    decoded_blocks[0] = 0
    found, cheap = steps_of(tmp_path, device="dev-7")
    assert found == rows == len(before) // 20 > 1_000
    assert decoded_blocks[0] <= 2 * len(before) // 2_000, "one or two of each piece"
    assert cheap < dear / 2
    assert written <= len(before), "each window is written anew once"
    store.close()


def test_a_day_of_one_device_of_a_large_site_is_in_few_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoded_blocks: list[int]
) -> None:
    monkeypatch.setattr(compaction, "MOST", 20_000)
    monkeypatch.setattr(compaction, "LEAST", 20_000)
    store = large_site(tmp_path, 60)
    before = asked(tmp_path, device="dev-700")
    assert decoded_blocks[0] == 120, "any block may have it"
    written = settled(store)
    decoded_blocks[0] = 0
    assert asked(tmp_path, device="dev-700") == before
    assert len(before) == 60
    assert decoded_blocks[0] <= 120 // 10
    assert 60 * 2_000 <= written <= 2 * 60 * 2_000, "once into wide blocks, and once more"
    states = store._db.execute("SELECT DISTINCT loose FROM block ORDER BY loose").fetchall()
    assert Loose.SETTLED in {loose for (loose,) in states}
    store.close()


def test_nothing_but_the_place_of_windows_changes(tmp_path: Path) -> None:
    store = small_site(tmp_path, 1, DAY)
    first = T0 - T0 % MINUTE
    states = closed_states(0, [(s, first + m * MINUTE, (s + m) % 2) for s in range(20) for m in range(200)])
    p95 = closed(1, [(3, T0, 1.0), (3, T0 + 1, 1e300)], p95=True)
    store.apply(
        [(store.applied + 1, [named((), texts=texts("on", "off"), windows=(p95,), states=(states,))])]
    )
    store.apply([(store.applied + 1, [named((), late=late([(3, T0 + 5, -1e300), (4, T0 + DAY, 2.0)]))])])
    merge_all(store)
    lines(store)
    before = everything(store)
    assert settled(store) >= 2 * 4_000
    assert everything(store) == before
    store.apply([(store.applied + 1, [named((), late=late([(3, T0 + 6, 9.0)], tiers=1))])])
    merge_all(store)
    (row,) = asked(tmp_path, device="dev-3", until=T0 + MINUTE)
    assert (row["count"], row["revision"], row["last"]) == (3, 2, 9.0)
    store.close()


def test_corrected_rows_do_not_stay_beside_their_blocks(tmp_path: Path) -> None:
    store = large_site(tmp_path, 3)
    lines(store)
    store.apply(
        [(store.applied + 1, [named((), late=late([(s, T0 + 1, 1.0) for s in range(500)], tiers=1))])]
    )
    merge_all(store)
    before = everything(store)
    assert settled(store)
    assert store._db.execute("SELECT COUNT(*) FROM window WHERE tier=0").fetchone() == (0,)
    lines(store)
    assert table(store, "window") == before["window"]
    store.close()


def test_blocks_that_an_outbox_needs_wait(tmp_path: Path) -> None:
    store = large_site(tmp_path, 3)
    assert store.compact() == 0
    assert len(lines(store)) == 3 * 2_000
    assert store.compact() > 0
    store.close()


def test_strays_wait_until_they_are_many() -> None:
    def piece(*starts: int) -> compaction._Piece:
        column = np.array(starts, np.int64)
        return compaction._Piece(column, np.ones(len(column), np.int64), np.arange(len(column)))

    even = piece(*range(100))
    assert len(even.densest().start) == 100
    assert piece(*[5] * 9).densest().start.tolist() == [5] * 9
    assert piece(-90_000, -8_000, *range(100), 10**9).densest().start.tolist() == list(range(100))
    assert piece(*range(100), *range(10**6, 10**6 + 9)).densest().start.tolist() == list(range(100))
    many = piece(*range(7), *range(10**6, 10**6 + 14), 10**9)
    assert len(many.densest().start) >= 7


@pytest.mark.parametrize("lengths", [[3], [BLOCK_ROWS] * 3, [900, 900], [1, 5_000, 40], [500] * 9])
def test_blocks_end_between_two_series_where_they_can(lengths: list[int]) -> None:
    series = np.repeat(np.arange(len(lengths)), lengths)
    ends = [0]
    while ends[-1] < len(series):
        ends.append(compaction._end(series, ends[-1]))
    sizes = np.diff(ends)
    assert sizes.max() <= BLOCK_ROWS
    inside = [end for end in ends[1:-1] if series[end] == series[end - 1]]
    assert not inside or max(lengths) > BLOCK_ROWS // 2


def test_what_is_damaged_is_not_written_anew(tmp_path: Path) -> None:
    store = large_site(tmp_path, 3)
    lines(store)
    store._db.execute("UPDATE block_body SET body=X'01' WHERE id=2")
    with pytest.raises(StoreDamaged):
        store.compact()
    assert store._db.execute("SELECT COUNT(*) FROM block WHERE loose=1").fetchone() == (6,)
    store.close()


def test_what_is_loose_is_found_without_reading_the_rest(tmp_path: Path) -> None:
    store = opened(tmp_path)
    blocks = BlockTable(store._db, "window", WINDOW_ROW)
    rows: WindowTable = store._windows
    with plans(store._db) as found:
        list(blocks.loose(0, Loose.FRESH))
        blocks.fullest(0, 4)
        rows.delete_between(0, (1, 2), (3, 4))
        list(rows.between(0, (1, 2), (3, 4)))
    assert read_all(found) == []
    assert sum("block USING INDEX block_loose" in plan for plan in found) == 2
    assert any(
        "window USING PRIMARY KEY (tier=? AND (start,series)>(?,?) AND (start,series)<(?,?))" in plan
        for plan in found
    ), found
    assert any("outbox USING COVERING INDEX outbox_block (block=?)" in plan for plan in found), found
    store.close()

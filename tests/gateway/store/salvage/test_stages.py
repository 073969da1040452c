"""Damage in the store's file: what can be read is brought back, nothing else, and nothing partial is sent."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from edge_gateway.records.store_effects import Kind, StoreEffects
from edge_gateway.records.window_block import WINDOW_ROW
from edge_gateway.store.database import Store
from edge_gateway.store.rebuild import Derived
from edge_gateway.store.row_checksum import checked
from edge_gateway.store.salvage.sound_rows import EARLIER
from edge_gateway.store.salvage.stages import STAGES
from tests.gateway.store.fleet import DAY, MINUTE, T0, closed, late, named
from tests.gateway.store.stored import ALERT, everything, lines, opened, rich, table

PAGE = 4096
RECORDS = 60
AT = T0 + 1_000 * MINUTE

Damage = Callable[[bytearray], None]


AS_ROWS_AND_IN_BLOCKS = pytest.mark.parametrize("at_once", [1, 30])


def effects(number: int) -> StoreEffects:
    """What a minute leaves; a tier closes once, and what is late for it comes later."""
    start = T0 + number * MINUTE
    windows = [closed(0, [(s, start + s, 1.5 * s + number) for s in range(40)])]
    if number % 10 == 0:
        windows.append(closed(1, [(s, start - 1, 1.0 + number) for s in range(4)]))
    return replace(
        rich(number),
        windows=tuple(windows),
        series=named(range(40)).series,
        late=late([(2, start - MINUTE, 1.0)], tiers=1),
        alerts=(structs.replace(ALERT, id=f"a{number}", at=start),),
    )


def made(directory: Path, records: int = RECORDS, *, at_once: int = 1) -> Store:
    """A store; `at_once` records in a transaction: 2 and more make blocks of their base windows."""
    store = opened(directory)
    whole = [(number, [effects(number)]) for number in range(1, records + 1)]
    for first in range(0, records, at_once):
        store.apply(whole[first : first + at_once])
    while store.run_late():
        pass
    return store


def stopped(store: Store) -> Path:
    store.sync()
    store.close()
    return store.path


def journal(first: int, last: int) -> Callable[[], Iterator[Derived]]:
    return lambda: iter([(number, [effects(number)]) for number in range(first, last + 1)])


def corrupt(path: Path, damage: Damage) -> None:
    data = bytearray(path.read_bytes())
    damage(data)
    path.write_bytes(data)


def salvaged(directory: Path, first: int = RECORDS + 1, last: int = RECORDS) -> Store:
    new = opened(directory, floor=AT, at=AT, records=journal(first, last))
    finish(new)
    return new


def finish(store: Store) -> str:
    said = ""
    while store.facts().salvaging:
        said = store.salvage()
    while store.run_late():
        pass
    return said


def pages_of(path: Path, name: str) -> list[int]:
    with sqlite3.connect(path) as db:
        found = [page for (page,) in db.execute("SELECT pageno FROM dbstat WHERE name=?", (name,))]
    db.close()
    return sorted(found)


def zero(*pages: int) -> Damage:
    def change(data: bytearray) -> None:
        for page in pages:
            data[(page - 1) * PAGE : page * PAGE] = bytes(PAGE)

    return change


def rows(store: Store, name: str) -> set[tuple[object, ...]]:
    moved = {"late", "late_state", "alert", "quarantine", "event"}
    return {(row[0] % EARLIER, *row[1:]) if name in moved else row for row in table(store, name)}


@AS_ROWS_AND_IN_BLOCKS
def test_everything_is_brought_back_where_one_index_is_lost(tmp_path: Path, at_once: int) -> None:
    before = made(tmp_path, at_once=at_once)
    old, waiting = everything(before), lines(opened_copy(before, tmp_path / "copy"))
    corrupt(stopped(before), zero(*pages_of(before.path, "outbox_sink")))
    new = salvaged(tmp_path)
    assert new.opened.set_aside == f"store.sqlite.corrupt-{AT}"
    for name in ("series", "number", "text", "code", "window", "state_window"):
        assert table(new, name) == old[name], name
    assert [row[:2] for row in table(new, "outbox")] == [row[:2] for row in old["outbox"]]
    assert lines(new) == waiting
    for name in ("alert", "quarantine", "event"):
        assert rows(new, name) == set(old[name]), name
    assert (new.applied, new.floor) == (RECORDS, T0), "nothing is lost, so nothing is known less"
    assert "all could be read" not in new.opened.damage


def test_what_is_behind_a_lost_page_and_before_it_is_brought_back(tmp_path: Path) -> None:
    before = made(tmp_path)
    old = set(table(before, "window"))
    leaves = pages_of(before.path, "window")[1:]
    corrupt(stopped(before), zero(leaves[len(leaves) // 3], leaves[len(leaves) // 2]))
    new = salvaged(tmp_path)
    brought = rows(new, "window")
    assert brought < old
    assert 0 < len(old) - len(brought) <= 80, "two leaves of windows"
    assert new.floor == AT, "a window that is not there may have been"
    assert new.facts().counters["salvage_unreadable"]


@AS_ROWS_AND_IN_BLOCKS
@pytest.mark.parametrize("seed", range(12))
def test_no_damage_makes_a_wrong_row_or_a_wrong_line(tmp_path: Path, seed: int, at_once: int) -> None:
    chance = random.Random(seed)
    before = made(tmp_path, at_once=at_once)
    old = everything(before)
    sent = set(lines(opened_copy(before, tmp_path / "copy")))
    stopped(before)

    def garbage(data: bytearray) -> None:
        for _ in range(chance.randint(1, 4)):
            length = chance.choice([1, 16, 512, PAGE, 3 * PAGE])
            start = chance.randrange(0, len(data) - length)
            data[start : start + length] = chance.choice([chance.randbytes(length), bytes(length)])
        if chance.random() < 0.2:
            del data[chance.randrange(len(data)) :]

    corrupt(before.path, garbage)
    new = salvaged(tmp_path, RECORDS // 2)
    for name in ("window", "state_window"):
        known = {row[:3]: checked(row[4], row[1], row[2]) for row in old[name]}
        for row in table(new, name):
            assert known[row[:3]] == checked(row[4], row[1], row[2]), (name, row[:3])
    alone = lines(salvaged(tmp_path / "journal alone", RECORDS // 2))
    assert set(lines(new)) <= sent | {line for line in alone if "why=unknown" in line}
    if new.opened.created:
        recent = {row[:3] for row in old["window"] if row[0] == 0 and row[1] >= T0 + RECORDS // 2 * MINUTE}
        assert recent <= {row[:3] for row in table(new, "window")}, "the journal has them"


def opened_copy(store: Store, directory: Path) -> Store:
    directory.mkdir()
    target = sqlite3.connect(directory / "store.sqlite")
    with sqlite3.connect(store.path) as source:
        source.backup(target)
    source.close()
    target.close()
    return opened(directory)


@AS_ROWS_AND_IN_BLOCKS
def test_a_lost_first_page_is_replaced_by_that_of_a_new_store(tmp_path: Path, at_once: int) -> None:
    before = made(tmp_path, at_once=at_once)
    old = set(table(before, "window"))
    corrupt(stopped(before), zero(1))
    new = salvaged(tmp_path)
    assert rows(new, "window") == old
    assert new.applied == RECORDS
    assert (tmp_path / f"store.sqlite.corrupt-{AT}.page1").read_bytes() == bytes(PAGE)


@AS_ROWS_AND_IN_BLOCKS
def test_without_its_number_a_store_takes_everything_from_the_journal_once(
    tmp_path: Path, at_once: int
) -> None:
    before = made(tmp_path, at_once=at_once)
    old = everything(before)
    corrupt(stopped(before), zero(*pages_of(before.path, "meta")))
    new = salvaged(tmp_path, first=RECORDS - 20, last=RECORDS + 1)
    assert new.applied == RECORDS + 1
    assert set(table(new, "window")) >= {
        row for row in old["window"] if row[3] == 0 and row[0] == 0 and row[1] < T0 + RECORDS * MINUTE
    }
    assert len(table(new, "alert")) == len(old["alert"]) + 1, "none twice"
    assert len(table(new, "event")) == len(old["event"]) + 1


def test_a_lost_store_is_made_again_from_the_journal_and_sends_nothing_partial(tmp_path: Path) -> None:
    made(tmp_path / "gone").close()
    new = opened(tmp_path / "new", floor=AT, at=AT, records=journal(40, RECORDS))
    while new.run_late():
        pass
    reference = made(tmp_path / "reference")
    wanted = {
        key: row for key, row in windows(reference).items() if key[1] >= T0 + 40 * MINUTE and not key[0]
    }
    assert {key: row for key, row in windows(new).items() if not key[0]} == wanted
    sent = [line for line in lines(new) if "count=" in line]
    assert len(sent) == len(table(new, "window")), "each point once: a first version would be partial"


def windows(store: Store) -> dict[tuple[int, ...], bytes]:
    """Rows without their series, by tier, start and series."""
    opened_rows = {row[:3]: checked(row[4], row[1], row[2]) for row in table(store, "window")}
    return {key: row[8:] for key, row in opened_rows.items() if row is not None}


def test_a_late_reading_of_a_window_that_was_not_brought_back_stays_apart(tmp_path: Path) -> None:
    before = made(tmp_path)
    leaf = pages_of(before.path, "window")[3]
    old = set(table(before, "window"))
    corrupt(stopped(before), zero(leaf))
    new = salvaged(tmp_path)
    _, start, series, *_ = min(old - set(table(new, "window")))
    lines(new)
    new.apply([(RECORDS + 1, [StoreEffects(AT, late=late([(series - 1, start + 7, 99.0)], tiers=1))])])
    assert new.run_late() == 1
    (line,) = lines(new)
    assert line.startswith("sensor_late,")
    assert new.facts().counters["late_too_late"] == 1


@pytest.mark.parametrize("confirmed", ["before", "after"])
def test_the_floor_of_a_clock_years_ahead_is_corrected_before_or_after_the_salvage(
    tmp_path: Path, confirmed: str
) -> None:
    before = made(tmp_path)
    leaf = pages_of(before.path, "window")[3]
    corrupt(stopped(before), zero(leaf))
    ahead = AT + 3 * 365 * 86_400_000
    new = opened(tmp_path, floor=ahead, at=ahead, unsure=AT, records=journal(RECORDS + 1, RECORDS))
    known = (RECORDS + 1, [StoreEffects(AT, confirmed=(AT + 9_000, AT + 5_000))])
    if confirmed == "before":
        new.apply([known])
    finish(new)
    if confirmed == "after":
        assert new.floor == ahead
        new.apply([known])
    assert new.floor == AT + 4_000


@AS_ROWS_AND_IN_BLOCKS
def test_late_readings_wait_until_the_windows_are_back_and_sinks_until_the_lines_are(
    tmp_path: Path, at_once: int
) -> None:
    before = made(tmp_path, at_once=at_once)
    before.apply([(RECORDS + 1, [StoreEffects(AT, late=late([(1, T0 + MINUTE + 5, 50.0)], tiers=1))])])
    old = table(before, "outbox")
    corrupt(stopped(before), zero(*pages_of(before.path, "alert_at")))
    new = opened(tmp_path, floor=AT, at=AT, records=journal(0, -1))
    assert new.facts().late_held
    new.enqueue(b"gateway,gateway=g up=1i 1\n", AT)
    assert new.take("influx") is None, "a newer line waits for the old ones"
    assert (new.run_late(), new.late_pending) == (0, 1)
    finish(new)
    assert new.late_pending == 0
    assert [row[0] for row in table(new, "outbox")][: len(old)] == [row[0] for row in old], (
        "the old ones first"
    )
    assert any("count=2i" in line and "dev-1," in line for line in lines(new))


@AS_ROWS_AND_IN_BLOCKS
def test_a_kill_in_the_middle_loses_nothing_of_it(tmp_path: Path, at_once: int) -> None:
    before = made(tmp_path, at_once=at_once)
    old, waiting = everything(before), lines(opened_copy(before, tmp_path / "copy"))
    corrupt(stopped(before), zero(*pages_of(before.path, "outbox_rank")))
    for step in range(2 * len(STAGES)):
        store = opened(tmp_path, floor=AT, at=AT + step, records=journal(0, -1))
        store.salvage()
        store.close()
    new = opened(tmp_path, floor=AT, at=AT, records=journal(0, -1))
    while new.facts().salvaging:
        new.salvage()
    assert len([path for path in tmp_path.glob("store.sqlite.corrupt-*") if path.name[-1].isdigit()]) == 1
    assert table(new, "window") == old["window"]
    assert lines(new) == waiting
    assert rows(new, "alert") == set(old["alert"])


def test_windows_whose_lines_are_lost_are_sent_again(tmp_path: Path) -> None:
    before = made(tmp_path)
    sent = {line for line in lines(opened_copy(before, tmp_path / "copy")) if line.startswith("sensor,")}
    newest = {line.split(" ")[0] + line.rsplit(" ", 1)[1]: line for line in sorted(sent)}
    corrupt(stopped(before), zero(*pages_of(before.path, "outbox")[3:6]))
    new = salvaged(tmp_path)
    got = {line.split(" ")[0] + line.rsplit(" ", 1)[1] for line in lines(new) if line.startswith("sensor,")}
    assert got == newest.keys()


@pytest.mark.parametrize("series", [2, 39])  # corrected; begun by a late reading
def test_old_windows_of_late_readings_are_sent_again_where_lines_are_lost(
    tmp_path: Path, series: int
) -> None:
    old = T0 + MINUTE + (0 if series == 2 else DAY)
    before = made(tmp_path)
    for parcel in iter(lambda: before.take("influx"), None):
        before.done(parcel)
    far = RECORDS + 5 * DAY // MINUTE
    before.apply([(far, [replace(effects(far), late=late([(series, old, 5.0)], tiers=1))])])
    while before.run_late():
        pass
    sent = lines(opened_copy(before, tmp_path / "copy"))
    expected = [line for line in sent if line.endswith(f" {old}000000")]
    assert len(expected) == 1
    with sqlite3.connect(before.path) as db:
        db.execute("UPDATE outbox SET body=X'00' WHERE id=(SELECT MAX(id) FROM outbox)")
    db.close()
    corrupt(stopped(before), zero(*pages_of(before.path, "alert_at")))
    assert expected[0] in lines(salvaged(tmp_path))


LOST = "rows in 1 damaged place of window are lost; keep the file if you want to examine it, or delete it"


@pytest.mark.parametrize(
    ("spoilt", "place", "told"),
    [
        ("alert_at", 0, "recovered all of {file}, {rows:,} rows; the file can be deleted"),
        ("window", 3, f"recovered {{rows:,}} rows of {{file}}; {LOST}"),
    ],
)
def test_the_operator_is_told_what_was_recovered_and_what_to_do_with_the_file(
    tmp_path: Path, spoilt: str, place: int, told: str
) -> None:
    before = made(tmp_path, records=20)
    corrupt(stopped(before), zero(pages_of(before.path, spoilt)[place]))
    new = opened(tmp_path, floor=AT, at=AT, records=journal(21, 20))
    summary = finish(new)
    rows = new.facts().counters["salvaged_rows"]
    assert summary == told.format(rows=rows, file=f"{before.path}.corrupt-{AT}")
    assert new.facts().counters.get("salvage_unreadable", 0) == (spoilt == "window")
    new.close()


def test_a_file_of_which_nothing_can_be_read_is_said_to_be_lost(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.apply([(1, [named(windows=(closed(0, [(1, T0, 1.0)]),))])])
    store.close()
    (tmp_path / "store.sqlite").write_bytes(b"nothing of a store" * 1000)
    new = opened(tmp_path, records=lambda: iter(()), at=T0 + 5)
    summary = ""
    while not summary:
        summary = new.salvage()
    assert summary == (
        f"nothing of {new.path}.corrupt-{T0 + 5} can be read: what the journal does not have is lost"
    )
    assert new.salvage() == ""
    new.close()


def test_a_late_reading_is_not_merged_again_into_windows_that_the_journal_gave_whole(tmp_path: Path) -> None:
    store = opened(tmp_path)
    ts, ten, hour = T0 + 5, T0 - T0 % (10 * MINUTE), T0 - T0 % (60 * MINUTE)
    for rebuilt, tiers in (
        ({(0, T0, 2)}, 0b110),
        ({(0, T0, 2), (1, ten, 2), (2, hour, 2)}, 0),
        ({(2, hour, 2), (1, ten, 3)}, 0b011),
        ({(0, T0 + MINUTE, 2), (0, ts, 2)}, 0b111),
    ):
        assert store._salvage._left(0b111, ts, 2, rebuilt) == tiers
    store.close()


@AS_ROWS_AND_IN_BLOCKS
def test_a_window_that_closes_again_before_it_is_salvaged_is_sent_apart(tmp_path: Path, at_once: int) -> None:
    """As a new one it would keep the salvaged one out, and its point would lose readings."""
    stopped(made(tmp_path, at_once=at_once))
    new = opened(tmp_path, floor=AT, at=AT, records=journal(RECORDS + 1, RECORDS), damage="as found in use")
    again = closed(0, [(1, T0 + MINUTE, 9.0)], kind=Kind.AGAIN)
    new.apply([(RECORDS + 1, [named(range(40), windows=(again,))])])
    while new.facts().salvaging:
        new.salvage()
    assert new.facts().counters["windows_refused"] == 1
    (row,) = [row for row in table(new, "window") if row[:2] == (0, T0 + MINUTE) and row[2] == 2]
    assert row[3] == 0
    data = checked(row[4], row[1], row[2])
    assert data is not None
    assert np.frombuffer(data, WINDOW_ROW, 1)["last"].tolist() == [2.5]
    new.close()

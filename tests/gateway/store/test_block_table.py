"""Blocks are found by what they span, shortened by trims, and held for as long as anybody needs them."""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest

from edge_gateway.records.window_block import WINDOW_ROW, WindowBlock
from edge_gateway.store.block_body import Revised
from edge_gateway.store.block_table import BlockTable, drop_unused, in_pieces, overlapping, read_block
from edge_gateway.store.room_in_file import block_in_file
from edge_gateway.store.schema import StoreDamaged, open_store
from edge_gateway.windows.reduce import rows_of_values
from tests.gateway.store.fleet import DAY, MINUTE, T0, columns
from tests.gateway.store.query_plans import plans, read_all

Window = tuple[int, int]
"""start, series"""


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    one, _ = open_store(tmp_path / "store.sqlite")
    yield one
    one.close()


@pytest.fixture
def blocks(db: sqlite3.Connection) -> BlockTable:
    return BlockTable(db, "window", WINDOW_ROW)


def revised(windows: Sequence[Window]) -> Revised:
    rows = rows_of_values(MINUTE, columns([(series, start, 1.0) for start, series in sorted(windows)]))
    ordered = rows.take(np.lexsort((rows.rows["series"], rows.rows["start"])))
    return Revised(ordered, np.zeros(len(ordered), np.int64))


def asked(windows: Sequence[Window]) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], ...]:
    start, series = np.array(windows, np.int64).T
    return start, series


def refer(db: sqlite3.Connection, number: int) -> None:
    columns_ = "INSERT INTO outbox(sink, bucket, rank, lines, size, at, block, skip, body)"
    db.execute(f"{columns_} VALUES('s', 'b', 0, 1, 0, 1, ?, 0, X'')", (number,))


@pytest.mark.parametrize("seed", range(10))
def test_windows_are_found_where_they_are_and_nowhere_else(blocks: BlockTable, seed: int) -> None:
    chance = Random(seed)
    every = [(T0 + minute * MINUTE, series) for minute in range(60) for series in range(20)]
    chance.shuffle(every)
    held: dict[Window, tuple[int, int]] = {}
    while len(every) > 300:
        part = sorted(every.pop() for _ in range(chance.choice([1, 5, 90])))
        number = blocks.insert(0, revised(part))
        held |= {window: (number, row) for row, window in enumerate(part)}
    wanted = [*chance.sample(sorted(held), 100), *chance.sample(every, 100), (T0 - DAY, 1), (T0, 10**6)]
    found = blocks.find(0, *asked(wanted))
    assert found == {place: held[one] for place, one in enumerate(wanted) if one in held}
    assert blocks.find(1, *asked(wanted)) == {}
    rows = {place: held_.windows.rows for place, held_ in blocks.rows_of(found)}
    assert {(int(row["start"][0]), int(row["series"][0])) for row in rows.values()} == {
        wanted[place] for place in found
    }
    assert blocks.find(0, *(column[:0] for column in asked(wanted))) == {}


def test_blocks_that_overlap_a_time_come_by_their_start_however_long_others_are(
    db: sqlite3.Connection, blocks: BlockTable
) -> None:
    blocks.insert(0, revised([(T0 - 900 * DAY, 1), (T0 + 900 * DAY, 1)]))
    for day in range(20):
        blocks.insert(0, revised([(T0 + day * DAY, 1), (T0 + day * DAY + MINUTE, 2)]))
    with plans(db) as found:
        spans = list(overlapping(db, "window", 0, T0 + 5 * DAY, T0 + 6 * DAY))
    assert [span.id for span in spans] == [1, 7, 8]
    assert any("kind=? AND tier=? AND span=? AND last_start>? AND last_start<?" in plan for plan in found)
    assert read_all(found) == []
    assert [span.id for span in overlapping(db, "window", 0, last=T0 + DAY)] == [1, 2, 3]
    assert len(list(overlapping(db, "window", 0))) == 21
    assert list(overlapping(db, "state_window", 0)) == []


def test_a_trim_shortens_a_block_and_removes_what_it_leaves_nothing_of(
    db: sqlite3.Connection, blocks: BlockTable
) -> None:
    first = blocks.insert(0, revised([(T0, 1), (T0, 2), (T0 + MINUTE, 1)]))
    blocks.insert(0, revised([(T0 + MINUTE, 2), (T0 + 2 * MINUTE, 1), (T0 + 3 * MINUTE, 1)]))
    blocks.insert(1, revised([(T0, 1)]))
    blocks.correct({0: (first, 1)})
    assert blocks.totals()[0] == 2 + 3 + 1
    assert blocks.trim(0, T0 + 2 * MINUTE) == 2 + 1
    assert blocks.span(0) == (T0 + 2 * MINUTE, T0 + 3 * MINUTE)
    assert blocks.find(0, *asked([(T0 + MINUTE, 2), (T0 + 2 * MINUTE, 1)])) == {1: (2, 1)}
    assert blocks.trim(0, T0 + 2 * MINUTE) == blocks.trim(0, -(1 << 63)) == 0
    assert [block.gone for block in blocks.behind(0)] == [1, 0]
    assert blocks.oldest(0, 5) == {T0 + 2 * MINUTE: 1, T0 + 3 * MINUTE: 1}
    assert db.execute("SELECT id FROM block_body").fetchall() == [(2,), (3,)]


def test_a_block_that_the_history_let_go_of_stays_for_an_outbox_and_counts_to_its_budget(
    db: sqlite3.Connection, blocks: BlockTable
) -> None:
    number = blocks.insert(0, revised([(T0, 1), (T0 + MINUTE, 2)]))
    refer(db, number)
    assert blocks.trim(0, T0 + DAY) == 2
    assert blocks.span(0) is None
    assert blocks.totals() == (0, 0)
    assert (list(blocks.behind(0)), blocks.find(0, *asked([(T0, 1)]))) == ([], {})
    (size,) = db.execute("SELECT size FROM outbox").fetchone()
    assert size == block_in_file(*db.execute("SELECT LENGTH(keys)+LENGTH(body) FROM block_body").fetchone())
    assert len(blocks.read(number).windows) == 2
    db.execute("DELETE FROM outbox")
    drop_unused(db, [number])
    with pytest.raises(StoreDamaged, match=f"block {number} of windows is missing"):
        read_block(db, number, WINDOW_ROW)


def test_corrected_windows_are_marked_once_and_for_all(blocks: BlockTable) -> None:
    number = blocks.insert(0, revised([(T0, series) for series in range(20)]))
    blocks.correct({7: (number, 3), 9: (number, 17)})
    blocks.correct({0: (number, 4)})
    (block,) = blocks.behind(0)
    assert np.flatnonzero(~block.valid).tolist() == [3, 4, 17]
    assert blocks.totals()[0] == 17
    assert blocks.find(0, *asked([(T0, 3), (T0, 5)])) == {1: (number, 5)}, "the others stand elsewhere now"
    assert blocks.valid(number).windows.rows["series"].tolist() == [*range(3), *range(5, 17), 18, 19]


def test_the_oldest_starts_are_all_counted_however_blocks_overlap(blocks: BlockTable) -> None:
    every = [(T0 + minute * MINUTE, series) for minute in range(50) for series in range(8)]
    for first in range(0, 8, 2):
        blocks.insert(0, revised([one for one in every if one[1] in {first, first + 1}]))
    later = [(start + 60 * MINUTE, series) for start, series in every]
    blocks.insert(0, revised(later))
    assert blocks.oldest(0, 100) == dict.fromkeys((start for start, _ in every), 8)
    assert blocks.oldest(0, 401).total() == 800


def test_blocks_are_checked_piece_by_piece(db: sqlite3.Connection, blocks: BlockTable) -> None:
    for minute in range(5):
        blocks.insert(0, revised([(T0 + minute * MINUTE, 1)]))
    assert [blocks.check(after, 5, 2) for after in (0, 2, 4, 5)] == [2, 4, 5, None]
    db.execute("UPDATE block SET corrected=X'01' WHERE id=4")
    with pytest.raises(StoreDamaged):
        blocks.check(2, 5, 2)
    db.execute("UPDATE block_body SET body=X'01' WHERE id=5")
    with pytest.raises(StoreDamaged):
        blocks.check(4, 5, 2)
    assert blocks.newest() == 5


def test_after_a_rollback_a_number_may_stand_for_another_block(
    db: sqlite3.Connection, blocks: BlockTable
) -> None:
    db.execute("BEGIN")
    blocks.insert(0, revised([(T0, 1)]))
    blocks.find(0, *asked([(T0, 1)]))
    db.execute("ROLLBACK")
    blocks.restore(blocks.snapshot())  # type: ignore[func-returns-value]
    number = blocks.insert(0, revised([(T0, 2)]))
    assert blocks.find(0, *asked([(T0, 1), (T0, 2)])) == {1: (number, 0)}
    assert blocks.read(number).windows.rows["series"].tolist() == [2]


@pytest.mark.parametrize(("rows", "lengths"), [(1, [1]), (7, [7]), (8, [4, 4]), (15, [5, 5, 5])])
def test_pieces_are_of_about_one_length(rows: int, lengths: list[int]) -> None:
    windows = revised([(T0, series) for series in range(rows)]).windows
    pieces = list(in_pieces(windows, 7))
    assert [len(piece) for piece in pieces] == lengths
    assert WindowBlock.joined(pieces).packed() == windows.packed()

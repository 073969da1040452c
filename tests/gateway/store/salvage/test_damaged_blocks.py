"""Blocks of a damaged store: what is sound of them comes back, and nothing older than what was stored."""

import sqlite3
from pathlib import Path

from tests.gateway.store.fleet import MINUTE
from tests.gateway.store.salvage.test_stages import (
    AT,
    RECORDS,
    corrupt,
    made,
    opened_copy,
    pages_of,
    salvaged,
    stopped,
    zero,
)
from tests.gateway.store.stored import lines, table


def test_windows_in_blocks_whose_lines_are_lost_are_sent_again(tmp_path: Path) -> None:
    before = made(tmp_path, at_once=30)
    newest = points(lines(opened_copy(before, tmp_path / "copy")))
    assert len(newest) > RECORDS * 30
    with sqlite3.connect(before.path) as db:
        assert db.execute("UPDATE outbox SET skip='x' WHERE block NOT NULL").rowcount
    db.close()
    corrupt(stopped(before), zero(*pages_of(before.path, "alert_at")))
    new = salvaged(tmp_path)
    assert points(lines(new)) == newest


def points(waiting: list[str]) -> dict[tuple[str, str], str]:
    """The last line of each point of windows."""
    split = [line.split(" ") for line in waiting if line.startswith("sensor,")]
    fine = [
        one for one in split if int(one[2]) // 10**6 % (10 * MINUTE)
    ]  # the others are points of two buckets
    return {(head, at): fields for head, fields, at in fine}


def test_a_damaged_block_costs_its_windows_and_no_other(tmp_path: Path) -> None:
    before = made(tmp_path, at_once=30)
    old = set(table(before, "window"))
    with sqlite3.connect(before.path) as db:
        (block, rows), *others = db.execute("SELECT id, rows FROM block WHERE kind='window' ORDER BY id")
        db.execute("UPDATE block_body SET body=X'00' WHERE id=?", (block,))
    db.close()
    corrupt(stopped(before), zero(*pages_of(before.path, "alert_at")))
    new = salvaged(tmp_path)
    lost = old - set(table(new, "window"))
    assert others
    assert rows - 40 < len(lost) <= rows, "of the block only what was corrected is left"
    assert {row[3] for row in lost} == {0}
    assert new.floor == AT
    told = new.facts().counters["salvage_unreadable"]
    assert told == 1 + 1, "the block, and the chunk of the outbox that refers to it"


def test_a_window_whose_correction_is_lost_does_not_come_back_as_it_was_before(tmp_path: Path) -> None:
    """A late reading would be merged into it, and the point would lose what the lost one had."""
    before = made(tmp_path, at_once=30)
    old = {row[:3]: row for row in table(before, "window")}
    corrected = {key for key, row in old.items() if row[3]}
    with sqlite3.connect(before.path) as db:
        assert db.execute("UPDATE window SET row=X'00' WHERE revision>0").rowcount == len(corrected)
    db.close()
    corrupt(stopped(before), zero(*pages_of(before.path, "alert_at")))
    new = salvaged(tmp_path)
    assert {row[:3]: row for row in table(new, "window")} == {
        key: row for key, row in old.items() if key not in corrected
    }
    assert new.facts().counters["salvage_unreadable"] == len(corrected)

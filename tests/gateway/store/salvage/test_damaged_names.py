"""A name that is not what was stored is lost, with its windows, and invents no series."""

from __future__ import annotations

from pathlib import Path

from tests.gateway.store.salvage.test_stages import (
    AS_ROWS_AND_IN_BLOCKS,
    AT,
    PAGE,
    corrupt,
    made,
    pages_of,
    rows,
    salvaged,
    stopped,
)
from tests.gateway.store.stored import table


@AS_ROWS_AND_IN_BLOCKS
def test_a_name_with_a_changed_letter_is_not_brought_back(tmp_path: Path, at_once: int) -> None:
    before = made(tmp_path, at_once=at_once)
    names, windows = set(table(before, "series")), set(table(before, "window"))
    (number,) = {row[0] for row in names if row[1:3] == ("dev-7", "temperature")}
    leaves = pages_of(stopped(before), "series")

    def rename(data: bytearray) -> None:
        places = [data.find(b"dev-7temperature", (page - 1) * PAGE, page * PAGE) for page in leaves]
        data[max(places) + len("dev-")] ^= 0x40

    corrupt(before.path, rename)
    new = salvaged(tmp_path)
    assert set(table(new, "series")) == {row for row in names if row[0] != number}
    assert rows(new, "window") == {row for row in windows if row[2] != number}
    assert new.floor == AT, "windows of a name that is lost are lost"
    assert new.opened.damage

"""Which readings are the newest of their input, against a walk through them one by one."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.rules.columns.lateness import TimesRead, boots_since, newest_so_far


def walked(rows: list[tuple[int, int, int, int]], before: dict[int, tuple[int, int, int]]) -> list[bool]:
    found = []
    for cell, *stamp in rows:
        newest = tuple(stamp) >= before[cell]
        found.append(newest)
        if newest:
            before[cell] = (stamp[0], stamp[1], stamp[2])
    return found


@given(seed=st.integers(0, 2**32), count=st.integers(0, 40))
def test_a_reading_is_the_newest_if_no_earlier_one_of_its_input_is_newer(seed: int, count: int) -> None:
    random = Random(seed)
    boot = 0
    rows = []
    for _ in range(count):
        boot += random.random() < 0.1
        rows.append((random.randrange(3) * 5, random.randrange(100, 104), boot, random.randrange(4)))
    before = {cell: (random.randrange(98, 103), 0, random.randrange(-1, 3)) for cell in (0, 5, 10)}
    cells = np.array(sorted(before))
    cell, *stamps = (np.array([row[place] for row in rows], np.int64) for place in range(4))
    held = TimesRead(*(np.array([before[c][place] for c in sorted(before)], np.int64) for place in range(3)))
    assert newest_so_far(cell, TimesRead(*stamps), cells, held).tolist() == walked(rows, before)


def test_changes_of_the_boot_are_counted_by_device_from_the_one_before() -> None:
    device = np.array([0, 0, 0, 4, 4, 7])
    boot = np.array([5, 5, 6, 1, 2, 9])
    before = np.array([5, 5, 5, 3, 3, 9])
    assert boots_since(device, boot, before).tolist() == [0, 0, 1, 1, 2, 0]
    none = np.zeros(0, np.int64)
    assert boots_since(none, none, none).tolist() == []

"""Operations within runs of equal slots, against a loop over the rows."""

from __future__ import annotations

from itertools import groupby

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.rules.columns.runs import Runs, expand_runs, run_start_mask, run_starts

LENGTHS = st.lists(st.integers(1, 5), max_size=5)


def slots(lengths: list[int]) -> list[int]:
    return [slot for slot, length in enumerate(lengths) for _ in range(length)]


def test_expand_runs() -> None:
    owner, member = expand_runs(np.array([10, 20, 30]), np.array([2, 0, 3]))
    assert owner.tolist() == [0, 0, 2, 2, 2]
    assert member.tolist() == [10, 11, 30, 31, 32]


@given(LENGTHS)
def test_where_runs_begin(lengths: list[int]) -> None:
    slot = np.array(slots(lengths), np.int64)
    expected = [sum(lengths[:number]) for number in range(len(lengths))]
    assert run_starts(slot).tolist() == expected
    assert np.flatnonzero(run_start_mask(slot)).tolist() == expected


@given(LENGTHS, st.data())
def test_within_each_run(lengths: list[int], data: st.DataObject) -> None:
    slot = slots(lengths)
    count = len(slot)
    numbers = st.integers(-9, 9)
    column = data.draw(st.lists(numbers, min_size=count, max_size=count))
    first = data.draw(st.lists(numbers, min_size=len(lengths), max_size=len(lengths)))
    restart = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    before = np.array([first[each] for each in slot], np.float64)
    runs = Runs(np.array(slot, np.int64))

    shifted: list[float] = []
    running: list[int] = []
    most: list[float] = []
    for each, rows in groupby(range(count), key=lambda row: slot[row]):
        total, last, extreme = 0, float(first[each]), float(first[each])
        for row in rows:
            shifted.append(last)
            total, last = total + column[row], float(column[row])
            running.append(total)
            extreme = last if restart[row] else max(extreme, last)
            most.append(extreme)

    values = np.array(column, np.float64)
    assert runs.shifted(values, before).tolist() == shifted
    assert runs.running(np.array(column, np.int64)).tolist() == running
    if count:
        assert runs.accumulate(np.maximum, values, before, np.array(restart)).tolist() == most

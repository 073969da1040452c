"""Late samples in panes. `test_ranges` compares what functions make of them with all samples remembered."""

from __future__ import annotations

import numpy as np
import pytest

from edge_gateway.rules.columns.pane_corrections import insert
from edge_gateway.rules.columns.panes import MAX_CAPACITY, Panes
from edge_gateway.rules.columns.runs import run_starts

T0 = 1_767_225_600_000


def made(family: str, *seconds: float, ms: int = 60_000) -> Panes:
    """Panes with a sample at each second, whose value is the second."""
    panes = Panes(ms, family)
    panes.add_slots(1)
    for second in seconds:
        put(panes, second, late=False)
    return panes


def put(panes: Panes, second: float, value: float | None = None, *, late: bool = True) -> None:
    slot, at = np.zeros(1, np.int64), np.array([T0 + int(second * 1000)])
    number = np.array([second if value is None else value])
    if late:
        insert(panes, slot, at, number)
    else:
        panes.push(slot, at, number, run_starts(slot))


def cells(panes: Panes, name: str) -> list[float]:
    first, head = (int(each[0]) for each in panes.kept(np.zeros(1, np.int64)))
    pane = np.arange(first, head)
    found: list[float] = panes.at_pane(name, np.zeros(len(pane), np.int64), pane).tolist()
    return found


def test_a_late_sample_opens_a_pane_between_others_and_counts_in_those_after_it() -> None:
    panes = made("samples", 0, 10, 20)
    put(panes, 5)
    assert cells(panes, "first") == [0.0, 5.0, 10.0, 20.0]
    assert cells(panes, "n") == [0, 1, 2, 3]
    assert (panes.total["n"][0], panes.last[0]) == (4, 20.0)


def test_a_late_sample_joins_the_pane_of_its_slice() -> None:
    panes = made("extremes", 0, 2, 10, ms=600_000)
    put(panes, 1, 9.0)
    assert cells(panes, "first") == [0.0, 10.0]
    assert cells(panes, "most") == [9.0, 10.0]
    assert cells(panes, "n") == [0, 3]
    put(panes, 0, -1.0)
    assert cells(panes, "first") == [-1.0, 10.0], "before what was read at its time"


@pytest.mark.parametrize("second", [-61, -60])
def test_a_sample_older_than_the_range_is_left_out(second: int) -> None:
    panes = made("samples", -10, 0)
    put(panes, second)
    assert cells(panes, "first") == [-10.0, 0.0]


def test_a_sample_newer_than_all_there_is_is_added_as_such() -> None:
    panes = made("samples")
    put(panes, 5)
    put(panes, 7)
    assert (cells(panes, "first"), panes.last[0]) == ([5.0, 7.0], 7.0)


def test_the_oldest_pane_goes_when_there_is_no_more_room() -> None:
    panes = made("samples", ms=240_000)
    panes.make_room(MAX_CAPACITY)
    for second in range(0, 400, 2):
        if second != 300:
            put(panes, second, late=False)
    put(panes, 300)
    assert cells(panes, "first") == [*map(float, range(144, 400, 2))]


def test_a_rise_among_samples_of_one_pane_is_not_known() -> None:
    panes = made("rises", 0, 10, 11, 20, ms=600_000)
    before = panes.snapshot()
    put(panes, 10.5)
    assert panes.total["n"].tolist()[0] == before["totals"]["n"][0]

"""Closed windows for the store, apart by how they may enter it."""

from dataclasses import replace
from typing import Any

import numpy as np

from edge_gateway.fleet.registry import Registry
from edge_gateway.fold.closed_windows import for_store
from edge_gateway.records.store_effects import Kind
from edge_gateway.windows.closed import Closed, Harvest
from edge_gateway.windows.ever_closed import EverClosedTiers
from edge_gateway.windows.reduce import Readings, rows_of_states, rows_of_values


def registry() -> Registry:
    one = Registry()
    device = one.device("berlin", "dev")
    assert isinstance(device, int)
    one.table.series(device, one.table.metric("heat"))
    return one


def closed(*starts: int, again: list[bool] | None = None) -> Closed:
    ts = np.array(starts)
    none = np.zeros(len(ts), np.int64)
    readings = Readings(none, ts, np.full(len(ts), 1e300), np.full(len(ts), 1000, np.uint16))
    flags = None if again is None else np.array(again)
    harvest = Harvest()
    harvest.numbers(0, rows_of_values(10, readings), flags)
    harvest.states(0, rows_of_states(10, replace(readings, value=np.ones(len(ts)))), flags)
    return harvest.closed()


def kinds(found: Any) -> list[tuple[Kind, list[int]]]:
    return [(one.kind, one.rows["start"].tolist()) for one in found]


def test_whole_windows_are_the_first_of_their_kind() -> None:
    judged_by = -1, registry(), EverClosedTiers((10,))
    given = closed(0, 10)
    numbers, states = (list(for_store(some, *judged_by)) for some in (given.numbers, given.states))
    assert kinds(numbers) == kinds(states) == [(Kind.FIRST, [0, 10])]
    assert numbers[0].versions.tolist() == states[0].versions.tolist() == [0, 0]
    assert list(numbers[0].block.tails) == [0, 1]


def test_rows_are_apart_by_kind_with_the_tails_of_their_own() -> None:
    ever = EverClosedTiers((10,))
    ever.tiers[0].closed(np.array([0]), 40)
    ever.trim((20,))
    given = closed(0, 10, 20, 50, again=[True, True, True, False])
    numbers, states = (list(for_store(some, 10, registry(), ever)) for some in (given.numbers, given.states))
    expected = [(Kind.FIRST, [50]), (Kind.AGAIN, [20]), (Kind.GONE, [10]), (Kind.PARTIAL, [0])]
    assert kinds(numbers) == kinds(states) == expected
    assert [list(one.block.tails) for one in numbers] == [[0]] * 4

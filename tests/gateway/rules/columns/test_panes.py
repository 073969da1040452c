"""Panes: what a slot keeps, and what a snapshot of it restores. `test_ranges` compares what is read from them."""

from __future__ import annotations

import numpy as np
import pytest

from edge_gateway.records import codec
from edge_gateway.rules.columns.panes import MAX_CAPACITY, Panes, rise
from edge_gateway.rules.columns.runs import run_starts

T0 = 1_767_225_600_000


def pushed(panes: Panes, *samples: tuple[int, float]) -> None:
    """Push (second, value) samples of slot 0 together."""
    slot = np.zeros(len(samples), np.int64)
    at = np.array([T0 + second * 1000 for second, _ in samples])
    panes.push(slot, at, np.array([value for _, value in samples]), run_starts(slot))


def made(family: str, ms: int = 60_000) -> Panes:
    panes = Panes(ms, family)
    panes.add_slots(1)
    return panes


def test_samples_of_one_slice_of_time_share_a_pane() -> None:
    panes = made("extremes", 240_000)
    pushed(panes, (0, 5.0), (1, 3.0), (2, 7.0))
    assert (panes.head[0], panes.total["n"][0], panes.last[0]) == (2, 3, 7.0)
    zero, both = np.zeros(2, np.int64), np.array([0, 1])
    assert panes.at_pane("first", zero, both).tolist() == [5.0, 7.0]
    assert panes.at_pane("least", zero, both).tolist() == [3.0, 7.0]
    assert panes.at_pane("n", zero, both).tolist() == [0, 2]


def test_the_first_pane_after_a_time() -> None:
    panes = made("samples")
    pushed(panes, *((second, 0.0) for second in range(0, 50, 10)))
    slot = np.zeros(3, np.int64)
    edges = np.array([T0 - 1, T0 + 20_000, T0 + 40_000])
    assert panes.first_after(slot, edges, *panes.kept(slot)).tolist() == [0, 3, 5]


def test_room_doubles_up_to_a_limit_and_keeps_what_is_there() -> None:
    panes = made("samples")
    pushed(panes, *((second, float(second)) for second in range(8)))
    panes.make_room(1_000)
    assert panes.capacity == MAX_CAPACITY
    assert panes.at_pane("first", np.zeros(8, np.int64), np.arange(8)).tolist() == [*map(float, range(8))]


@pytest.mark.parametrize("family", ["sums", "rises"])
def test_limbs_are_kept_by_those_that_need_them(family: str) -> None:
    panes = made(family)
    pushed(panes, (0, 1.5), (1, 2.5))
    assert set(panes.total) == {"n", "high", "mid"}
    pushed(panes, (2, 1.7e12))
    assert set(panes.total) == {"n", "high", "mid", "top"}
    pushed(panes, (3, 1e100))
    assert [number for number, _ in panes.beside[0]] == [4]


def test_a_fall_of_a_counter_is_a_restart_from_zero() -> None:
    before, value = np.array([5.0, 5.0, -1.7e308]), np.array([7.0, 2.0, 1.7e308])
    with np.errstate(over="ignore"):
        assert rise(before, value).tolist() == [2.0, 2.0, np.finfo(np.float64).max]


def test_a_snapshot_holds_the_slots_in_use() -> None:
    panes = made("sums")
    pushed(panes, (0, 1.5), (1, 1e100), (2, -1e300))
    again = Panes.from_snapshot(codec.unpack(codec.pack(panes.snapshot())))
    assert again.slots == 1
    assert again.beside == panes.beside
    assert {name: total.tolist() for name, total in again.total.items()} == {
        name: total[:1].tolist() for name, total in panes.total.items()
    }


@pytest.mark.parametrize("family", ["sums", "rises", "extremes", "samples"])
def test_a_copy_of_a_slot_is_another_one(family: str) -> None:
    panes = Panes(60_000, family)
    panes.add_slots(2)
    pushed(panes, *[(second, 1e300 if second % 7 else 2.5) for second in range(40)])
    before = panes.snapshot()
    copy = panes.copy_of(0)
    np.testing.assert_equal(copy.snapshot()["head"], before["head"][:1])
    pushed(copy, (41, 9.0))
    assert copy.last[0] == 9.0
    np.testing.assert_equal(panes.snapshot(), before)
    assert panes.copy_of(1).head.tolist() == [0]

"""Cells: where a device's latches are, which are busy, and how their state moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.columns.strings import StringTable
from edge_gateway.rules.alerts import latch_cells
from edge_gateway.rules.alerts.latch_cells import LatchCells, SavedCells
from edge_gateway.rules.columns.program import ABSENT, Program
from edge_gateway.rules.language.ruleset import Level, LevelChange, NoData, Override, Rule

HOT = Rule(
    name="Hot", group="g", expr="t", levels=(Level("info", limit=10.0), Level("critical", limit=30.0)),
    no_data=NoData(5, "t", "alerting", "info"),
)  # fmt: skip
RULES = tuple(replace(HOT, name=f"R{number}") for number in range(4))


def cells(*variants: tuple[tuple[int, int], ...], rules: tuple[Rule, ...] = RULES) -> LatchCells:
    """Cells of so many devices, each with its variants."""
    found = LatchCells(Program(rules, StringTable(100, 100)))
    found.make_room(len(variants))
    found.place(np.arange(len(variants)), found.classes.numbers(variants))
    return found


def saved(
    device: int, rule: int, key: int, *, on: bool = True, up: int = 0, down: int = 0, value: float = 32.5
) -> SavedCells:
    return SavedCells(
        np.array([device]), np.array([rule]), np.array([key]), np.array([on]), np.array([up]), np.array([down]),
        np.array([0]), np.array([value]), np.array([up]),
    )  # fmt: skip


def test_a_device_begins_at_a_multiple_of_eight() -> None:
    found = cells(((0, -1),), (), ((0, -1), (1, -1), (2, -1)), ((1, -1),))
    assert not (found.base % 8).any()
    every = np.array(
        [cell for device in (0, 2, 3) for rule in range(3) for cell, _ in found.cells_of(device, rule)]
    )
    assert len(set(every.tolist())) == len(every) == 3 + 9 + 3
    assert set(found.device_at(every).tolist()) == {0, 2, 3}


def test_the_cells_and_latches_of_a_rule() -> None:
    found = cells(((0, -1), (1, -1)))
    own = found.cells_of(0, 1)
    keys = [found.program.latches[latch].key for _, latch in own]
    assert sorted(keys) == [0, 2, ABSENT]
    assert found.program.latches[found.latch_of(0, 1, 2)].limit == 30.0
    assert (found.latch_of(0, 1, 1), found.latch_of(0, 3, 0)) == (-1, -1)
    latch, alert = found.latch_at(np.array([cell for cell, _ in own]), np.zeros(3, np.int64))
    assert latch.tolist() == [number for _, number in own]
    assert set(alert.tolist()) == {min(cell for cell, _ in own)}


def test_a_value_marks_busy_the_latches_below_it() -> None:
    found = cells(((0, -1), (1, -1)), ((0, -1),))
    row, segment = found.classes.segments_of(found.class_of[np.array([0, 1])])
    rising = found.classes.segment_least[segment] == 10.0
    found.mark_busy_beyond(row[rising], segment[rising], np.array([20.0, 40.0]))
    devices = found.device_at(found.all_busy())
    assert devices.tolist() == [0, 0, 1, 1]
    assert found.device_busy[:2].tolist() == [True, True]
    rows, pairs = found.busy_pairs(np.array([1, 0, 1]))
    assert rows.tolist() == [0, 0, 1, 1, 2, 2]
    assert found.device_at(pairs).tolist() == [1, 1, 0, 0, 1, 1]


def test_absence_cells() -> None:
    found = cells(((0, -1), (1, -1)), (), ((1, -1),))
    owner, cell = found.absence_cells(np.array([2, 1, 0]))
    assert owner.tolist() == [0, 2, 2]
    latch, _ = found.latch_at(cell, np.array([2, 0, 0]))
    assert found.program.table.key[latch].tolist() == [ABSENT] * 3


def test_state_moves_to_where_the_latch_is_now() -> None:
    found = cells(((0, -1), (1, -1)))
    (cell,) = found.insert(saved(0, 1, 2, up=7))
    assert (found.on[cell], found.up[cell], found.value[cell], found.busy[cell]) == (True, 7, 32.5, True)
    _, alert = found.latch_at(np.array([cell]), np.array([0]))
    assert found.raised[alert[0]] == 1
    taken = found.extract(found.all_busy())
    assert (taken.rule.tolist(), taken.key.tolist(), taken.value.tolist()) == ([1], [2], [32.5])
    assert not found.busy.any()
    assert not found.raised.any()
    found.place(np.array([0]), found.classes.numbers([((1, -1),)]))
    (moved,) = found.insert(taken)
    latch, _ = found.latch_at(np.array([moved]), np.array([0]))
    assert (found.program.table.rule[latch[0]], found.program.table.key[latch[0]]) == (1, 2)
    assert (found.on[moved], found.up[moved]) == (True, 7)


def test_devices_that_move_keep_what_is_busy_and_the_latches_that_are_others_are_told() -> None:
    by_device = replace(HOT, overrides=(Override({"device": ["d"]}, (LevelChange("critical", limit=40.0),)),))
    found = cells(((0, -1), (1, -1)), rules=(by_device, RULES[1]))
    for rule in (0, 1):
        found.insert(saved(0, rule, 2, up=7, value=32.5))
    moved, changed = found.move(np.array([0]), found.classes.numbers([((0, 0), (1, -1))]))
    assert moved.rule.tolist() == [0, 1]
    latch, _ = found.latch_at(changed, np.array([0]))
    assert [found.program.latches[each].limit for each in latch.tolist()] == [40.0]
    busy = found.all_busy()
    assert (found.up[busy].tolist(), found.value[busy].tolist()) == ([7, 7], [32.5, 32.5])


def test_what_waits_moves_with_the_clock_of_its_device() -> None:
    found = cells(((0, -1),), ((0, -1),))
    moved, other = (
        found.insert(saved(0, 0, 2, on=False, up=500)),
        found.insert(saved(1, 0, 2, on=False, up=500)),
    )
    found.shift(np.array([0]), np.array([-100]))
    assert (found.up[moved].tolist(), found.up[other].tolist()) == ([400], [500])
    assert found.down[moved].tolist() == [0], "what is not clear stays so"


def test_state_of_a_latch_that_the_device_lost_is_dropped() -> None:
    found = cells(((0, -1),))
    assert found.insert(saved(0, 1, 2)).tolist() == [-1]
    assert found.insert(saved(0, 0, 2, on=False)).tolist() != [-1]
    assert not found.busy.any()


def test_abandoned_cells_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latch_cells, "_MIN_ABANDONED", 8)
    found = cells(((0, -1),), ((0, -1),))
    found.insert(saved(1, 0, 2, up=7))
    one, two = found.classes.numbers([((0, -1),), ((1, -1),)])
    for _ in range(10):
        for of in (two, one):
            found.place(np.array([0]), np.array([of]))
            found.compact()
    assert found._used <= 64
    (busy,) = found.all_busy()
    assert (found.device_at(np.array([busy])).tolist(), found.up[busy], found.on[busy]) == ([1], 7, True)


@given(st.sets(st.integers(0, 35)))
def test_busy_cells_are_found_eight_at_a_time(marked: set[int]) -> None:
    found = cells(*[tuple((rule, -1) for rule in range(4))] * 3)
    every = [cell for device in range(3) for rule in range(4) for cell, _ in found.cells_of(device, rule)]
    chosen = sorted(every[number] for number in marked)
    found.busy[chosen] = True
    found.device_busy[found.device_at(np.array(chosen, np.int64))] = True
    assert found.all_busy().tolist() == chosen
    assert found.busy_of(np.arange(3)).tolist() == chosen

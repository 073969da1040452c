"""A replay's windows are compared with the record's: none more, none less, with the same readings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_gateway.fold.effects import Effects
from edge_gateway.fold.replayed_windows import difference, unrecorded
from edge_gateway.records.store_effects import (
    ClosedWindows,
    Kind,
    LateStates,
    LateValues,
    StoreEffects,
)
from edge_gateway.records.window_block import WindowBlock
from edge_gateway.windows.reduce import Readings, rows_of_states, rows_of_values

EVERY = 5_000


def ints(*numbers: int) -> np.ndarray[Any, Any]:
    return np.array(numbers, np.int64)


def numbers(*held: tuple[int, int], tier: int = 0, kind: Kind = Kind.FIRST) -> ClosedWindows:
    """Windows of readings, each of (series, ts)."""
    series, ts = (ints(*column) for column in zip(*held, strict=True))
    readings = Readings(series, ts, np.ones(len(held)), np.full(len(held), 1000, np.uint16))
    block = rows_of_values(EVERY, readings)
    return ClosedWindows(tier, block, np.zeros(len(block), np.int64), kind=kind)


def texts(*held: tuple[int, int]) -> ClosedWindows:
    series, ts = (ints(*column) for column in zip(*held, strict=True))
    readings = Readings(series, ts, np.ones(len(held)), np.full(len(held), 1000, np.uint16))
    block = rows_of_states(EVERY, readings)
    return ClosedWindows(0, block, np.zeros(len(block), np.int64))


def late(*held: tuple[int, int, int]) -> LateValues:
    """Late readings of (series, ts, tiers)."""
    series, ts, tiers = (ints(*column) for column in zip(*held, strict=True))
    return LateValues(series, ts, ts, ts, ts, tiers, ts)


def late_texts(*held: tuple[int, int, int]) -> LateStates:
    series, ts, tiers = (ints(*column) for column in zip(*held, strict=True))
    return LateStates(series, ts, ts, ts, tiers)


WINDOWS = numbers((1, 100), (1, 200), (2, 100), (2, 5_100))
RECORD = StoreEffects(
    0,
    windows=(WINDOWS, numbers((1, 100), tier=1, kind=Kind.AGAIN)),
    states=(texts((3, 100), (3, 300)),),
    late=late((1, 50, 3), (2, 60, 1)),
    late_states=late_texts((3, 50, 3)),
)


def made(recorded: StoreEffects = RECORD, **changes: Any) -> Effects:
    """What a fold makes of it, in another order."""
    names = ("windows", "states", "late", "late_states")
    parts = {name: getattr(recorded, name) for name in names} | changes
    return Effects(0, **{**parts, "windows": [*parts["windows"]][::-1], "states": [*parts["states"]]})


def test_the_same_in_another_order_is_no_difference() -> None:
    assert difference([made()], RECORD) == ""
    backwards = replace(WINDOWS, block=WINDOWS.block.take(slice(None, None, -1)))
    assert difference([made(windows=[backwards, RECORD.windows[1]])], RECORD) == ""
    assert difference([], StoreEffects(0)) == ""
    parts = [made(windows=[WINDOWS], late=None), Effects(0, windows=[RECORD.windows[1]], late=RECORD.late)]
    assert difference([parts[0], parts[1]], RECORD) == ""


def fewer_readings() -> dict[str, Any]:
    return {"windows": [numbers((1, 100), (2, 100), (2, 5_100)), RECORD.windows[1]]}


def a_window_less() -> dict[str, Any]:
    return {"windows": [WINDOWS]}


def nothing_late() -> dict[str, Any]:
    return {"late": None, "late_states": None}


def other_tiers() -> dict[str, Any]:
    return {"late": late((1, 50, 1), (2, 60, 1))}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (fewer_readings, "numbers of series 1 at 0, tier 0"),
        (a_window_less, "numbers of series 1 at 0, tier 1"),
        (nothing_late, "late numbers of series 2 at 60"),
        (other_tiers, "late numbers of series 1 at 50"),
    ],
)
def test_a_difference_is_named_unless_readings_may_be_lacking(
    change: Callable[[], dict[str, Any]], told: str
) -> None:
    assert difference([made(**change())], RECORD) == told
    assert difference([made(**change())], RECORD, lacks=True) == ""


def test_another_kind_or_another_sum_is_a_difference() -> None:
    other = replace(RECORD.windows[1], kind=Kind.FIRST)
    assert difference([made(windows=[WINDOWS, other])], RECORD) == "numbers of series 1 at 0, tier 1"
    rows = WINDOWS.rows.copy()
    rows["high"][0] += 1
    changed = replace(WINDOWS, block=WindowBlock(rows))
    assert (
        difference([made(windows=[changed, RECORD.windows[1]])], RECORD) == "numbers of series 1 at 0, tier 0"
    )


def test_a_window_twice_is_a_difference() -> None:
    windows = [WINDOWS, WINDOWS, RECORD.windows[1]]
    assert difference([made(windows=windows)], RECORD) == "numbers of series 1 at 0, tier 0"


def a_window_more() -> dict[str, Any]:
    return {"windows": [WINDOWS, numbers((9, 100))]}


def more_readings() -> dict[str, Any]:
    return {"windows": [numbers((1, 100), (1, 200), (1, 300))]}


def more_texts() -> dict[str, Any]:
    return {"states": [texts((8, 100))]}


def more_late() -> dict[str, Any]:
    return {"late_states": late_texts((7, 50, 3))}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (a_window_more, "numbers of series 9 at 0, tier 0"),
        (more_readings, "numbers of series 1 at 0, tier 0"),
        (more_texts, "texts of series 8 at 0, tier 0"),
        (more_late, "late texts of series 7 at 50"),
    ],
)
def test_what_is_added_is_a_difference_even_where_readings_are_lacking(
    change: Callable[[], dict[str, Any]], told: str
) -> None:
    assert difference([made(**change())], RECORD, lacks=True) == told


def test_base_windows_that_no_record_has_are_returned() -> None:
    assert not unrecorded([made()], RECORD)
    beyond = numbers((1, 100), (2, 5_100), (2, 5_200), (4, 100))
    coarser = numbers((9, 100), tier=1)
    found = unrecorded([made(windows=[beyond, coarser], states=[texts((3, 100), (5, 100))])], RECORD)
    [of_numbers], [of_texts] = found.numbers, found.states
    assert of_numbers.rows[["series", "start", "count"]].tolist() == [(2, 5_000, 2), (4, 0, 1)]
    assert of_texts.rows["series"].tolist() == [5]
    assert {of_numbers.tier, of_texts.tier} == {0}
    assert len(unrecorded([made()], StoreEffects(0)).numbers[0].block) == 3

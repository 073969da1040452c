"""The part of the effects that is journaled, and the names that go with it."""

from __future__ import annotations

import numpy as np

from edge_gateway.fleet.registry import Registry
from edge_gateway.fold.effects import Effects
from edge_gateway.fold.messages import Message
from edge_gateway.fold.series_names import SeriesNames
from edge_gateway.records.alerts import CommandChange
from edge_gateway.records.store_effects import (
    ClosedWindows,
    LateStates,
    LateValues,
    Quarantined,
    StoreEffects,
)
from edge_gateway.records.window_block import STATE_ROW, WINDOW_ROW, WindowBlock
from tests.gateway.records.transitions import TOO_WARM, WALL

HELD = CommandChange("c1", WALL, "frz-1", "fan", {}, "sent", WALL)


def ints(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


def of_series(*series: int, kind: np.dtype[np.void]) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    rows = np.zeros(len(series), kind)
    rows["series"] = series
    return rows


def known() -> Registry:
    registry = Registry()
    registry.device("berlin", "freezer")
    for metric in ("a", "b", "c", "d"):
        registry.series(0, registry.metric(metric))
    return registry


def test_an_input_that_led_to_nothing_leaves_nothing() -> None:
    assert Effects(at=5).for_store(SeriesNames(known())) == StoreEffects(5)


def test_every_series_and_text_in_the_effects_is_named_once() -> None:
    registry = known()
    names = SeriesNames(registry)
    codes = [registry.strings.code(text, 0) for text in ("open", "shut", "ajar")]
    states = of_series(1, kind=STATE_ROW)
    states["first"], states["last"] = codes[:2]
    effects = Effects(
        at=5,
        windows=[ClosedWindows(0, WindowBlock(of_series(0, 0, kind=WINDOW_ROW)), ints(0, 0))],
        states=[ClosedWindows(0, WindowBlock(states), ints(0))],
        late=LateValues(ints(2), ints(0), ints(1), np.ones(1), ints(1_000), ints(1), ints(0)),
        late_states=LateStates(ints(3), ints(0), ints(1), ints(codes[2]), ints(1)),
    )
    stored = effects.for_store(names)
    assert [one.metric for one in stored.series] == ["a", "b", "c", "d"]
    assert [one.text for one in stored.texts] == ["open", "shut", "ajar"]
    again = effects.for_store(names)
    assert (again.series, again.texts) == ((), ())


def test_what_the_store_keeps_is_what_the_fold_made_and_no_message_is_journaled() -> None:
    bad = Quarantined("t", b"x", "bad", WALL)
    effects = Effects(
        at=WALL,
        outgoing=[Message("t", b"")],
        alerts=[TOO_WARM],
        commands=[HELD],
        quarantined=[bad],
        frozen=3,
        gone_texts=ints(9),
    )
    assert effects.for_store(SeriesNames(known())) == StoreEffects(
        WALL, alerts=(TOO_WARM,), commands=(HELD,), quarantined=(bad,), frozen=3, gone_texts=(9,)
    )

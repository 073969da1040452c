"""What a fold leaves for the store comes back from the journal as it was."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from edge_gateway.records import codec
from edge_gateway.records.store_effects import (
    ClosedWindows,
    Event,
    Kind,
    LateStates,
    LateValues,
    Quarantined,
    SeriesName,
    StoreEffects,
    TextName,
    both,
    effects_from_tree,
)
from edge_gateway.records.tail import Tail
from edge_gateway.records.window_block import STATE_ROW, WINDOW_ROW, WindowBlock


def ints(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


def late(*ts: int) -> LateValues:
    every = ints(*ts)
    return LateValues(every % 3, every % 2, every, every / 8, every % 1_000, every % 4, every)


def test_everything_survives_the_journal() -> None:
    windows = WindowBlock(np.ones(2, WINDOW_ROW), {1: Tail(-(1 << 99))})
    windows.rows["start"] = [5, 6]
    effects = StoreEffects(
        at=5,
        series=(SeriesName(1, 0, "frz-1", "temperature", "berlin", "freezer", {"line": "L1"}),),
        texts=(TextName(2, "open"),),
        windows=(ClosedWindows(0, windows, ints(0, 1), kind=Kind.PARTIAL),),
        states=(ClosedWindows(1, WindowBlock(np.ones(1, STATE_ROW)), ints(0)),),
        late=late(7, 9),
        late_states=LateStates(ints(1), ints(0), ints(5), ints(2), ints(1)),
        quarantined=(Quarantined("t", b"\xff", "bad", 5),),
        events=(Event("code", "text", 5),),
        frozen=4,
        gone_texts=(3,),
    )
    back = effects_from_tree(codec.decode(codec.encode(effects)))
    assert codec.pack(back) == codec.pack(effects)
    assert back.windows[0].block.packed() == windows.packed()


@pytest.mark.parametrize("tails", [[[1, 5, b"x"]], [[1, 5]], 7, [[1, 5, "text"]]])
def test_a_block_that_is_none_is_refused(tails: object) -> None:
    rows = np.ones(1, WINDOW_ROW)
    rows["start"] = 5
    for block in ({"rows": rows, "tails": tails}, {}, b"bytes", {"rows": 1, "tails": []}):
        closed = {"tier": 0, "block": block, "versions": ints(0)}
        with pytest.raises(msgspec.ValidationError):
            effects_from_tree({"at": 1, "windows": [closed]})


def test_what_is_no_effects_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        effects_from_tree({"at": "now"})


def test_late_readings_of_two_parts_follow_each_other_in_every_column() -> None:
    assert both(None, late(1)).ts.tolist() == [1]
    assert codec.pack(both(late(1, 2), late(3))) == codec.pack(late(1, 2, 3))

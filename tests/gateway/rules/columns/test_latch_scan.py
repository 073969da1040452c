"""The segmented scan against one latch at a time, reading by reading."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.rules.columns.latch_scan import Carry, LatchInputs, scan_latches
from edge_gateway.rules.columns.program import NEVER


@dataclass
class Latch:
    on: bool
    up: int
    down: int
    stamps: int
    last_at: int
    for_ms: int
    for_count: int
    keep_ms: int

    def read(self, at: int, value: int, *, anew: bool, closed: bool) -> None:
        """`value` 1 is beyond the threshold, -1 is clear, 0 neither; `anew` forgets the wait so far, `closed` all."""
        self.up = 0 if anew or closed else self.up
        self.down = 0 if closed else self.down
        self.on = self.on and not closed
        self.stamps = (self.stamps + (at != self.last_at) if self.up else 1) if value > 0 else 0
        self.up, self.last_at = (self.up or at) if value > 0 else 0, at
        self.down = (self.down or at) if value < 0 else 0
        if value > 0 and (at - self.up >= self.for_ms or self.stamps >= self.for_count):
            self.on = True
        if value < 0 and at - self.down >= self.keep_ms:
            self.on = False


@st.composite
def latches(draw: st.DrawFn) -> tuple[Latch, list[tuple[int, int, bool, bool]]]:
    on, value = draw(st.booleans()), draw(st.integers(-1, 1))
    since = draw(st.integers(1, 20))
    count = draw(st.integers(1, 3)) if value > 0 else 0
    waits = draw(st.tuples(TIMES, st.sampled_from((2, 3, NEVER)), TIMES))
    latch = Latch(on, since if value > 0 else 0, since if value < 0 else 0, count, 20, *waits)
    step = st.tuples(
        st.integers(0, 9), st.integers(-1, 1), st.booleans(), st.integers(0, 3).map(lambda n: n == 0)
    )
    steps = draw(st.lists(step, min_size=1, max_size=8))
    at, readings = 20, []
    for passed, value, anew, closed in steps:
        at += passed
        readings.append((at, value, anew, closed))
    return latch, readings


TIMES = st.sampled_from((0, 0, 5, 15))


@given(st.lists(latches(), min_size=1, max_size=5))
def test_the_scan_agrees_with_reading_one_by_one(
    cells: list[tuple[Latch, list[tuple[int, int, bool, bool]]]],
) -> None:
    rows = [(number, latch, *reading) for number, (latch, own) in enumerate(cells) for reading in own]
    inputs = LatchInputs(
        np.array([number for number, *_ in rows]),
        np.array([at for _, _, at, *_ in rows]),
        np.array([anew for *_, anew, _ in rows]),
        np.array([closed for *_, closed in rows]),
        np.array([value > 0 for *_, value, _, _ in rows]),
        np.array([value < 0 for *_, value, _, _ in rows]),
        np.array([latch.for_ms for _, latch, *_ in rows]),
        np.array([latch.for_count for _, latch, *_ in rows]),
        np.array([latch.keep_ms for _, latch, *_ in rows]),
    )
    carry = Carry(
        np.array([latch.on for _, latch, *_ in rows]),
        np.array([latch.up for _, latch, *_ in rows]),
        np.array([latch.down for _, latch, *_ in rows]),
        np.array([latch.stamps for _, latch, *_ in rows]),
        np.array([latch.last_at for _, latch, *_ in rows]),
    )
    course = scan_latches(inputs, carry)
    for row, (number, latch, at, value, anew, closed) in enumerate(rows):
        assert course.was_on[row] == latch.on
        assert course.was_waiting[row] == (latch.up > 0 and not latch.on)
        latch.read(at, value, anew=anew, closed=closed)
        assert (course.on[row], course.up[row], course.down[row]) == (latch.on, latch.up, latch.down)
        assert course.stamps[row] == latch.stamps
        assert course.last[row] == (row + 1 == len(rows) or rows[row + 1][0] != number)

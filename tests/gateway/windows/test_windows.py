"""Open windows close into what plain Python says, whatever the order, the batches and the budget."""

import math
from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.durable.codec import pack, unpack
from edge_gateway.windows.closed import Closed
from edge_gateway.windows.late import Late
from edge_gateway.windows.merge import merge_blocks, merge_state_rows, pack_rows, sums, unpack_row
from edge_gateway.windows.reduce import rows_of_states, rows_of_values
from edge_gateway.windows.rows import Block, by_position, keys
from edge_gateway.windows.windows import Windows
from tests.gateway.windows.plain import (
    DOOR,
    T0,
    Fleet,
    Plain,
    PlainState,
    Reading,
    Window,
    frame_of,
    plain_rows,
    plain_state_rows,
    plain_windows,
    windows_of,
)

TIERS = (1_000, 5_000, 10_000)
LATENESS = 2_000
IDLE = 3_000
DEVICES = 4
ALL = 1 << 40
P95 = "humidity"


def windows(devices: int = DEVICES) -> Windows:
    return Windows(
        TIERS,
        allowed_lateness_ms=LATENESS,
        idle_close_ms=IDLE,
        max_future_skew_ms=300_000,
        p95_metrics={P95},
        series=Fleet(devices),
    )


def value_of(metric: int, raw: float) -> float:
    return float(int(abs(raw)) % 3) if metric == DOOR else raw


reading = st.builds(
    lambda device, at, metric, raw, quality: Reading(device, T0 + at, metric, value_of(metric, raw), quality),
    st.integers(0, DEVICES - 1),
    st.integers(0, 40_000),
    st.integers(0, 2),
    st.floats(-100, 100) | st.sampled_from([0.0, -0.0, 1e300, 3e9]),
    st.integers(0, 1000),
)


def jittered(readings: Sequence[Reading], random: Random) -> list[Reading]:
    """Order readings so that none comes more than the allowed lateness behind a newer one."""
    return sorted(readings, key=lambda reading: reading.ts + random.uniform(0, LATENESS))


def batches(readings: Sequence[Reading], random: Random) -> list[list[Reading]]:
    cuts = sorted(random.choices(range(len(readings) + 1), k=random.randint(0, 8)))
    edges = [0, *cuts, len(readings)]
    return [list(readings[a:b]) for a, b in zip(edges, edges[1:], strict=False)]


class Run:
    """Windows as a gateway would use them; what they gave, and a store that merges it."""

    def __init__(self, devices: int = DEVICES, budget: int = ALL) -> None:
        self.windows = windows(devices)
        self.budget = budget
        self.closed: list[Closed] = []
        self.late: list[Late] = []

    def add(self, readings: Sequence[Reading], listening: int = 0) -> Late:
        arrival = max((reading.ts for reading in readings), default=T0)
        late = self.windows.add(frame_of(readings, arrival), listening_ms=listening)
        self.late.append(late)
        self.close()
        return late

    def close(self) -> Closed:
        self.closed.append(self.windows.close(self.budget))
        return self.closed[-1]

    def restart(self) -> None:
        """Go on in new windows from the bytes of a checkpoint."""
        state = unpack(pack(self.windows.snapshot(), shuffle=True))
        self.windows = windows()
        self.windows.restore(state)

    def plain(self) -> dict[Window, Plain | PlainState]:
        return windows_of(self.closed, TIERS)

    def counted(self) -> int:
        rows = sum(int(rows["count"].sum()) for closed in self.closed for tier, rows in closed.numeric if not tier)
        return rows + self.windows.open_readings + sum(len(late.numbers) for late in self.late)


@given(st.lists(reading, max_size=120), st.randoms(use_true_random=False))
def test_in_time_readings_close_into_the_same_windows_in_any_order(held: list[Reading], random: Random) -> None:
    run = Run(budget=random.choice([1, 7, 600, ALL]))
    for batch in batches(jittered(held, random), random):
        late = run.add(batch)
        assert not len(late)
        if random.random() < 0.3:
            run.restart()
    run.closed.append(run.windows.drain())
    assert run.windows.open_readings == 0
    assert run.plain() == plain_windows(held, TIERS)


def stored(run: Run) -> dict[tuple[int, int, int], bytes]:
    """Merge everything a run gave, as the store does: closed rows, and late readings where their bit is set."""
    rows: dict[tuple[int, int, int], bytes] = {}
    for closed, late in zip(run.closed, [*run.late, *[None] * len(run.closed)], strict=False):
        for tier, numeric in closed.numeric:
            merge_into(rows, tier, numeric, closed.tails_of(tier))
        if late is not None and len(late.numbers):
            p95 = np.array([series % 3 == 1 for series in range(DEVICES * 3)])
            for tier, every in enumerate(TIERS):
                chosen = late.numbers.tiers >> tier & 1 == 1
                block = rows_of_values(every, late.numbers.readings.rows(chosen), p95)
                merge_into(rows, tier, block.rows, by_position(block))
    return rows


def merge_into(rows: dict[tuple[int, int, int], bytes], tier: int, numeric: Any, tails: Any) -> None:
    for key, data in zip(keys(numeric), pack_rows(numeric, tails), strict=True):
        window = (tier, *key)
        block = unpack_row(data)
        if window in rows:
            block = merge_blocks(unpack_row(rows[window]), block)
        (rows[window],) = pack_rows(block.rows, by_position(block))


def expected_rows(held: Sequence[Reading]) -> dict[tuple[int, int, int], bytes]:
    """Return the rows straight from readings, in one go."""
    run = Run()
    run.windows.add(frame_of([reading for reading in held if reading.metric != DOOR]), listening_ms=0)
    run.closed.append(run.windows.drain())
    return stored(run)


@given(st.lists(reading, max_size=120), st.randoms(use_true_random=False))
def test_what_the_store_merges_is_what_all_readings_give(held: list[Reading], random: Random) -> None:
    """Late readings, silence, clock steps, restarts, any budget: the store ends with the rows of all readings."""
    run = Run(budget=random.choice([1, 7, 600, ALL]))
    order = sorted(held, key=lambda reading: reading.ts + random.uniform(0, 20_000))
    listening = 0
    for batch in batches(order, random):
        run.add(batch, listening)
        listening += random.choice([0, 100, 3_000, 20_000])
        if random.random() < 0.5:
            run.windows.tick(listening)
            run.close()
            run.late.append(run.windows.add(frame_of([]), listening_ms=listening))
        if random.random() < 0.2:
            run.windows.rewind(np.array(random.sample(range(DEVICES), 2)))
        if random.random() < 0.3:
            run.restart()
        assert run.counted() + states_open(run) == sum(len(r) for r in [numbers_so_far(order, run)])
    run.closed.append(run.windows.drain())
    assert stored(run) == expected_rows(held)

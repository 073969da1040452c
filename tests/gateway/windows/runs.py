"""Windows driven as a gateway drives them, the readings drawn for them, and the rows a store makes of the result."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import strategies as st
from msgspec import convert

from edge_gateway.records.closings import Closings
from edge_gateway.records.codec import pack, unpack
from edge_gateway.records.window_block import WINDOW_ROW, WindowBlock, keys
from edge_gateway.windows import base_tier, reading_log, reduce
from edge_gateway.windows.closed import Closed
from edge_gateway.windows.late import Late
from edge_gateway.windows.merge import merge_blocks
from edge_gateway.windows.open_windows import Windows
from edge_gateway.windows.reduce import Readings, rows_of_values
from tests.gateway.windows.plain import (
    DOOR,
    T0,
    Fleet,
    Plain,
    PlainState,
    Reading,
    Window,
    frame_of,
    windows_of,
)

TIERS = (1_000, 5_000, 10_000)
LATENESS = 2_000
IDLE = 3_000
DEVICES = 4
ALL = 1 << 40
P95 = "humidity"
WITH_P95 = np.arange(DEVICES * 3) % 3 == 1
SKEW = 300_000


def windows(devices: int = DEVICES) -> Windows:
    return Windows(
        TIERS,
        allowed_lateness_ms=LATENESS,
        idle_close_ms=IDLE,
        max_future_skew_ms=SKEW,
        p95_metrics={P95},
        series=Fleet(devices),
    )


def value_of(metric: int, raw: float) -> float:
    return float(int(abs(raw)) % 3) if metric == DOOR else raw


reading = st.builds(
    lambda device, at, metric, raw, quality: Reading(device, T0 + at, metric, value_of(metric, raw), quality),
    st.integers(0, DEVICES - 1),
    st.integers(0, 40_000) | st.integers(0, 8).map(lambda quarter: quarter * 250),
    st.integers(0, 2),
    st.floats(-100, 100) | st.sampled_from([0.0, -0.0, 1e300, 3e9]),
    st.integers(0, 1000),
)
number = reading.filter(lambda one: one.metric != DOOR)


def jittered(readings: Sequence[Reading], random: Random) -> list[Reading]:
    """Order readings so that none comes more than the allowed lateness behind a newer one."""
    return sorted(readings, key=lambda reading: reading.ts + random.uniform(0, LATENESS))


def batches(readings: Sequence[Reading], random: Random) -> list[list[Reading]]:
    cuts = sorted(random.choices(range(len(readings) + 1), k=random.randint(0, 8)))
    edges = [0, *cuts, len(readings)]
    return [list(readings[a:b]) for a, b in pairwise(edges)]


@contextmanager
def small_steps(*, taken: bool) -> Iterator[None]:
    """Make runs, pieces and what is worth a walk so small that a few readings go through all of it."""
    with pytest.MonkeyPatch.context() as patch:
        if taken:
            patch.setattr(reading_log, "RUN", 8)
            patch.setattr(base_tier, "PIECE", 5)
            patch.setattr(base_tier, "SMALL", 4)
            patch.setattr(base_tier, "CREDIT_OF_A_CALL", 1)
            patch.setattr(reduce, "MOST_AT_ONCE", 3)
            patch.setattr(base_tier, "MANY", 2)
        yield


class Run:
    """Windows as a gateway would use them, and all they gave, in order."""

    def __init__(self, budget: int = ALL) -> None:
        self.windows = windows()
        self.budget = budget
        self.given: list[Closed | Late] = []

    def add(
        self,
        readings: Sequence[Reading],
        listening: int = 0,
        *,
        trusted: bool = True,
        recorded: Closings | None = None,
    ) -> Late:
        self.windows.begin_input(recorded)
        arrival = max((reading.ts for reading in readings), default=T0)
        late, closed = self.windows.add(frame_of(readings, arrival), listening_ms=listening, trusted=trusted)
        self.given += [late, closed]
        self.close()
        return late

    def close(self) -> None:
        self.given.append(self.windows.close(self.budget))

    def drain(self) -> None:
        self.given.append(self.windows.drain())

    def tick(self, listening: int, recorded: Closings | None = None) -> None:
        self.windows.begin_input(recorded)
        self.windows.tick(listening)
        self.close()

    def journaled(self) -> Closings:
        """Return what left with the last input, as a journal gives it back."""
        return convert(unpack(pack(self.windows.closings)), Closings)

    def restart(self) -> None:
        """Go on in new windows from the bytes of a checkpoint."""
        state = unpack(pack(self.windows.snapshot(), shuffle=True))
        self.windows = windows()
        self.windows.restore(state)

    @property
    def closed(self) -> list[Closed]:
        return [given for given in self.given if isinstance(given, Closed)]

    def plain(self) -> dict[Window, Plain | PlainState]:
        return windows_of(self.closed, TIERS)

    def starts(self, tier: int) -> list[int]:
        """Return the starts of what closed in a tier, in s after T0, in the order it was given."""
        rows = [part for closed in self.closed for part in closed.numbers if part.tier == tier]
        return [(start - T0) // 1000 for part in rows for start in part.rows["start"].tolist()]

    def numbers_counted(self) -> int:
        """Return how many numbers are in closed base rows, open, or were late."""
        late = sum(len(given.numbers) for given in self.given if isinstance(given, Late))
        rows = (part.rows for closed in self.closed for part in closed.numbers if part.tier == 0)
        return late + self.windows.open_readings + sum(int(part["count"].sum()) for part in rows)


Stored = dict[tuple[int, int, int], bytes]
"""(tier, series, start): packed row"""


def merge_into(rows: Stored, tier: int, block: WindowBlock) -> None:
    for key, data in zip(keys(block.rows), block.packed(), strict=True):
        window, one = (tier, *key), WindowBlock.unpacked([data], WINDOW_ROW)
        if window in rows:
            one = merge_blocks(WindowBlock.unpacked([rows[window]], WINDOW_ROW), one)
        (rows[window],) = one.packed()


def stored(run: Run) -> Stored:
    """Merge everything a run gave, as the store does: closed rows, and late readings where their bit is set."""
    rows: Stored = {}
    for part in run.given:
        if isinstance(part, Closed):
            for tier, block, _ in part.numbers:
                assert len(set(keys(block.rows))) == len(block)
                merge_into(rows, tier, block)
        else:
            for tier, every in enumerate(TIERS):
                chosen = part.numbers.readings.rows(part.numbers.tiers >> tier & 1 == 1)
                merge_into(rows, tier, rows_of_values(every, chosen, WITH_P95))
    return rows


def all_at_once(held: Sequence[Reading]) -> Stored:
    """Return the rows of every tier straight from the readings."""
    frame = frame_of(held)
    readings = Readings(frame.series, frame.ts[frame.row], frame.value + 0.0, frame.quality)
    rows: Stored = {}
    for tier, every in enumerate(TIERS):
        merge_into(rows, tier, rows_of_values(every, readings, WITH_P95))
    return rows


def tick_and_close(run: Run, listening: int) -> None:
    """A tick that says nothing changed is not journaled: neither it nor a close may then change a thing."""
    before = pack(run.windows.snapshot())
    changed = run.windows.tick(listening)
    run.close()
    assert changed or (pack(run.windows.snapshot()) == before and not run.closed[-1])


def temperature(seconds: float, value: float = 20.0, device: int = 0) -> Reading:
    return Reading(device, T0 + int(seconds * 1000), 0, value)

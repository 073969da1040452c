"""A program of another pace follows what the journal says, and takes over with every reading counted once."""

from collections.abc import Callable
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.windows.closed import Closed
from edge_gateway.windows.late import Late, LateReadings
from edge_gateway.windows.recorded import NONE_RECORDED, Recorded, RecordedLate
from edge_gateway.windows.rows import Block, keys
from tests.gateway.windows.plain import T0, Reading, plain_windows
from tests.gateway.windows.runs import (
    ALL,
    TIERS,
    Run,
    all_at_once,
    batches,
    jittered,
    number,
    reading,
    small_steps,
    stored,
)


def told_by(steps: list[Closed | Late]) -> Recorded:
    """What a journal record says of what one input led to."""
    closed = [one for one in steps if isinstance(one, Closed)]
    late = [one for one in steps if isinstance(one, Late)]
    numbers = []
    for part in closed:
        for tier, rows in part.numeric:
            named = keys(rows)
            numbers.append(
                (tier, Block(rows, {named[row]: tail for row, tail in part.tails_of(tier).items()}))
            )
    return Recorded(
        numbers=numbers,
        states=[(tier, Block(rows)) for part in closed for tier, rows in part.states],
        late=_late(late[0].numbers) if late else NONE_RECORDED,
        late_states=_late(late[0].states) if late else NONE_RECORDED,
    )


def _late(found: LateReadings) -> RecordedLate:
    return RecordedLate(found.series, found.ts, found.tiers)


def tick(run: Run, listening: int) -> None:
    run.windows.tick(listening)
    run.close()


class Pair:
    """A first program, and a second one that follows it until it takes over."""

    def __init__(self, first: int, second: int) -> None:
        self.first, self.second = Run(budget=first), Run(budget=second)
        self.taken_over = False

    def add(self, held: list[Reading], listening: int) -> None:
        self._each(lambda run: run.add(held, listening))

    def tick(self, listening: int) -> None:
        self._each(lambda run: tick(run, listening))

    def _each(self, step: Callable[[Run], object]) -> None:
        if not self.taken_over:
            before = len(self.first.given)
            step(self.first)
            self.second.windows.recorded = told_by(self.first.given[before:])
        step(self.second)
        if not self.taken_over:
            self.second.windows.recorded = None
            self.second.given.clear()

    def given(self) -> Run:
        """Everything both gave, as of one run."""
        both = Run()
        both.given = [*self.first.given, *self.second.given]
        return both


@settings(max_examples=60, deadline=None)
@given(st.lists(number, max_size=120), st.randoms(use_true_random=False))
def test_what_both_give_together_is_what_all_readings_give(held: list[Reading], random: Random) -> None:
    with small_steps(taken=random.random() < 0.7):
        takes_over(held, random)


def takes_over(held: list[Reading], random: Random) -> None:
    pair = Pair(*random.sample([1, 7, 600, ALL], 2))
    order = sorted(held, key=lambda one: one.ts + random.uniform(0, 20_000))
    listening = 0
    for batch in batches(order, random):
        if random.random() < 0.15:
            pair.taken_over = True
        pair.add(batch, listening)
        listening += random.choice([0, 100, 3_000, 20_000])
        if random.random() < 0.5:
            pair.tick(listening)
        if random.random() < 0.3:
            (pair.second if pair.taken_over else pair.first).restart()
            pair.second.restart()
    pair.second.drain()
    assert pair.second.windows.open_readings == 0
    assert stored(pair.given()) == all_at_once(held)


@settings(max_examples=40, deadline=None)
@given(st.lists(reading, max_size=120), st.randoms(use_true_random=False))
def test_numbers_and_texts_in_time_close_once(held: list[Reading], random: Random) -> None:
    with small_steps(taken=True):
        pair = Pair(*random.sample([1, 7, 600, ALL], 2))
        for batch in batches(jittered(held, random), random):
            pair.taken_over |= random.random() < 0.2
            pair.add(batch, 0)
        pair.second.drain()
        assert pair.given().plain() == plain_windows(held, TIERS)


def test_what_the_history_gave_up_enters_no_coarser_window_of_the_follower_either() -> None:
    pair = Pair(ALL, ALL)
    device = np.array([0])
    for at in (0, 60_000):
        pair.add([Reading(0, T0 + at, 0, 1.0)], at)
    for _ in range(2):
        pair.tick(120_000)
    assert pair.first.windows.open_coarser == 0
    for run in (pair.first, pair.second):
        run.windows.rewind(device)
    pair.add([Reading(0, T0, 0, 1.0)], 120_000)
    for run in (pair.first, pair.second):
        run.windows.ever.trim([T0 + 30_000] * len(TIERS))
    pair.tick(125_000)
    assert [run.windows.open_readings for run in (pair.first, pair.second)] == [0, 0]
    assert [run.windows.open_coarser for run in (pair.first, pair.second)] == [0, 0]

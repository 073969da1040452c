"""Messages under a number that another one has taken: none is taken for a repeat."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.fleet.arrivals.boot_mark import DUPLICATE, NEW, NOT_KNOWN
from edge_gateway.fleet.arrivals.sequences import Sequences
from edge_gateway.fleet.timestamps import NO_TIME
from tests.gateway.fleet.arrivals.test_sequences import accept


def test_without_a_birth_what_it_kept_back_before_is_no_repeat() -> None:
    sequences = Sequences()
    accept(sequences, [(0, 1, 3, 3), (0, 1, 4, 4)])
    assert accept(sequences, [(0, 1, seq, 100 + seq) for seq in range(3)])[0] == [NEW] * 3
    assert accept(sequences, [(0, 1, seq, seq) for seq in range(5)])[0] == [NOT_KNOWN] * 3 + [DUPLICATE] * 2
    accept(sequences, [(0, 2, 0, 200)])
    assert accept(sequences, [(0, 1, 2, 2)])[0] == [NOT_KNOWN], "nor once it is not the current boot"


@settings(max_examples=200, deadline=None)
@given(st.sets(st.integers(0, 9), min_size=1), st.integers(1, 10), st.randoms(use_true_random=False))
def test_without_a_birth_no_message_that_has_not_come_is_a_repeat(
    first: set[int], again: int, chance: random.Random
) -> None:
    """Part of a life comes before the erasure, the rest in any order between the messages after it, or later."""
    rest = [(0, 1, seq, seq) for seq in range(10) if seq not in first]
    rows = [(0, 1, seq, 100 + seq) for seq in range(again)]
    for late in rest:
        rows.insert(chance.randint(0, len(rows)), late)
    sequences = Sequences()
    accept(sequences, chance.sample([(0, 1, seq, seq) for seq in first], len(first)))
    for row in rows:
        assert accept(sequences, [row])[0] != [DUPLICATE], row


def test_what_was_held_for_its_time_is_no_repeat_of_a_message_that_had_one() -> None:
    """The clock was not believed: messages without a time wait, those with one under the same numbers come first."""
    sequences = Sequences()
    accept(sequences, [(0, 1, seq, 50 + seq) for seq in (0, 1, 3)])
    held = [(0, 1, seq, NO_TIME) for seq in range(6)]
    said = {place: 7 + place for place in range(6)}
    assert accept(sequences, held, said)[0] == [NOT_KNOWN, NOT_KNOWN, NEW, NOT_KNOWN, NEW, NEW]
    assert accept(sequences, held, said)[0] == [
        NOT_KNOWN,
        NOT_KNOWN,
        DUPLICATE,
        NOT_KNOWN,
        DUPLICATE,
        DUPLICATE,
    ]

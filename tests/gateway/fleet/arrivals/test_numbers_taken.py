"""Messages under a number that another one has taken: none is taken for a repeat."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.fleet.arrivals.boot_mark import DUPLICATE, NEW, NOT_KNOWN
from edge_gateway.fleet.arrivals.sequences import Sequences
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

"""Readings of one time have numbers of their own, which follow from nothing but what the device said."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.columns.frame import Frame, IntColumn
from edge_gateway.columns.point_number import PER_MS, point_numbers

SAMPLES = 1_001
"""The most that a message has."""
anything = st.integers(0, 2**63 - 1)


def numbers(boot: IntColumn, seq: IntColumn, device: int = 0) -> list[int]:
    none, rows = np.empty(0, np.int64), np.zeros(len(boot), np.int64)
    frame = Frame(
        *(7, rows + device, boot, seq, rows, rows, rows > 0),
        *(none, none, np.empty(0), np.empty(0, np.uint16), none, none, none),
    )
    found: list[int] = point_numbers(frame).tolist()
    return found


def of_messages(boot: int, first: int, messages: int, samples: int = 1) -> list[int]:
    seq = first + np.repeat(np.arange(messages), samples)
    return numbers(np.full(len(seq), boot), seq)


@given(anything, st.integers(0, 2**63 - 1_001), st.integers(1, 1_000))
def test_messages_of_a_boot_differ_however_they_are_cut_into_batches(boot: int, first: int, cut: int) -> None:
    found = of_messages(boot, first, 1_000)
    assert len(set(found)) == 1_000
    assert 0 <= min(found) <= max(found) < 10**6
    assert found == of_messages(boot, first, cut) + of_messages(boot, first + cut, 1_000 - cut)


def test_as_many_messages_of_a_boot_as_there_are_numbers_differ() -> None:
    assert sorted(of_messages(2**40, 2**50, PER_MS)) == list(range(PER_MS))


def test_the_fullest_messages_in_a_row_differ() -> None:
    found = of_messages(5, 999_900, 997, SAMPLES)
    assert len(set(found)) == len(found)


def test_boots_that_are_counted_up_differ() -> None:
    boots = np.repeat(np.arange(300), 1_000)
    assert len(set(numbers(boots, np.tile(np.arange(1_000), 300)))) == 300_000


def test_samples_are_counted_from_the_first_of_each_message() -> None:
    whole = of_messages(7, 40, 5, 3)
    assert whole == [number for seq in range(40, 45) for number in of_messages(7, seq, 1, 3)]

"""Selecting messages of a decoded batch takes all that is theirs along."""

import numpy as np

from edge_gateway.fleet.decoders.bad_values import BadValues
from edge_gateway.fleet.decoders.decoded import (
    Decoded,
    Messages,
    Numbers,
    Rejected,
    Samples,
    States,
    no_states,
    only,
    renumbered,
)


def ints(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


def decoded() -> Decoded:
    """Three messages; the second has two samples."""
    quality = np.array([1000, 900, 800, 700], np.uint16)
    return Decoded(
        Messages(
            ints(0, 2, 3), ints(5, 6, 7), ints(1, 1, 1), ints(8, 9, 10), ints(11, 12, 13), ints(-1, 0, 1)
        ),
        Samples(ints(0, 1, 1, 2), ints(11, 12, 22, 13)),
        Numbers(ints(0, 1, 2, 3), ints(20, 21, 22, 23), np.array([0.0, 1.0, 2.0, 3.0]), quality),
        States(ints(1, 3), ints(30, 31), ints(0, 1), quality[:2]),
        BadValues(ints(0, 2), ints(40, 41), ints(3, 4)),
        {1: "one", 2: "two"},
        [Rejected(1, -1, "no")],
    )


def test_positions_in_a_part_become_those_in_the_whole() -> None:
    found = renumbered(decoded(), [10, 11, 12, 13])
    assert found.messages.index.tolist() == [10, 12, 13]
    assert [one.index for one in found.rejected] == [11]


def test_what_is_kept_is_renumbered_with_its_samples_and_values() -> None:
    found = only(decoded(), np.array([False, True, True]))
    assert found.messages.index.tolist() == [2, 3]
    assert found.messages.device.tolist() == [6, 7]
    assert found.messages.floor.tolist() == [0, 1]
    assert (found.samples.message.tolist(), found.samples.ts.tolist()) == ([0, 0, 1], [12, 22, 13])
    assert (found.numbers.row.tolist(), found.numbers.series.tolist()) == ([0, 1, 2], [21, 22, 23])
    assert found.numbers.quality.tolist() == [900, 800, 700]
    assert (found.states.row.tolist(), found.states.code.tolist()) == ([0, 2], [0, 1])
    assert (found.bad.row.tolist(), found.bad.metric.tolist()) == ([1], [41])
    assert found.refused == {0: "one", 1: "two"}
    assert found.rejected == [Rejected(1, -1, "no")]


def test_the_whole_batch_is_kept_as_it_is() -> None:
    batch = decoded()
    assert only(batch, np.ones(3, np.bool_)) is batch
    assert only(batch, np.array([True, False, True])).refused == {1: "two"}


def test_no_states_are_empty_columns() -> None:
    assert len(no_states().row) == len(no_states().quality) == 0

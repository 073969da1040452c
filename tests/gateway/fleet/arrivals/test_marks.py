"""What is kept of every device's boots."""

import msgpack
import pytest

from edge_gateway.fleet.arrivals.boot_mark import MOST_MISSING, NEW, NOT_KNOWN
from edge_gateway.fleet.arrivals.marks import BOOTS_KEPT
from edge_gateway.fleet.arrivals.sequences import Sequences
from edge_gateway.fleet.timestamps import NO_TIME
from tests.gateway.fleet.arrivals.test_sequences import LARGEST, accept
from tests.gateway.fleet.states import packed


def test_a_further_boot_takes_the_place_of_the_one_that_was_quiet_longest() -> None:
    sequences = Sequences()
    for boot in range(BOOTS_KEPT):
        accept(sequences, [(0, boot, 1, boot)])
    accept(sequences, [(0, 0, 2, 0), (0, 99, 0, 99)])
    assert sequences.boots(0) == [*range(2, BOOTS_KEPT - 1), 0, BOOTS_KEPT - 1, 99]
    assert (sequences.stored(0, 1), sequences.stored(0, 0)) == (None, (0, 2, [(0, 0)]))
    assert sequences.totals()["boots_forgotten"] == 1
    assert sequences.counters(0)["given_up"] == 1, "what was missing of the forgotten boot"


def test_nothing_is_known_of_a_device_never_heard() -> None:
    sequences = Sequences()
    assert (sequences.boots(7), sequences.stored(7, 1), sequences.gaps(7)) == ([], None, [])
    assert set(sequences.counters(7).values()) == {0}


def test_a_device_with_gaps_in_any_boot_is_listed() -> None:
    sequences = Sequences()
    accept(sequences, [(2, 5, 1, 1), (2, 6, 0, 2), (0, 5, 1, 1), (1, 5, 0, 1)])
    assert sequences.devices_with_gaps() == [0, 2]
    assert sequences.gaps(2) == [(5, 0, 0)]


def test_one_device_lacks_no_more_than_a_million_messages() -> None:
    sequences = Sequences()
    for boot in range(8):
        accept(sequences, [(0, boot, seq * MOST_MISSING, 0) for seq in range(1, 60)])
    assert len(sequences.gaps(0)) > 8 * 50
    assert sequences.missing(0) == MOST_MISSING


def test_retired_devices_are_forgotten() -> None:
    sequences = Sequences()
    accept(sequences, [(0, 5, 3, 10), (0, 6, 3, 10)])
    sequences.birth(0, 6, 9, 9)
    sequences.birth(0, 6, 9, LARGEST)
    before = sequences.totals()
    assert before["lost_at_device"] > 0
    sequences.retire({0: "a", 7: "b"})
    assert sequences.boots(0) == []
    assert sequences.counters(0)["lost_at_device"] == 0
    assert sequences.implausible() == []
    assert sequences.totals() == before
    assert accept(sequences, [(0, 5, 3, 10)])[0] == [NEW], "the number stands for another device"


@pytest.mark.parametrize(("time", "later"), [(10, 11), (NO_TIME, NO_TIME)])
def test_a_retired_device_that_is_back_is_not_known_up_to_where_it_was(time: int, later: int) -> None:
    sequences = Sequences()
    accept(sequences, [(0, 5, 3, time)])
    sequences.retire({0: "a"})
    sequences.make_room(2)
    sequences.forgotten.recall(1, "a")
    assert accept(sequences, [(1, 5, 3, time), (1, 5, 4, later)])[0] == [NOT_KNOWN, NEW]


def test_snapshots_are_plain_msgpack_and_arrays() -> None:
    sequences = Sequences()
    accept(sequences, [(0, 5, 3, 10), (0, 6, 3, 10)])
    assert isinstance(msgpack.unpackb(packed(sequences.snapshot()), strict_map_key=False), dict)

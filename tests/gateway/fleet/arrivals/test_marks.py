"""What is kept of every device's boots."""

import msgpack
import pytest

from edge_gateway.fleet.arrivals.boot_mark import DUPLICATE, MOST_MISSING, NEW, NOT_KNOWN
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


def retired(*rows: tuple[int, int, int, int]) -> Sequences:
    """Device 0 sent these messages, was retired, and is back under number 1."""
    sequences = Sequences()
    accept(sequences, list(rows))
    sequences.retire({0: "a"})
    sequences.make_room(2)
    sequences.forgotten.recall(1, "a")
    return sequences


FIFTY = [(0, 5, seq, 1_000 + seq) for seq in range(50)]


def test_of_a_retired_device_nothing_is_missing_that_may_have_been_stored() -> None:
    sequences = retired(*FIFTY)
    assert accept(sequences, [(1, 5, 50, 1_050)])[0] == [NEW]
    assert sequences.stored(1, 5) == (50, 50, [])
    assert sequences.gaps(1) == []
    assert not sequences.holed[1], "its messages are judged in columns"
    assert accept(sequences, [(1, 5, 3, 1_003)])[0] == [NOT_KNOWN]


def test_of_a_retired_device_what_it_sent_since_is_missing_if_it_does_not_come() -> None:
    sequences = retired(*FIFTY)
    accept(sequences, [(1, 5, 100, 1_100)])
    assert sequences.stored(1, 5) == (50, 100, [(50, 99)])
    assert accept(sequences, [(1, 5, 99, 1_099), (1, 5, 99, 1_099)])[0] == [NEW, DUPLICATE]


@pytest.mark.parametrize("repeats", [[3], [3, 40], [49]])
def test_repeats_that_come_first_leave_what_a_retired_device_sent_since_missing(repeats: list[int]) -> None:
    sequences = retired(*FIFTY)
    said = accept(sequences, [*((1, 5, seq, 1_000 + seq) for seq in repeats), (1, 5, 100, 1_100)])[0]
    assert said == [*[NOT_KNOWN] * len(repeats), NEW]
    assert sequences.stored(1, 5) == (50, 100, [(50, 99)])


@pytest.mark.parametrize(("following", "missing"), [(0, []), (30, []), (50, []), (60, [(50, 59)])])
def test_a_birth_of_a_retired_device_names_only_what_it_sent_since(
    following: int, missing: list[tuple[int, int]]
) -> None:
    sequences = retired(*FIFTY)
    sequences.birth(1, 5, 0, following)
    assert sequences.gaps(1) == [(5, *hole) for hole in missing]
    accept(sequences, [(1, 5, 60, 1_060)])
    assert sequences.stored(1, 5) == (50, 60, [(50, 59)])


def test_what_a_retired_device_no_longer_holds_is_lost_only_if_it_was_sent_since() -> None:
    sequences = retired(*FIFTY)
    sequences.birth(1, 5, 60, 60)
    assert sequences.counters(1)["lost_at_device"] == 10


def test_a_retired_device_that_counts_anew_lacks_what_it_lacks() -> None:
    sequences = retired(*FIFTY)
    sequences.birth(1, 5, 0, 2)
    assert accept(sequences, [(1, 5, 2, 2_002)])[0] == [NEW]
    assert sequences.stored(1, 5) == (0, 2, [(0, 1)])
    assert accept(sequences, [(1, 5, 1, 2_001), (1, 5, 1, 2_001)])[0] == [NEW, DUPLICATE]


def test_a_retired_device_that_counts_anew_after_old_copies_is_not_told_that_they_were_its_new_messages() -> (
    None
):
    sequences = retired(*FIFTY)
    accept(sequences, [(1, 5, 10, 1_010), (1, 5, 12, 2_012)])
    assert sequences.stored(1, 5) == (11, 12, [(11, 11)])
    assert accept(sequences, [(1, 5, 4, 2_004)])[0] == [NOT_KNOWN]


def test_another_boot_of_a_retired_device_lacks_what_it_lacks() -> None:
    sequences = retired(*FIFTY)
    accept(sequences, [(1, 6, 3, 2_003)])
    assert sequences.stored(1, 6) == (0, 3, [(0, 2)])


def test_a_device_that_is_retired_again_before_it_said_anything_new_is_still_remembered() -> None:
    sequences = retired(*FIFTY)
    sequences.birth(1, 5, 0, 0)
    sequences.retire({1: "a"})
    sequences.forgotten.recall(1, "a")
    accept(sequences, [(1, 5, 51, 1_051)])
    assert sequences.stored(1, 5) == (50, 51, [(50, 50)])


def test_a_retired_device_may_go_on_far_above_zero() -> None:
    sequences = retired(*((0, 5, seq * MOST_MISSING - 1, seq) for seq in (1, 2)))
    accept(sequences, [(1, 5, 2 * MOST_MISSING, 30)])
    assert (sequences.implausible(), sequences.totals()["sequence_not_believed"]) == ([], 0)


def test_snapshots_are_plain_msgpack_and_arrays() -> None:
    sequences = Sequences()
    accept(sequences, [(0, 5, 3, 10), (0, 6, 3, 10)])
    assert isinstance(msgpack.unpackb(packed(sequences.snapshot()), strict_map_key=False), dict)

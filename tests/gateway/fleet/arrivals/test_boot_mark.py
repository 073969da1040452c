"""The mark of one boot: what arrived, what is missing below it, and what will never come."""

import pytest

from edge_gateway.fleet.arrivals import boot_mark
from edge_gateway.fleet.arrivals.boot_mark import (
    BELOW,
    BIRTH_FORGOTTEN,
    CONFLICT,
    DUPLICATE,
    FIRST,
    HIGHEST,
    MOST_MISSING,
    NEW,
    NOT_KNOWN,
    BootMark,
    missing,
)
from edge_gateway.fleet.timestamps import NO_TIME


def mark(*seqs: int) -> BootMark:
    found = BootMark(1)
    for seq in seqs:
        assert found.accept(seq, seq) == NEW
    return found


def test_what_is_skipped_is_a_hole_and_filling_it_splits_it() -> None:
    found = mark(9, 4)
    assert found.holes == [[0, 3], [5, 8]]
    assert found.accept(0, 0) == found.accept(8, 8) == NEW
    assert found.holes == [[1, 3], [5, 7]]
    assert mark(1, 0).holes == []


def test_a_repeat_is_a_duplicate_unless_it_is_newer_than_anything_before() -> None:
    found = mark(0, 1, 3)
    assert found.accept(1, 3) == DUPLICATE
    assert found.accept(3, NO_TIME) == DUPLICATE
    assert found.accept(1, 4) == CONFLICT
    assert found.newest == 3, "a conflict changes nothing"


def test_a_message_stands_above_or_below_the_highest_seq_or_is_the_first() -> None:
    found = mark()
    assert found.standing(7) == FIRST
    found.accept(7, NO_TIME)
    assert [found.standing(seq) for seq in (6, 7, 8)] == [BELOW, BELOW, HIGHEST]


def test_a_message_without_a_time_leaves_the_newest_time() -> None:
    found = mark(5)
    assert found.accept(6, NO_TIME) == NEW
    assert found.newest == 5


def test_a_seq_is_plausible_up_to_a_million_ahead() -> None:
    found = mark(5)
    assert found.is_plausible(5 + MOST_MISSING)
    assert not found.is_plausible(6 + MOST_MISSING)


def test_what_is_announced_and_has_not_come_is_missing() -> None:
    found = mark(2)
    found.expect_next(5)
    assert (found.top, found.holes) == (4, [[0, 1], [3, 4]])
    found.expect_next(7)
    assert found.holes == [[0, 1], [3, 6]], "a hole grows where it reaches the top"
    found.expect_next(3)
    assert (found.top, found.holes) == (6, [[0, 1], [3, 6]])


@pytest.mark.parametrize(
    ("floor", "lost", "holes", "top"),
    [
        (0, 0, [[0, 1], [4, 5]], 6),
        (1, 1, [[1, 1], [4, 5]], 6),
        (2, 2, [[4, 5]], 6),
        (5, 3, [[5, 5]], 6),
        (6, 4, [], 6),
        (7, 4, [], 6),
        (9, 6, [], 8),
    ],
)
def test_what_the_device_no_longer_holds_is_lost(
    floor: int, lost: int, holes: list[list[int]], top: int
) -> None:
    found = mark(2, 3, 6)
    assert found.close_below(floor) == lost
    assert (found.holes, found.top) == (holes, top)


def test_too_many_holes_close_from_the_lowest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot_mark, "HOLES_KEPT", 1)
    found = mark(3, 9)
    assert found.drop_surplus_holes() == 3
    assert found.holes == [[4, 8]]
    assert found.drop_surplus_holes() == 0


def test_a_hole_of_more_than_a_million_is_nothing_missing() -> None:
    assert missing(1, MOST_MISSING) == MOST_MISSING
    assert missing(0, MOST_MISSING) == 0
    assert missing(3, 2) == 0


class TestErased:
    @pytest.mark.parametrize(
        ("born", "following", "just_sent", "denied"),
        [(7, 3, True, True), (7, 4, True, False), (7, 0, False, False), (1, 0, True, False)],
        ids=["below the top", "after the top", "a copy", "the last birth again"],
    )
    def test_a_birth_denies_a_mark(self, born: int, following: int, *, just_sent: bool, denied: bool) -> None:
        found = mark(0, 1, 2, 3)
        found.take_birth(1, 4, just_sent=True)
        assert found.take_birth(born, following, just_sent=just_sent) == denied
        assert (found.denied, found.born) == (denied, born)

    def test_where_the_last_birth_is_forgotten_none_denies_the_mark(self) -> None:
        found = BootMark(1, top=9, born=BIRTH_FORGOTTEN)
        found.take_birth(7, 0, just_sent=True)
        assert not found.denied

    def test_until_the_next_message_repeats_are_not_known_and_one_that_goes_on_ends_the_doubt(self) -> None:
        found = mark(0, 1, 2, 3)
        found.take_birth(7, 0, just_sent=True)
        assert found.accept(1, 1) == NOT_KNOWN
        assert found.accept(1, 4) == CONFLICT
        assert found.accept(4, 4) == NEW
        assert (found.denied, found.accept(4, 4), found.accept(1, 1)) == (False, DUPLICATE, NOT_KNOWN)

    def test_what_begins_anew_takes_every_number_again_and_knows_what_may_be_older(self) -> None:
        found = mark(0, 1, 5)
        found.take_birth(7, 0, just_sent=True)
        assert found.begin_anew() == 3
        assert found.standing(0) == FIRST
        assert found.accept(0, 6) == found.accept(1, 7) == NEW
        assert found.accept(5, 5) == NOT_KNOWN, "sent before the erasure, on its way until now"

    def test_a_message_older_than_all_before_contradicts_the_mark_too_if_a_birth_did(self) -> None:
        """A device without a battery for its clock comes back at its firmware's date, long before."""
        found = BootMark(1)
        for seq in range(4):
            found.accept(seq, 1_000 + seq)
        assert found.accept(0, 10) == DUPLICATE, "no birth says that it counts anew"
        found.take_birth(7, 0, just_sent=True)
        assert found.accept(0, 1_002) == NOT_KNOWN, "it may be a repeat"
        assert found.accept(0, 10) == CONFLICT
        found.begin_anew()
        assert found.accept(0, 10) == found.accept(1, 11) == NEW
        assert found.accept(3, 1_003) == NOT_KNOWN, "sent before the erasure"
        assert found.accept(4, 2_000) == NEW, "its clock was set"

    def test_of_what_was_forgotten_nothing_is_older_for_certain(self) -> None:
        found = BootMark(1, unsure_to=500)
        found.accept(0, 1_000)
        found.begin_anew()
        assert found.accept(0, 10) == NOT_KNOWN

    def test_a_message_from_before_leaves_the_number_it_took_to_one_that_comes_after(self) -> None:
        found = mark(0, 1, 2, 3)
        found.take_birth(7, 0, just_sent=True)
        found.begin_anew()
        assert found.accept(0, 10) == found.accept(3, 13) == NEW
        assert found.accept(2, 2) == NOT_KNOWN, "sent before the erasure"
        assert found.accept(2, 12) == NOT_KNOWN, "no repeat of it"
        assert found.accept(1, 11) == NEW, "nothing has come under this number"
        assert found.accept(3, 13) == DUPLICATE

    def test_so_does_one_from_before_the_mark(self) -> None:
        found = BootMark(1, unsure_to=5)
        assert found.accept(2, 2) == NOT_KNOWN
        assert found.accept(3, 13) == NEW
        assert found.accept(2, 12) == NOT_KNOWN
        assert found.accept(3, 13) == DUPLICATE


class TestContested:
    """A message below others is newer than they: the clock was set back, or the device counts anew."""

    def test_a_message_that_comes_under_a_number_so_taken_is_not_known(self) -> None:
        found = BootMark(1)
        assert found.accept(3, 3) == found.accept(0, 10) == NEW
        assert found.accept(0, 0) == NOT_KNOWN, "of the same boot, and kept back until now"
        assert found.accept(0, 10) == DUPLICATE, "the same time: it is the same message"
        assert found.accept(2, 2) == NEW, "nothing has come under this number"
        assert found.accept(3, 3) == DUPLICATE, "no other message has come under a number that high"
        assert (found.judged_from, found.holes) == (0, [[1, 1]]), "receipts go on asking for what is missing"

    def test_of_more_than_are_kept_no_repeat_is_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(boot_mark, "CONTESTED_KEPT", 2)
        found = BootMark(1)
        assert found.accept(9, 9) == NEW
        assert [found.accept(seq, 100 + seq) for seq in range(4)] == [NEW] * 4
        assert (found.contested, found.contested_to, found.judged_from) == ({2: 102, 3: 103}, 3, 2)
        assert [found.accept(seq, 100 + seq) for seq in range(4)] == [NOT_KNOWN] * 2 + [DUPLICATE] * 2

    def test_what_was_kept_back_and_is_older_is_known(self) -> None:
        found = mark(3, 0)
        assert found.accept(0, 0) == DUPLICATE

    def test_so_is_what_a_birth_announced_and_comes_in_order(self) -> None:
        found = mark(0)
        found.expect_next(3)
        assert [found.accept(seq, seq) for seq in (1, 2, 1, 2)] == [NEW, NEW, DUPLICATE, DUPLICATE]

    def test_so_is_what_comes_below_a_number_from_nowhere(self) -> None:
        found = mark(0)
        assert [found.accept(seq, time) for seq, time in ((MOST_MISSING + 2, 1), (1, 2), (1, 2))] == [
            NEW,
            NEW,
            DUPLICATE,
        ]

    def test_a_mark_that_begins_anew_knows_nothing_of_it(self) -> None:
        found = BootMark(1)
        assert found.accept(3, 3) == found.accept(0, 10) == NEW
        found.begin_anew()
        assert found.accept(0, 11) == NEW
        assert found.accept(0, 11) == DUPLICATE

import random
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_gateway.fleet.arrivals import boot_mark as mark_module
from edge_gateway.fleet.arrivals import marks as marks_module
from edge_gateway.fleet.arrivals.boot_mark import BELOW, CONFLICT, DUPLICATE, FIRST, HIGHEST, NEW, NOT_KNOWN
from edge_gateway.fleet.arrivals.sequences import Sequences
from edge_gateway.fleet.timestamps import NO_TIME
from tests.gateway.fleet.arrivals.plain_sequences import BEFORE_ALL, PlainSequences
from tests.gateway.fleet.states import packed, unpacked

Message = tuple[int, int, int, int]
LARGEST = 2**63 - 1
IN_PLAIN_WORDS = {NEW: "new", DUPLICATE: "duplicate", CONFLICT: "conflict", NOT_KNOWN: "not known"}
PLAIN_PLACES = {BELOW: "below", HIGHEST: "highest", FIRST: "first"}

messages = st.tuples(
    st.integers(0, 2),
    st.integers(0, 4),
    st.integers(0, 14),
    st.one_of(st.just(NO_TIME), st.integers(0, 9)),
)
floors = st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 16))
births = st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 12), st.integers(0, 12))
batch = st.tuples(st.lists(messages, max_size=12), st.lists(floors, max_size=2), st.lists(births, max_size=1))


def accept(
    sequences: Sequences, rows: list[Message], said: dict[int, int] | None = None
) -> tuple[list[int], list[int]]:
    """The verdict of each message, and where it stands in its boot; `said`: digests of those without a time."""
    columns = [np.array(column, np.int64) for column in zip(*rows, strict=True)] or [
        np.empty(0, np.int64)
    ] * 4
    device, boot, seq, time = columns
    verdicts = sequences.accept(device, boot, seq, time, said or {})
    verdict = verdicts.verdict.tolist()
    standing = dict(zip(verdicts.order.tolist(), verdicts.standing.tolist(), strict=True))
    return verdict, [standing[place] for place in range(len(rows))]


def apply_floors(sequences: Sequences, rows: list[tuple[int, int, int]]) -> None:
    known = [row for row in rows if sequences.boots(row[0])]
    if known:
        sequences.floors(*(np.array(column, np.int64) for column in zip(*known, strict=True)))


def same(sequences: Sequences, plain: PlainSequences) -> None:
    assert sequences.devices_with_gaps() == [
        device for device in sorted(plain.devices) if sequences.gaps(device)
    ]
    for device, known in plain.devices.items():
        assert sequences.boots(device)[-1:] == [known.current]
        assert set(sequences.boots(device)) == set(known.boots)
        for boot, expected in known.boots.items():
            assert sequences.stored(device, boot) == expected.stored()
        gaps = [(boot, *hole) for boot, mark in known.boots.items() for hole in mark.ranges()]
        assert sorted(sequences.gaps(device)) == sorted(gaps)
        assert sequences.counters(device)["lost_at_device"] == known.lost
        assert sequences.counters(device)["given_up"] == 0


@settings(max_examples=250, deadline=None)
@given(st.lists(batch, max_size=8))
@example([([(0, 0, 0, 0)], [], [(0, 0, 0, 0)])])
def test_any_traffic_is_judged_as_the_plain_model_does(batches: list[Any]) -> None:
    sequences, plain = Sequences(), PlainSequences()
    for rows, said, born in batches:
        for device, boot, floor, following in born:
            sequences.birth(device, boot, floor, following)
            plain.birth(device, boot, floor, following)
        expected = [
            plain.message(device, boot, seq, BEFORE_ALL if time == NO_TIME else time)
            for device, boot, seq, time in rows
        ]
        verdicts, standings = accept(sequences, rows)
        assert [IN_PLAIN_WORDS[verdict] for verdict in verdicts] == [verdict for verdict, _ in expected]
        assert [PLAIN_PLACES[standing] for standing in standings] == [place for _, place in expected]
        for floor_row in said:
            if floor_row[0] in plain.devices:
                plain.floor(*floor_row)
        apply_floors(sequences, said)
        same(sequences, plain)


sent = st.tuples(st.integers(0, 1), st.integers(0, 6), st.integers(0, 14))
life = st.lists(st.one_of(st.lists(sent, max_size=12), st.integers(0, 1)), max_size=12)


@settings(max_examples=400, deadline=None)
@given(life, st.booleans(), st.integers(0, 5))
def test_whatever_is_forgotten_no_repeat_is_new_and_nothing_unseen_a_duplicate(
    events: list[Any], timed: bool, skew: int
) -> None:
    """The oracle knows what was sent, nothing of what is kept. All copies of a message have one time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mark_module, "HOLES_KEPT", 2)
        patch.setattr(marks_module, "BOOTS_KEPT", 2)
        sequences, seen = Sequences(), set()
        for event in events:
            if isinstance(event, int):
                sequences.retire({event: f"device-{event}"})
                sequences.forgotten.recall(event, f"device-{event}")
                continue
            rows = [
                (device, boot, seq, boot * (15 - skew) + seq if timed else NO_TIME)
                for device, boot, seq in event
            ]
            for row, verdict in zip(rows, accept(sequences, rows)[0], strict=True):
                assert verdict != NEW or row[:3] not in seen, row
                assert verdict != DUPLICATE or row[:3] in seen, row
                if verdict != CONFLICT:
                    seen.add(row[:3])


@pytest.mark.parametrize("timed", [True, False])
def test_what_was_never_forgotten_is_always_judged(timed: bool) -> None:
    """Caps cost only what lies beyond them: the boots and holes that are kept are judged as ever."""
    sequences = Sequences()
    for boot in range(20):
        rows = [(0, boot, seq, 100 * boot + seq if timed else NO_TIME) for seq in range(5)]
        assert accept(sequences, rows)[0] == [NEW] * 5
        assert accept(sequences, rows)[0] == [DUPLICATE] * 5
    old = [(0, boot, seq, 100 * boot + seq if timed else NO_TIME) for boot in range(12) for seq in range(5)]
    assert accept(sequences, old)[0] == [NOT_KNOWN] * 60


def test_beyond_its_holes_a_boot_says_from_where_it_can_judge() -> None:
    sequences = Sequences()
    accept(sequences, [(0, 5, seq, seq) for seq in range(0, 200, 2)])
    odd = [(0, 5, seq, seq) for seq in range(1, 200, 2)]
    verdicts = accept(sequences, odd)[0]
    assert (verdicts.count(NEW), verdicts.count(NOT_KNOWN)) == (65, 35)
    stored = sequences.stored(0, 5)
    assert stored is not None
    assert (stored.since, stored.upto, stored.missing) == (70, 199, [])
    assert sequences.counters(0)["given_up"] == 35


@settings(max_examples=120, deadline=None)
@given(st.lists(messages, min_size=1, max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_how_batches_are_cut_changes_nothing(rows: list[Message], cuts: list[int]) -> None:
    whole, parts = Sequences(), Sequences()
    verdicts, standings = accept(whole, rows)
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    in_parts = [accept(parts, rows[start:end]) for start, end in pairwise(edges)]
    assert verdicts == [verdict for part, _ in in_parts for verdict in part]
    assert standings == [standing for _, part in in_parts for standing in part]
    first, second = whole.snapshot(), parts.snapshot()
    del first["one_by_one"], second["one_by_one"]
    assert packed(first) == packed(second)


@settings(max_examples=100, deadline=None)
@given(st.lists(batch, min_size=2, max_size=8))
def test_half_then_restore_then_the_rest_is_the_whole(batches: list[Any]) -> None:
    whole, first, second = Sequences(), Sequences(), Sequences()
    half = len(batches) // 2
    for target, part in ((whole, batches), (first, batches[:half])):
        play(target, part)
    second.restore(unpacked(packed(first.snapshot())))
    play(second, batches[half:])
    assert packed(second.snapshot()) == packed(whole.snapshot())


def play(sequences: Sequences, batches: list[Any]) -> None:
    for rows, said, born in batches:
        for one in born:
            sequences.birth(*one)
        accept(sequences, rows)
        apply_floors(sequences, said)


def test_a_fleet_in_order_is_judged_in_columns() -> None:
    sequences, draw = Sequences(), random.Random(3)
    accept(sequences, [(device, 7, 0, 100) for device in range(500)])
    started = sequences.one_by_one
    following = [1] * 500
    for turn in range(20):
        rows = []
        for device in draw.choices(range(500), k=300):
            rows.append((device, 7, following[device], 101 + turn))
            following[device] += 1
        repeated = rows[:50]
        assert accept(sequences, rows) == ([NEW] * 300, [HIGHEST] * 300)
        assert accept(sequences, repeated) == ([DUPLICATE] * 50, [BELOW] * 50)
    assert sequences.one_by_one == started


def test_the_first_sight_of_a_boot_opens_what_is_below() -> None:
    sequences = Sequences()
    assert accept(sequences, [(0, 5, 3, 10)]) == ([NEW], [FIRST])
    assert sequences.gaps(0) == [(5, 0, 2)]
    apply_floors(sequences, [(0, 5, 2)])
    assert sequences.gaps(0) == [(5, 2, 2)]
    assert sequences.counters(0)["lost_at_device"] == 2


def test_a_birth_shows_a_lost_tail_and_what_will_never_come() -> None:
    sequences = Sequences()
    accept(sequences, [(0, 5, seq, seq) for seq in range(4)])
    sequences.birth(0, 5, 6, 9)
    assert sequences.gaps(0) == [(5, 6, 8)]
    assert sequences.counters(0)["lost_at_device"] == 2
    found = accept(sequences, [(0, 5, 9, 9), (0, 5, 7, 7), (0, 5, 7, 7)])
    assert found == ([NEW, NEW, DUPLICATE], [HIGHEST, BELOW, BELOW])
    assert sequences.gaps(0) == [(5, 6, 6), (5, 8, 8)]


def test_a_repeat_newer_than_anything_of_its_boot_is_a_conflict() -> None:
    sequences = Sequences()
    accept(sequences, [(0, 5, seq, 100 + seq) for seq in range(4)])
    assert accept(sequences, [(0, 5, 0, 103), (0, 5, 1, NO_TIME)])[0] == [DUPLICATE, DUPLICATE]
    assert accept(sequences, [(0, 5, 0, 104), (0, 5, 0, 103)])[0] == [CONFLICT, NOT_KNOWN]


def test_times_that_go_back_are_judged_in_columns() -> None:
    sequences = Sequences()
    accept(sequences, [(0, 5, 0, 1_000), (1, 5, 0, 1_000)])
    before = sequences.one_by_one
    assert accept(sequences, [(0, 5, 1, 400), (1, 5, 1, 1_001), (0, 5, 2, 900)])[0] == [NEW] * 3
    assert sequences.one_by_one == before
    assert accept(sequences, [(0, 5, 1, 1_000), (0, 5, 1, 1_001)])[0] == [DUPLICATE, CONFLICT]


def test_a_buffer_sent_after_live_messages_stands_below_them() -> None:
    sequences = Sequences()
    accept(sequences, [(0, 5, 0, 1_000)])
    found = accept(sequences, [(0, 5, 9, 9_000), (0, 5, 1, 2_000), (0, 5, 2, 3_000), (0, 5, 10, 0)])[1]
    assert found == [HIGHEST, BELOW, BELOW, HIGHEST]


def test_counters_and_marks_survive_the_largest_numbers() -> None:
    sequences = Sequences()
    for boot in range(12):
        time = LARGEST - 12 + boot
        rows = [(0, LARGEST - boot, LARGEST, time), (0, LARGEST - boot, 0, time - 1)]
        assert accept(sequences, rows)[0] == [NEW, NEW]
        apply_floors(sequences, [(0, LARGEST - boot, LARGEST)])
    assert sequences.counters(0)["lost_at_device"] == 0, "nobody sends so many messages: none is missing"
    assert sequences.totals()["boots_forgotten"] == 4
    assert accept(sequences, [(0, LARGEST, LARGEST, 0)])[0] == [NOT_KNOWN], "forgotten with its boot"


FAR = 1_000_000
"""How far above what came a device is believed."""


def test_a_birth_is_believed_up_to_a_million_messages_ahead() -> None:
    sequences = Sequences()
    accept(sequences, [(0, 5, 0, 0)])
    sequences.birth(0, 5, 0, FAR + 1)
    assert sequences.gaps(0) == [(5, 1, FAR)]
    assert sequences.implausible() == []
    accept(sequences, [(1, 5, 0, 0)])
    sequences.birth(1, 5, 0, FAR + 2)
    assert sequences.gaps(1) == []
    assert sequences.implausible() == [1]


def test_a_first_birth_from_nowhere_is_odd() -> None:
    sequences = Sequences()
    sequences.birth(0, 5, 0, LARGEST)
    assert (sequences.implausible(), sequences.stored(0, 5)) == ([0], (0, -1, []))


@pytest.mark.parametrize("following", [2**40, LARGEST])
def test_a_birth_from_nowhere_says_nothing_until_messages_bear_it_out(following: int) -> None:
    sequences = Sequences()
    accept(sequences, [(0, 5, 0, 0)])
    sequences.birth(0, 5, following, following)
    assert (sequences.missing(0), sequences.counters(0)["lost_at_device"]) == (0, 0)
    assert sequences.totals()["sequence_not_believed"] == 1
    assert accept(sequences, [(0, 5, 1, 1), (0, 5, 2, 2)])[0] == [NEW, NEW], "its readings go on counting"
    assert sequences.implausible() == [0]
    sequences.birth(0, 5, 0, 3)
    assert sequences.implausible() == []


def test_a_message_from_nowhere_opens_nothing_that_is_missing_and_what_lies_between_is_new() -> None:
    sequences = Sequences()
    assert accept(sequences, [(0, 5, 0, 0), (0, 5, LARGEST, 1)])[0] == [NEW, NEW]
    apply_floors(sequences, [(0, 5, LARGEST)])
    assert (sequences.missing(0), sequences.implausible()) == (0, [0])
    assert accept(sequences, [(0, 5, 1, 2), (0, 5, 2, 3), (0, 5, 1, 2)])[0] == [NEW, NEW, DUPLICATE]
    accept(sequences, [(0, 6, 0, 4)])
    assert sequences.implausible() == [], "it began anew"


def test_a_device_first_heard_late_in_its_boot_is_nothing_odd() -> None:
    sequences = Sequences()
    sequences.birth(0, 5, 31 * FAR, 31 * FAR + 4)
    accept(sequences, [(0, 5, 31 * FAR + 4, 0), (0, 5, 31 * FAR + 5, 1)])
    assert (sequences.missing(0), sequences.implausible()) == (0, [])
    apply_floors(sequences, [(0, 5, 31 * FAR)])
    accept(sequences, [(0, 5, 31 * FAR + 6, 2)])
    apply_floors(sequences, [(0, 5, 31 * FAR)])
    assert sequences.gaps(0) == [(5, 31 * FAR, 31 * FAR + 3)], "what it still holds is asked for"


class TestErased:
    """A device whose flash was erased counts anew under a boot number that it had before."""

    def test_with_a_birth_its_messages_are_new(self) -> None:
        sequences = Sequences()
        accept(sequences, [(0, 1, seq, seq) for seq in range(10)])
        assert sequences.birth(0, 1, 0, 0, born=7, just_sent=True)
        assert not sequences.birth(0, 1, 0, 0, born=7, just_sent=True), "the same once more"
        assert sequences.is_doubtful(0, 1), "until its next message a receipt would be wrong"
        opened = int(sequences.opened[0])
        again = [(0, 1, seq, 101 + seq) for seq in range(12)]
        assert accept(sequences, again) == ([NEW] * 12, [FIRST, *[HIGHEST] * 11])
        assert accept(sequences, again)[0] == [DUPLICATE] * 12
        assert accept(sequences, [(0, 1, 9, 9)])[0] == [NOT_KNOWN], "sent before the erasure"
        assert not sequences.is_doubtful(0, 1)
        assert int(sequences.opened[0]) > opened, "a receipt is due"
        assert (sequences.totals()["boots_begun_anew"], bool(sequences.conflicted[0])) == (1, False)

    def test_an_older_boot_begins_anew_likewise(self) -> None:
        sequences = Sequences()
        accept(sequences, [(0, 1, 0, 0), (0, 1, 3, 3), (0, 2, 0, 10)])
        sequences.birth(0, 1, 0, 0, born=7, just_sent=True)
        assert accept(sequences, [(0, 1, 0, 11), (0, 1, 1, 12)])[0] == [NEW, NEW]
        assert sequences.counters(0)["lost_at_device"] == 2
        assert sequences.boots(0) == [1, 2]

    def test_a_birth_that_leaves_out_next_changes_nothing_for_a_device_that_goes_on(self) -> None:
        sequences = Sequences()
        accept(sequences, [(0, 1, seq, seq) for seq in range(10)])
        sequences.birth(0, 1, 0, 0, born=7, just_sent=True)
        assert accept(sequences, [(0, 1, 9, 9), (0, 1, 10, 10), (0, 1, 9, 9)])[0] == [
            NOT_KNOWN,
            NEW,
            NOT_KNOWN,
        ]
        assert sequences.stored(0, 1) == (10, 10, []), "of what came before the doubt, nothing is said"

    def test_without_a_birth_every_message_is_a_conflict_until_a_new_boot(self) -> None:
        sequences = Sequences()
        accept(sequences, [(0, 1, seq, seq) for seq in range(10)])
        assert accept(sequences, [(0, 1, seq, 100 + seq) for seq in range(3)])[0] == [CONFLICT] * 3
        assert sequences.conflicted[0]
        assert sequences.is_doubtful(0, 1)
        assert accept(sequences, [(0, 1, 10, 110), (0, 1, 5, 105)])[0] == [NEW, NOT_KNOWN], (
            "of which life is seq 5?"
        )
        accept(sequences, [(0, 2, 0, 200)])
        assert not sequences.conflicted[0]

    def test_what_was_in_doubt_stays_so_once_a_new_boot_began(self) -> None:
        sequences = Sequences()
        accept(sequences, [(0, 1, seq, seq) for seq in range(3)])
        assert accept(sequences, [(0, 1, 0, 10), (0, 1, 5, 15), (0, 2, 0, 20)])[0] == [CONFLICT, NEW, NEW]
        assert accept(sequences, [(0, 1, 1, 11), (0, 1, 3, 13)])[0] == [NOT_KNOWN, NEW]
        assert sequences.stored(0, 1) == (6, 5, [])
        assert sequences.gaps(0) == [(1, 4, 4)]

    def test_a_receipt_asks_for_nothing_below_what_a_message_from_before_took(self) -> None:
        sequences = Sequences()
        accept(sequences, [(0, 1, seq, seq) for seq in range(5)])
        sequences.birth(0, 1, 0, 0, born=7, just_sent=True)
        accept(sequences, [(0, 1, 0, 10), (0, 1, 6, 16), (0, 1, 3, 3)])
        assert sequences.stored(0, 1) == (4, 6, [(4, 5)])
        assert sequences.gaps(0) == [(1, 1, 2), (1, 4, 5)]

    def test_without_times_the_content_tells(self) -> None:
        sequences = Sequences()
        said_before(sequences, 100)
        assert say(sequences, 0, 1) == DUPLICATE
        assert say(sequences, 20, 999) == DUPLICATE, "neither of the first nor of the newest"
        assert say(sequences, 0, 41) == CONFLICT
        assert say(sequences, 99, 999) == CONFLICT
        assert say(sequences, 20, 999) == NOT_KNOWN, "it counts anew"

    def test_without_times_a_birth_and_another_content_tell(self) -> None:
        sequences = Sequences()
        said_before(sequences, 100)
        sequences.birth(0, 1, 0, 0, born=7, just_sent=True)
        assert say(sequences, 0, 1) == NOT_KNOWN, "the same content: it may be a repeat"
        assert [say(sequences, seq, 900 + seq) for seq in range(1, 5)] == [NEW] * 4
        assert say(sequences, 99, 100) == NOT_KNOWN, "sent before the erasure, on its way until now"


def said_before(sequences: Sequences, count: int) -> None:
    assert [say(sequences, seq, seq + 1) for seq in range(count)] == [NEW] * count


def say(sequences: Sequences, seq: int, digest: int) -> int:
    """Accept a message without a time of boot 1 of device 0; return the verdict."""
    device, boot, number, time = (np.array([one], np.int64) for one in (0, 1, seq, NO_TIME))
    return int(sequences.accept(device, boot, number, time, {0: digest}).verdict[0])

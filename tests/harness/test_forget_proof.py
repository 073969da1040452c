"""The oracle of forgetting: it agrees with the product over a life, and sees what is wrong in what it is given."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.proofs.forget.lives import Birth, Message, Reading, life
from tests.proofs.forget.oracle import NOTHING, Counters, Place, Point, Told, Truth
from tests.proofs.forget.trial import EVERY, Trial
from tests.proofs.ground.plain_messages import START
from tests.proofs.proof import Findings

BASE, _, LONGEST = EVERY
BEGIN = START - START % LONGEST
BACK = LONGEST


def message(seq: int, after: int, bit: int, boot: int = 1) -> Message:
    return Message("d", boot, seq, BEGIN + after, Reading("heat0", bit))


NEW = [message(0, BACK, 0), message(1, BACK + 500, 1), message(2, BACK + BASE, 0)]
"""Two base windows of one coarse window."""
LATE = message(0, 10, 0, boot=2)
UNKNOWN = message(0, 20, 1, boot=3)
APART = message(1, BASE + 10, 0, boot=2)
"""Of a clock that was set back: each of them is told in its own way."""
CONFLICT = message(2, 30, 2, boot=2)


def place(one: Message, every: int = BASE) -> Place:
    at = one.ts or 0
    return Place(one.device, one.reading.metric, every, at - at % every)


def told(one: Message, why: str) -> Told:
    return Told(one.device, one.reading.metric, one.ts or 0, one.reading.value, why)


@dataclass
class Answers:
    """What a gateway says: points in the order they are written, what is told apart, quarantine and counters."""

    points: list[tuple[Place, Point]]
    parts: list[tuple[Place, Point]]
    told: list[Told]
    quarantine: list[Message]
    counters: Counters
    receipts: list[dict[str, object]] = field(default_factory=list)

    def judge(self, *, redelivered: bool = False) -> list[str]:
        truth = Truth((BASE, LONGEST), redelivered=redelivered)
        truth.birth(Birth("d", 1, 0, BEGIN))
        for one in (*NEW, NEW[0], LATE, UNKNOWN, APART, CONFLICT):
            truth.arrive(one, BEGIN)
        for at, point in self.points:
            truth.write(at, point)
        for at, point in self.parts:
            truth.write_part(at, point)
        for reading in self.told:
            truth.tell(reading)
        for receipt in self.receipts:
            truth.receipt("d", receipt)
        return truth.judge([one.identity for one in self.quarantine], self.counters)


def points_of(*messages: Message) -> list[tuple[Place, Point]]:
    """Return the points of all tiers that hold these messages."""
    found: dict[Place, Point] = {}
    for one in messages:
        for at in (place(one), place(one, LONGEST)):
            found[at] = found.get(at, NOTHING).plus(Point(1, one.reading.value))
    return list(found.items())


@pytest.fixture
def answers() -> Answers:
    return Answers(
        points=points_of(*NEW),
        parts=[(place(APART), Point(1, APART.reading.value))],
        told=[told(LATE, "late"), told(UNKNOWN, "unknown")],
        quarantine=[CONFLICT],
        counters=Counters(
            received=8,
            new=5,
            duplicate=1,
            not_known=1,
            quarantined=1,
            too_late=1,
            windows_refused=1,
            tombstones_dropped=0,
        ),
        receipts=[{"boot": 1, "upto": 4, "missing": [(3, 4)]}],
    )


def test_what_is_right_is_found_right(answers: Answers) -> None:
    assert answers.judge() == []


def twice(answers: Answers) -> None:
    answers.points += [
        (at, point.plus(Point(1, NEW[0].reading.value)))
        for at, point in answers.points
        if at.start == place(NEW[0]).start
    ]


def in_another_window(answers: Answers) -> None:
    answers.points += points_of(LATE)


def overwritten(answers: Answers) -> None:
    answers.points.append((place(NEW[0]), Point(1, NEW[1].reading.value)))


def overwritten_by_as_many(answers: Answers) -> None:
    answers.points.insert(0, (place(NEW[0]), Point(2, NEW[0].reading.value + 4 * NEW[0].reading.value)))


def lost(answers: Answers) -> None:
    answers.points = points_of(*NEW[:1], *NEW[2:])


def newest_only_told(answers: Answers) -> None:
    answers.points = points_of(*NEW[1:])
    answers.told.append(told(NEW[0], "unknown"))
    answers.counters = answers.counters._replace(new=4, not_known=2)


def not_told(answers: Answers) -> None:
    answers.told.pop()


def told_wrongly(answers: Answers) -> None:
    answers.told.append(told(message(9, BACK + 9, 9), "late"))


def not_quarantined(answers: Answers) -> None:
    answers.quarantine = []


def coarse_differs(answers: Answers) -> None:
    answers.points = [(at, point) for at, point in answers.points if at.every == BASE]


def apart_without_cause(answers: Answers) -> None:
    answers.points = points_of(*NEW[:2])
    answers.parts.append((place(NEW[2]), Point(1, NEW[2].reading.value)))
    answers.counters = answers.counters._replace(windows_refused=2)


def receipt_of_nothing(answers: Answers) -> None:
    answers.receipts.append({"boot": 1, "upto": 3, "missing": []})


@pytest.mark.parametrize(
    ("sabotage", "sentence"),
    [
        (twice, "counts a reading twice"),
        (in_another_window, "in its window and told as ['late']"),
        (overwritten, "was written over by"),
        (overwritten_by_as_many, "are gone"),
        (lost, "in no window, and nothing says so"),
        (newest_only_told, "not in its window, though it was the newest"),
        (not_told, "in no window, and nothing says so"),
        (told_wrongly, "told of what was not sent"),
        (not_quarantined, "in no window, and nothing says so"),
        (coarse_differs, "its base points say"),
        (apart_without_cause, "though its clock was never set back"),
        (receipt_of_nothing, "says stored of [3]"),
    ],
)
def test_what_is_wrong_is_noticed(
    answers: Answers, sabotage: Callable[[Answers], None], sentence: str
) -> None:
    sabotage(answers)
    assert any(sentence in wrong for wrong in answers.judge())


@pytest.mark.parametrize(
    "name", ["received", "new", "duplicate", "not_known", "quarantined", "too_late", "windows_refused"]
)
def test_a_counter_that_says_0_is_noticed(answers: Answers, name: str) -> None:
    answers.counters = answers.counters._replace(**{name: 0})
    (wrong,) = answers.judge()
    assert f"{name}=0" in wrong


def test_what_a_broker_delivers_again_is_no_difference_and_must_be_counted_as_known(answers: Answers) -> None:
    said = answers.counters
    answers.counters = said._replace(received=said.received + 2, duplicate=said.duplicate + 2)
    assert answers.judge()
    assert answers.judge(redelivered=True) == []
    answers.counters = said._replace(received=said.received + 2, duplicate=said.duplicate + 3)
    assert answers.judge(redelivered=True)


def test_a_repeat_that_counts_under_a_new_number_is_noticed_unless_that_was_said(answers: Answers) -> None:
    untimed = replace(NEW[0], ts=None, reading=Reading("untimed0", 0))
    for said in (0, 1):
        truth = Truth((BASE, LONGEST))
        for at in (BEGIN, BEGIN + BASE):
            truth.arrive(untimed, at)
            for every in (BASE, LONGEST):
                start = at - at % every
                point = Point(1, untimed.reading.value)
                before = truth.written.get(Place("d", "untimed0", every, start), NOTHING)
                truth.write(Place("d", "untimed0", every, start), before.plus(point))
        counters = Counters(2, 2, 0, 0, 0, 0, 0, tombstones_dropped=said)
        assert any("in 2 windows" in wrong for wrong in truth.judge([], counters)) == (not said)


@pytest.mark.parametrize("seed", range(2))
def test_a_life_in_any_batches_with_any_crashes_ends_as_the_oracle_says(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    trial = Trial(tmp_path / "spool", chance, Findings())
    assert trial.run(life(chance, "dev-0", window=BASE, steps=12)) == []


def test_what_an_erased_device_kept_back_under_numbers_that_it_used_again_is_told(tmp_path: Path) -> None:
    """It says nothing of the erasure; the newer ones, which came first, count."""
    kept_back = [message(seq, seq * 900, seq, boot=7) for seq in range(3)]
    live = [message(3, 4_000, 0, boot=7), message(4, 6_000, 0, boot=7)]
    anew = [message(seq, 10_000 + seq * BASE, 0, boot=7) for seq in range(3)]
    trial = Trial(tmp_path / "spool", random.Random(0), Findings())
    assert trial.run([*live, *anew, *kept_back]) == []

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.fleet.arrivals import receipts
from edge_gateway.fleet.arrivals.marks import BOOTS_KEPT
from edge_gateway.fleet.arrivals.receipts import AFTER_MESSAGES, LONGEST_WAIT, SHORTEST_WAIT, Receipts
from edge_gateway.fleet.arrivals.sequences import Sequences
from tests.gateway.fleet.states import packed, unpacked


class Gateway:
    """Sequences and receipts as admission drives them."""

    def __init__(self) -> None:
        self.sequences = Sequences()
        self.receipts = Receipts(self.sequences)

    def receive(self, *rows: tuple[int, int, int]) -> None:
        device, boot, seq = (np.array(column, np.int64) for column in zip(*rows, strict=True))
        verdicts = self.sequences.accept(device, boot, seq, seq * 1_000)
        self.receipts.note(device, boot, verdicts)

    def birth(self, device: int, boot: int, floor: int, following: int) -> None:
        self.sequences.birth(device, boot, floor, following)
        self.receipts.birth(device)

    def due(self, now: int) -> list[tuple[int, int, int, list[tuple[int, int]]]]:
        """Return (device, boot, upto, missing) of each receipt."""
        return [(*one[:2], one.stored.upto, one.stored.missing) for one in self.receipts.due(now)]


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


def test_nothing_is_told_of_a_quiet_device_in_order(gateway: Gateway) -> None:
    gateway.receive((0, 5, 0), (0, 5, 1))
    assert gateway.due(LONGEST_WAIT - SHORTEST_WAIT - 1) == []
    assert gateway.due(LONGEST_WAIT - SHORTEST_WAIT) == [(0, 5, 1, [])]
    assert gateway.due(3 * LONGEST_WAIT) == []


def test_a_device_is_told_after_so_many_new_messages(gateway: Gateway) -> None:
    for seq in range(AFTER_MESSAGES - 1):
        gateway.receive((0, 5, seq), (0, 5, seq))
    assert gateway.due(SHORTEST_WAIT) == []
    gateway.receive((0, 5, AFTER_MESSAGES - 1))
    assert gateway.due(SHORTEST_WAIT) == [(0, 5, AFTER_MESSAGES - 1, [])]


def test_what_is_missing_is_told_at_once_and_again_ever_more_seldom(gateway: Gateway) -> None:
    gateway.receive((0, 5, 4))
    assert gateway.due(0) == [(0, 5, 4, [(0, 3)])]
    told = [now for now in range(1_000, 200_000, 1_000) if gateway.due(now)]
    assert told == [5_000, 15_000, 35_000, 75_000, 155_000]
    gateway.receive((0, 5, 6))
    assert gateway.due(200_000) == [(0, 5, 6, [(0, 3), (5, 5)])]
    gateway.receive(*((0, 5, seq) for seq in (0, 1, 2, 3, 5)))
    assert gateway.due(250_000) == [(0, 5, 6, [])], "what it was told to send has come: it may let go"
    assert gateway.due(300_000) == []


def test_a_device_hears_that_its_holes_have_closed_but_never_twice_in_five_seconds(gateway: Gateway) -> None:
    gateway.receive((0, 5, 3))
    assert gateway.due(0) == [(0, 5, 3, [(0, 2)])]
    gateway.receive((0, 5, 0), (0, 5, 1))
    assert gateway.due(1_000) == []
    gateway.receive((0, 5, 2))
    assert gateway.due(SHORTEST_WAIT - 1) == []
    assert gateway.due(SHORTEST_WAIT) == [(0, 5, 3, [])]
    assert gateway.due(2 * SHORTEST_WAIT) == []
    gateway.receive((0, 5, 4))
    assert gateway.due(3 * SHORTEST_WAIT) == [], "nothing was missing: it waits for more, or for ten minutes"


def test_what_is_owed_to_boots_no_longer_kept_is_dropped(gateway: Gateway) -> None:
    """A device that starts anew with every message would make each of everybody's cost more."""
    for boot in range(1_000):
        gateway.receive((0, boot, 0))
        gateway.birth(1, boot, 0, 3)
    owed = gateway.receipts.snapshot()["owed"]
    assert [device for device, *_ in owed] == [0, 1]
    assert all(len(boots) <= BOOTS_KEPT for _, *boots in owed)
    told = {boot for now in range(0, 200_000, 5_000) for device, boot, *_ in gateway.due(now) if not device}
    assert told == set(range(1_000 - BOOTS_KEPT, 1_000))


def test_a_receipt_never_follows_another_too_soon(gateway: Gateway) -> None:
    gateway.receive((0, 5, 1))
    assert len(gateway.due(10_000)) == 1
    gateway.receive((0, 5, 3))
    assert gateway.due(10_000 + SHORTEST_WAIT - 1) == []
    assert len(gateway.due(10_000 + SHORTEST_WAIT)) == 1


def test_a_birth_is_answered(gateway: Gateway) -> None:
    gateway.birth(0, 5, 0, 3)
    assert gateway.due(0) == [(0, 5, 2, [(0, 2)])]
    gateway.receive((0, 5, 0), (0, 5, 1), (0, 5, 2))
    gateway.birth(0, 5, 0, 3)
    assert gateway.due(SHORTEST_WAIT) == [(0, 5, 2, [])]


def test_a_birth_of_a_boot_without_messages_has_no_answer(gateway: Gateway) -> None:
    gateway.birth(0, 5, 0, 0)
    assert gateway.due(0) == []


def test_an_older_boot_is_told_in_turn_with_the_current_one(gateway: Gateway) -> None:
    gateway.receive((0, 5, 0), (0, 6, 1), (0, 5, 1))
    told = [one for now in range(0, 4 * SHORTEST_WAIT, SHORTEST_WAIT) for one in gateway.due(now)]
    assert told[:2] == [(0, 5, 1, []), (0, 6, 1, [(0, 0)])]
    gateway.receive((0, 5, 2), (0, 6, 2))
    gateway.receive((0, 5, 3), (0, 6, 4))
    assert [one[1] for now in (60_000, 70_000) for one in gateway.due(now)] == [5, 6]


@pytest.mark.parametrize(
    ("news", "order"),
    [
        ("new messages", [7, 5, 6]),
        ("a birth", [7, 5, 6]),
        ("holes", [5, 7, 6]),
        ("closed holes", [5, 7, 6]),
        ("none", [5, 6]),
    ],
)
def test_a_current_boot_with_news_takes_turns_with_two_older_ones(
    gateway: Gateway, news: str, order: list[int]
) -> None:
    """The last receipt was for an older boot, or, where the current one has holes, for that."""
    for boot in (5, 6, 7):
        gateway.receive((0, boot, 0))
    assert [one[1] for now in (0, 5_000, 10_000) for one in gateway.due(now)] == [5, 7, 6]
    if news in {"holes", "closed holes"}:
        gateway.receive((0, 7, 2))
        assert gateway.due(20_000) == [(0, 7, 2, [(1, 1)])]
    if news == "closed holes":
        gateway.sequences.floors(np.array([0]), np.array([7]), np.array([2]))
    if news == "a birth":
        gateway.birth(0, 7, 0, 1)
    gateway.receive((0, 5, 1))
    gateway.receive((0, 6, 1))
    if news == "new messages":
        gateway.receive((0, 7, 1))
    assert [one[1] for now in (30_000, 35_000, 40_000) for one in gateway.due(now)] == order


def test_boots_that_came_and_went_within_one_batch_are_owed_nothing(gateway: Gateway) -> None:
    gateway.receive(*((0, boot, 0) for boot in range(BOOTS_KEPT + 2)))
    told = [one[1] for now in range(0, 100_000, 5_000) for one in gateway.due(now)]
    assert sorted(told) == list(range(2, BOOTS_KEPT + 2))


def test_whether_any_device_was_due_is_known_afterwards(gateway: Gateway) -> None:
    gateway.birth(0, 5, 0, 0)
    assert gateway.due(0) == []
    assert gateway.receipts.any_due, "its turn changed, though there is nothing to say"
    gateway.birth(1, 5, 0, 1)
    seen = []
    for now in (5_000, 5_001):
        gateway.due(now)
        seen.append(gateway.receipts.any_due)
    assert seen == [True, False]


def test_a_device_taken_over_gets_a_last_receipt_for_each_boot(gateway: Gateway) -> None:
    gateway.receive((0, 5, 1), (1, 5, 0))
    gateway.receive((0, 6, 0))
    gateway.birth(2, 5, 0, 0)
    assert gateway.receipts.final(np.array([0, 2])) == [
        (0, 5, (0, 1, [(0, 0)])),
        (0, 6, (0, 0, [])),
    ]


def test_a_device_forgotten_begins_anew_and_one_never_heard_is_no_error(gateway: Gateway) -> None:
    gateway.receive((0, 5, 1))
    gateway.due(0)
    gateway.receipts.forget(np.array([0, 1, 50]))
    gateway.sequences.retire({0: "a", 1: "b", 50: "c"})
    gateway.receive((0, 8, 0))
    assert gateway.due(1) == []
    assert gateway.due(LONGEST_WAIT) == [(0, 8, 0, [])]


def test_what_was_not_told_of_a_boot_is_told_after_the_next_began(gateway: Gateway) -> None:
    gateway.receive((0, 5, 0))
    gateway.receive((0, 6, 0))
    assert gateway.due(0) == [(0, 5, 0, [])]


def test_many_due_at_once_are_spread_the_longest_waiting_first(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.receive(*((device, 5, 1) for device in range(10)))
    with monkeypatch.context() as patched:
        patched.setattr(receipts, "MOST_DUE", 4)
        first = gateway.due(0)
    second = gateway.due(1)
    assert sorted(one[0] for one in first + second) == list(range(10))
    assert len(first) == 4


def test_a_retired_device_is_told_nothing(gateway: Gateway) -> None:
    gateway.receive((0, 5, 1), (0, 6, 1))
    gateway.receipts.forget(np.array([0]))
    gateway.sequences.retire({0: "a"})
    assert gateway.due(100_000) == []


rows = st.lists(st.tuples(st.integers(0, 3), st.integers(5, 7), st.integers(0, 9)), min_size=1, max_size=8)


@settings(max_examples=100, deadline=None)
@given(st.lists(rows, min_size=2, max_size=8))
def test_snapshots_continue_and_everything_stored_is_told_in_the_end(
    batches: list[list[tuple[int, int, int]]],
) -> None:
    whole, half = Gateway(), Gateway()
    for number, batch in enumerate(batches):
        if number == len(batches) // 2:
            restored = Gateway()
            restored.sequences.restore(unpacked(packed(half.sequences.snapshot())))
            restored.receipts.restore(unpacked(packed(half.receipts.snapshot())))
            half = restored
        for gateway in (whole, half):
            gateway.receive(*batch)
        assert whole.due(number * 3_000) == half.due(number * 3_000)
    assert packed(whole.receipts.snapshot()) == packed(half.receipts.snapshot())
    told: dict[tuple[int, int], tuple[int, int, list[tuple[int, int]]]] = {}
    for now in range(30_000, 30_000 + 2 * LONGEST_WAIT, SHORTEST_WAIT):
        told |= {(device, boot): (0, upto, missing) for device, boot, upto, missing in whole.due(now)}
    for device in {device for batch in batches for device, _, _ in batch}:
        boot = whole.sequences.boots(device)[-1]
        if (device, boot) in told:
            assert told[device, boot] == whole.sequences.stored(device, boot)


def test_while_a_boot_may_have_begun_anew_nothing_is_told_of_it(gateway: Gateway) -> None:
    """What is stored under its numbers may be another life's: the device would let go of what never came."""
    gateway.receive(*((0, 5, seq) for seq in range(4)))
    gateway.sequences.birth(0, 5, 0, 0, born=7, just_sent=True)
    gateway.receipts.birth(0)
    assert gateway.due(SHORTEST_WAIT) == []
    assert gateway.receipts.final(np.array([0])) == []
    device, boot, seq, time = (np.array([one], np.int64) for one in (0, 5, 0, 9_000))
    gateway.receipts.note(device, boot, gateway.sequences.accept(device, boot, seq, time))
    assert gateway.due(2 * SHORTEST_WAIT) == [(0, 5, 0, [])]

"""What a device holds: in order, bounded, let go only by a receipt."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fleet_sim.devices.outbox import Outbox, Resend


def filled(room: int = 10, *, acked: int = 0, unacked: int = 0, unsent: int = 0) -> Outbox:
    outbox = Outbox(1, room)
    for _ in range(acked + unacked):
        seq = outbox.number()
        outbox.sent(seq, b"%d" % seq)
    for seq in range(acked):
        outbox.acked(seq)
    for _ in range(unsent):
        seq = outbox.number()
        outbox.store(seq, b"%d" % seq)
    return outbox


def test_floor_is_the_lowest_seq_held_and_the_next_one_when_nothing_is() -> None:
    assert Outbox(1, 10).floor == 0
    assert filled(acked=3, unacked=2, unsent=2).floor == 0
    outbox = filled(acked=3, unacked=1)
    outbox.receipt(2, [], 0)
    assert outbox.floor == 3
    outbox.acked(3)
    outbox.receipt(3, [], 0)
    assert outbox.floor == outbox.next == 4


def test_a_receipt_lets_go_of_what_is_stored_and_names_what_to_send_again() -> None:
    outbox = filled(acked=6)
    assert outbox.receipt(5, [(1, 2), (4, 4)], 0) == [Resend(1, b"1"), Resend(2, b"2"), Resend(4, b"4")]
    assert (outbox.kept, outbox.unacked) == (0, 3)


def test_what_lies_below_where_a_receipt_begins_is_let_go_at_its_puback() -> None:
    """A gateway that forgot whether it has messages 0 to 3 asks for none of them, and would count none."""
    outbox = filled(acked=5, unacked=1)
    assert outbox.receipt(5, [(4, 4)], 0) == [Resend(4, b"4")]
    assert (outbox.kept, outbox.unacked) == (0, 2)
    outbox.acked(4)
    outbox.acked(5)
    assert outbox.receipt(5, [], 0) == []
    assert outbox.held == 0


def test_what_has_no_puback_is_not_sent_again_because_of_a_receipt() -> None:
    outbox = filled(acked=1, unacked=2, unsent=1)
    assert outbox.receipt(3, [(0, 3)], 0) == [Resend(0, b"0")]


def test_a_missing_message_is_not_sent_again_while_it_may_be_under_way() -> None:
    outbox = filled(acked=1)
    assert outbox.receipt(0, [(0, 0)], 1000)
    outbox.acked(0)
    assert outbox.receipt(0, [(0, 0)], 5999) == []
    assert outbox.receipt(0, [(0, 0)], 6000) == [Resend(0, b"0")]


def test_a_puback_never_pushes_out_what_was_not_sent() -> None:
    outbox = filled(room=2, unacked=1, unsent=2)
    outbox.acked(0)
    assert (outbox.unsent, outbox.kept, outbox.lost) == (2, 0, 0)


def test_full_drops_the_oldest_and_only_what_was_never_sent_is_lost() -> None:
    outbox = filled(room=3, acked=2)
    for seq in (2, 3, 4):
        assert outbox.store(seq, b"x") == [], "what makes room are 0 and 1, which the broker has"
    assert outbox.store(5, b"5") == [2]
    assert outbox.lost == 1


def test_full_can_drop_the_newest_instead() -> None:
    outbox = Outbox(1, 1, "newest")
    assert outbox.store(0, b"0") == []
    assert outbox.store(1, b"1") == [1]
    assert outbox.take_unsent() == Resend(0, b"0")


def test_without_room_nothing_is_kept() -> None:
    outbox = filled(room=0, acked=2)
    assert (outbox.kept, outbox.lost) == (0, 0)
    assert outbox.store(2, b"2") == [2]


def test_the_buffer_goes_out_oldest_first_and_counts_as_sent() -> None:
    outbox = filled(unsent=2)
    assert outbox.take_unsent() == Resend(0, b"0")
    assert (outbox.unsent, outbox.unacked) == (1, 1)
    outbox.take_unsent()
    assert outbox.take_unsent() is None


def test_a_refused_message_is_lost() -> None:
    outbox = filled(unacked=1)
    outbox.refused(0)
    assert (outbox.lost, outbox.held) == (1, 0)


class Life(RuleBasedStateMachine):
    """Whatever happens, every message is held, lost, or was said to be stored."""

    def __init__(self) -> None:
        super().__init__()
        self.room = 5
        self.outbox = Outbox(9, self.room)
        self.lost: set[int] = set()
        self.stored: set[int] = set()
        self.shed: set[int] = set()
        self.now = 0

    @rule()
    def send(self) -> None:
        seq = self.outbox.number()
        self.outbox.sent(seq, b"x")

    @rule()
    def store(self) -> None:
        seq = self.outbox.number()
        self.lost |= set(self.outbox.store(seq, b"x"))

    @rule()
    def drain(self) -> None:
        self.outbox.take_unsent()

    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        if self.outbox._unacked:
            self.outbox.acked(data.draw(st.sampled_from(sorted(self.outbox._unacked))))

    @rule(upto=st.integers(0, 30), low=st.integers(0, 30), high=st.integers(0, 30))
    def receipt(self, upto: int, low: int, high: int) -> None:
        self.now += 1000
        before = set(self.outbox._kept)
        resent = self.outbox.receipt(upto, [(low, high)], self.now)
        for message in resent:
            assert low <= message.seq <= high
            assert message.seq in before
        self.stored |= {seq for seq in before if seq <= upto and not low <= seq <= high}

    @invariant()
    def bounded_and_disjoint(self) -> None:
        outbox = self.outbox
        assert outbox.unsent + outbox.kept <= self.room
        places = [set(outbox._unsent), set(outbox._unacked), set(outbox._kept)]
        assert sum(map(len, places)) == len(set.union(*places))
        assert not set.union(*places) & self.lost
        assert outbox.lost == len(self.lost)
        assert all(seq < outbox.next for seq in set.union(*places))
        assert outbox.floor == min(set.union(*places), default=outbox.next)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

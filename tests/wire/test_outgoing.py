from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fleet_wire.outgoing import FIRST_RESERVED_ID, LONGEST_QUEUE, Outgoing, PublishQueueFull
from fleet_wire.packets import encode_publish, is_duplicate


def packet_of(number: int, packet_id: int) -> bytes:
    return encode_publish(
        "t", number.to_bytes(4, "big"), packet_id, retain=False, expiry=None, correlation=None
    )


def number_in(packet: bytes) -> int:
    return int.from_bytes(packet[-4:], "big")


def id_in(packet: bytes) -> int:
    return int.from_bytes(packet[5:7], "big")


def put(
    outgoing: Outgoing, number: int, *, hold: bool = False, on_ack: Callable[[int], None] | None = None
) -> bytes | None:
    packet_id = outgoing.take_id(hold=hold)
    packet = packet_of(number, packet_id)
    return packet if outgoing.admit(packet_id, packet, on_ack, hold=hold) else None


def connected(window: int, queue: int) -> Outgoing:
    outgoing = Outgoing(queue)
    assert outgoing.resume(window, None, session_present=False) == ([], [])
    return outgoing


def test_messages_beyond_the_window_wait_in_order() -> None:
    outgoing = connected(window=2, queue=10)
    sent = [put(outgoing, number) for number in range(4)]
    assert [packet is not None for packet in sent] == [True, True, False, False]
    assert (outgoing.in_flight, outgoing.queued) == (2, 2)
    assert outgoing.sendable() == []
    outgoing.acknowledged(1)
    assert [number_in(packet) for packet in outgoing.sendable()] == [2]


def test_the_queue_is_bounded_and_a_full_one_accepts_nothing() -> None:
    outgoing = connected(window=1, queue=2)
    for number in range(3):
        put(outgoing, number)
    with pytest.raises(PublishQueueFull, match="2 publishes are already waiting"):
        put(outgoing, 3)
    assert (outgoing.in_flight, outgoing.queued) == (1, 2)


def test_without_a_queue_nothing_waits() -> None:
    outgoing = connected(window=1, queue=0)
    assert put(outgoing, 0)
    with pytest.raises(PublishQueueFull):
        put(outgoing, 1)
    with pytest.raises(PublishQueueFull):
        put(connected(window=1, queue=0), 0, hold=True)


def test_a_queue_that_packet_ids_could_not_number_is_refused() -> None:
    with pytest.raises(ValueError, match="0 to 32000"):
        Outgoing(LONGEST_QUEUE + 1)


def test_packet_ids_stay_below_the_reserved_ones_and_skip_those_in_use() -> None:
    outgoing = connected(window=5, queue=0)
    put(outgoing, 0)
    seen = set()
    for number in range(1, FIRST_RESERVED_ID + 10):
        packet = put(outgoing, number)
        assert packet
        seen.add(id_in(packet))
        outgoing.acknowledged(id_in(packet))
    assert seen == set(range(2, FIRST_RESERVED_ID))


def test_a_message_that_was_never_sent_carries_no_duplicate_flag() -> None:
    outgoing = connected(window=1, queue=5)
    put(outgoing, 0)
    put(outgoing, 1)
    resent = outgoing.resume(10, None, session_present=True)
    assert [(number_in(packet), is_duplicate(packet)) for packet in resent.packets] == [(0, True), (1, False)]


def test_a_broker_that_lost_the_session_gets_everything_as_new() -> None:
    outgoing = connected(window=2, queue=5)
    first, second = put(outgoing, 0), put(outgoing, 1)
    outgoing.resume(1, None, session_present=True)
    assert outgoing.resume(2, None, session_present=False).packets == [first, second]


def test_a_smaller_window_after_a_reconnect_is_respected() -> None:
    outgoing = connected(window=4, queue=5)
    for number in range(4):
        put(outgoing, number)
    resent = outgoing.resume(1, None, session_present=True)
    assert [number_in(packet) for packet in resent.packets] == [0]
    outgoing.acknowledged(id_in(resent.packets[0]))
    (following,) = outgoing.sendable()
    assert (number_in(following), is_duplicate(following)) == (1, True)


def test_an_ack_still_on_its_way_when_the_connection_broke_counts() -> None:
    outgoing = connected(window=3, queue=5)
    for number in range(3):
        put(outgoing, number)
    resent = outgoing.resume(1, None, session_present=True)
    outgoing.acknowledged(2)  # message 1, which the broker had and which waits to be sent to it again
    outgoing.acknowledged(id_in(resent.packets[0]))
    assert [number_in(packet) for packet in outgoing.sendable()] == [2]
    assert (outgoing.in_flight, outgoing.queued) == (1, 0)


def test_messages_too_large_for_the_new_broker_are_given_back() -> None:
    codes: list[int] = []
    outgoing = connected(window=4, queue=5)
    put(outgoing, 0, on_ack=codes.append)
    put(outgoing, 1)
    resent = outgoing.resume(4, 5, session_present=True)
    assert resent.packets == []
    assert len(resent.too_large) == 1
    assert (outgoing.in_flight, outgoing.queued) == (0, 0)


def test_an_ack_of_an_unknown_message_is_ignored() -> None:
    assert connected(window=1, queue=0).acknowledged(9) is None


class Publishing(RuleBasedStateMachine):
    """Against a model: nothing is lost, nothing changes place, the window and the queue hold."""

    def __init__(self) -> None:
        super().__init__()
        self.outgoing = connected(window=3, queue=4)
        self.window = 3
        self.connected = True
        self.unacked: list[int] = []
        self.ids: dict[int, int] = {}
        self.on_wire: list[int] = []
        self.ever_sent: set[int] = set()
        self.acked: list[int] = []
        self.count = 0

    def _sent(self, packets: list[bytes], *, session_present: bool = True) -> None:
        for packet in packets:
            number = number_in(packet)
            assert self.ids[number] == id_in(packet)
            assert is_duplicate(packet) == (session_present and number in self.ever_sent)
            self.on_wire.append(number)
        self.ever_sent.update(self.on_wire)

    @rule()
    def publish(self) -> None:
        number, self.count = self.count, self.count + 1
        hold = not self.connected
        try:
            packet_id = self.outgoing.take_id(hold=hold)
        except PublishQueueFull:
            assert self.outgoing.queued >= 4  # more when a smaller window made sent messages wait again
            return
        self.ids[number] = packet_id
        self.unacked.append(number)
        packet = packet_of(number, packet_id)
        if self.outgoing.admit(packet_id, packet, partial(self._acknowledge, number), hold=hold):
            self._sent([packet])

    def _acknowledge(self, number: int, reason: int) -> None:
        assert reason == 0
        self.acked.append(number)

    @precondition(lambda self: self.connected and self.on_wire)
    @rule(choice=st.integers(0, 100))
    def acknowledge(self, choice: int) -> None:
        number = self.on_wire.pop(choice % len(self.on_wire))
        on_ack = self.outgoing.acknowledged(self.ids[number])
        assert on_ack
        on_ack(0)
        self.unacked.remove(number)
        self._sent(self.outgoing.sendable())

    @rule()
    def lose(self) -> None:
        self.connected = False
        self.on_wire.clear()

    @precondition(lambda self: not self.connected)
    @rule(window=st.integers(1, 5), session_present=st.booleans())
    def reconnect(self, window: int, session_present: bool) -> None:
        self.connected, self.window = True, window
        if not session_present:
            self.ever_sent.clear()
        resent = self.outgoing.resume(window, None, session_present=session_present)
        self._sent(resent.packets, session_present=session_present)

    @invariant()
    def nothing_is_lost_and_order_holds(self) -> None:
        assert self.outgoing.in_flight + self.outgoing.queued == len(self.unacked)
        assert sorted(self.acked + self.unacked) == sorted(self.ids)
        if self.connected:
            assert len(self.on_wire) <= self.window
            assert self.on_wire == self.unacked[: len(self.on_wire)]
            assert len(self.on_wire) == min(self.window, len(self.unacked))


TestPublishing = Publishing.TestCase
TestPublishing.settings = settings(max_examples=150, stateful_step_count=40)

"""Requests to a broker: their answers, and what of them is a refusal."""

import asyncio

import mqtt5
import pytest

from fleet_wire.errors import ConnectionLost, ConnectRefused
from fleet_wire.outgoing import FIRST_RESERVED_ID
from fleet_wire.subscriptions import (
    NotGranted,
    Requests,
    check_subscribed,
    check_unsubscribed,
    subscribe_packet,
)


def suback(packet_id: int, *codes: mqtt5.SubAckReasonCode) -> mqtt5.SubAckPacket:
    return mqtt5.SubAckPacket(packet_id, list(codes))


async def test_an_answer_reaches_the_request_of_its_id_only() -> None:
    requests = Requests()
    first, second = requests.take_id(), requests.take_id()
    waiting = [asyncio.create_task(requests.answer(packet_id)) for packet_id in (first, second)]
    await asyncio.sleep(0)
    requests.answered(suback(second, mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE))
    requests.answered(suback(second, mqtt5.SubAckReasonCode.GRANTED_QOS_AT_MOST_ONCE))
    requests.answered(suback(99, mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE))
    assert await waiting[1] == [1]
    assert not waiting[0].done()
    requests.fail(ConnectionLost("gone"))
    with pytest.raises(ConnectionLost, match="gone"):
        await waiting[0]


def test_ids_come_round_and_never_leave_the_reserved_ones() -> None:
    requests = Requests()
    ids = [requests.take_id() for _ in range(65_536 - FIRST_RESERVED_ID + 1)]
    assert min(ids) == FIRST_RESERVED_ID
    assert max(ids) == 65_535
    assert ids[-1] == ids[0]


async def test_a_cancelled_request_leaves_nothing_behind() -> None:
    requests = Requests()
    task = asyncio.create_task(requests.answer(requests.take_id()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert not requests._waiting


@pytest.mark.parametrize(
    ("present", "handling"),
    [(True, mqtt5.RetainHandling.SEND_IF_SUBSCRIPTION_NOT_EXISTS), (False, mqtt5.RetainHandling.SEND_ALWAYS)],
)
def test_a_kept_session_asks_for_retained_messages_of_new_subscriptions_only(
    present: bool, handling: mqtt5.RetainHandling
) -> None:
    written = subscribe_packet(7, ["a/#"], session_present=present)
    packet, _ = mqtt5.read(memoryview(bytearray(written)))
    assert isinstance(packet, mqtt5.SubscribePacket)
    (wanted,) = packet.topic_filters
    assert (packet.packet_id, wanted.pattern, wanted.max_qos) == (7, "a/#", mqtt5.QoS.AT_LEAST_ONCE)
    assert wanted.retain_handling == handling
    assert not wanted.retain_as_published, "the flag tells a birth that was kept from one just sent"


def test_what_was_not_granted_at_qos_1_is_named() -> None:
    check_subscribed(["a", "b"], [1, 1])
    with pytest.raises(NotGranted, match="subscription to b: granted at QoS 0 only") as caught:
        check_subscribed(["a", "b", "c"], [1, 0, 0x87])
    assert caught.value.codes == {"b": 0, "c": 0x87}


def test_a_subscription_that_was_never_there_counts_as_ended() -> None:
    check_unsubscribed(["a", "b"], [0x00, 0x11])
    with pytest.raises(ConnectRefused, match="unsubscribing from b"):
        check_unsubscribed(["a", "b"], [0x00, 0x87])


def test_as_many_answers_are_due_as_filters() -> None:
    with pytest.raises(ConnectRefused, match="1 answers to 2 topic filters"):
        check_subscribed(["a", "b"], [1])

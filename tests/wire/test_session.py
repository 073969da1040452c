"""The session against a scripted broker: publishing, receiving, acknowledging, resuming."""

import asyncio
from functools import partial

import mqtt5
import pytest

from fleet_wire.session import ConnectionLost, ConnectRefused, PublishQueueFull, Session
from tests.wire.scripted_broker import Recorder, ScriptedBroker, connect, session_at, settled

QOS_0, QOS_1, QOS_2 = mqtt5.QoS(0), mqtt5.QoS(1), mqtt5.QoS(2)
RESUMED = mqtt5.ConnAckPacket(session_present=True, receive_max=20)


def message(payload: bytes, packet_id: int | None = 1, topic: str = "t") -> mqtt5.PublishPacket:
    return mqtt5.PublishPacket(topic, payload, qos=QOS_1 if packet_id else QOS_0, packet_id=packet_id)


def note(codes: list[tuple[int, int]], number: int, code: int) -> None:
    codes.append((number, code))


def fill(session: Session) -> None:
    """Publish more than any socket buffer holds."""
    for _ in range(10_000):
        session.publish("t", b"x" * 60_000, qos=0)


class TestReceiving:
    async def test_deliveries_of_one_read_arrive_together_and_unacknowledged(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        peer, _ = await connect(session, scripted)
        peer.send(message(b"a", 1), message(b"b", None), message(b"c", 2))
        await recorder.payload_count(3)
        assert [(epoch, len(packets)) for epoch, packets in recorder.calls] == [(1, 3)]
        assert session.outstanding == 2
        session.abort()
        assert await peer.expect_end() == b""

    async def test_acks_go_out_in_order_in_one_write(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        peer, _ = await connect(session, scripted)
        peer.send(*(message(b"x", packet_id) for packet_id in (5, 3, 9)))
        await recorder.payload_count(3)
        assert session.ack(1, [5, 3, 9]) == 3
        assert [(await peer.expect(mqtt5.PubAckPacket)).packet_id for _ in range(3)] == [5, 3, 9]
        assert session.outstanding == 0
        assert session.ack(1, []) == 0

    async def test_acks_of_an_older_connection_are_dropped(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        peer, first = await connect(session, scripted)
        peer.send(message(b"x", 1))
        await recorder.payload_count(1)
        session.abort()
        assert session.ack(first.epoch, [1]) == 0
        peer, second = await connect(session, scripted, RESUMED)
        assert (first.epoch, second.epoch) == (1, 2)
        assert session.ack(first.epoch, [1]) == 0
        assert session.ack(second.epoch, [2]) == 1
        assert (await peer.expect(mqtt5.PubAckPacket)).packet_id == 2

    async def test_deliveries_in_the_same_read_as_the_answer_carry_the_new_epoch(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        attempt = asyncio.create_task(session.connect())
        peer = await scripted.peer()
        await peer.expect(mqtt5.ConnectPacket)
        peer.send(RESUMED, message(b"early", 1))
        connected = await attempt
        assert connected.session_present
        await recorder.payload_count(1)
        assert recorder.calls[0][0] == connected.epoch == session.epoch

    async def test_packets_split_by_the_network_are_joined_per_session(
        self, scripted: ScriptedBroker
    ) -> None:
        """Sessions share their receive buffer: the half of one must not end up in the other."""
        recorders = [Recorder(), Recorder()]
        sessions = [session_at(scripted, recorder, client_id=str(i)) for i, recorder in enumerate(recorders)]
        peers = [(await connect(session, scripted))[0] for session in sessions]
        streams = [message(str(i).encode() * 300, 1).write() * 2 for i in range(2)]
        for position in range(0, len(streams[0]), 7):
            for peer, stream in zip(peers, streams, strict=True):
                peer.send_bytes(stream[position : position + 7])
            await asyncio.sleep(0)
        for i, recorder in enumerate(recorders):
            await recorder.payload_count(2)
            assert recorder.payloads == [str(i).encode() * 300] * 2

    async def test_packets_larger_than_the_shared_buffer_arrive_whole(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        peer, _ = await connect(session, scripted)
        large = [
            bytes([number]) * size for number, size in enumerate((70_000, 10, 1_000_000, 33_000, 200_000))
        ]
        peer.send(*(message(payload, number + 1) for number, payload in enumerate(large)))
        await recorder.payload_count(len(large))
        assert recorder.payloads == large

    async def test_deliveries_beyond_receive_maximum_are_counted_and_accepted(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder, receive_maximum=3)
        peer, _ = await connect(session, scripted)
        peer.send(*(message(b"x", packet_id) for packet_id in range(1, 6)))
        await recorder.payload_count(5)
        assert session.overrun == 2
        session.ack(1, [1, 2, 3, 4, 5])
        peer.send(message(b"x", 1), message(b"x", 2), message(b"x", 3))
        await recorder.payload_count(8)
        assert session.overrun == 2
        peer.send(message(b"x", 4), message(b"x", None))
        await recorder.payload_count(10)
        assert session.overrun == 3
        assert session.connected

    async def test_a_paused_session_reads_nothing_until_it_resumes(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session, witness = session_at(scripted, recorder), Recorder()
        peer, _ = await connect(session, scripted)
        other_peer, _ = await connect(session_at(scripted, witness, client_id="other"), scripted)
        session.pause()
        peer.send(message(b"x", 1))
        for number in range(10):  # the paused one has had its chances before the last of these is in
            other_peer.send(message(b"later"))
            await witness.payload_count(number + 1)
        assert recorder.payloads == []
        session.resume()
        await recorder.payload_count(1)

    async def test_a_new_connection_is_never_paused(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        await connect(session, scripted)
        session.pause()
        session.abort()
        peer, _ = await connect(session, scripted)
        peer.send(message(b"x", 1))
        await recorder.payload_count(1)


class TestPublishing:
    async def test_publishes_respect_the_brokers_receive_maximum(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session, codes = session_at(scripted, recorder), list[tuple[int, int]]()
        peer, connected = await connect(session, scripted, mqtt5.ConnAckPacket(receive_max=2))
        assert connected.server_receive_maximum == 2
        for number in range(4):
            session.publish("t", b"%d" % number, on_ack=partial(note, codes, number))
        assert (session.in_flight, session.queued) == (2, 2)
        first, second = await peer.expect(mqtt5.PublishPacket), await peer.expect(mqtt5.PublishPacket)
        assert (first.payload, second.payload, first.qos, first.duplicate) == (b"0", b"1", QOS_1, False)
        assert first.packet_id
        assert second.packet_id
        refused = mqtt5.PubAckReasonCode.QUOTA_EXCEEDED
        peer.send(
            mqtt5.PubAckPacket(second.packet_id), mqtt5.PubAckPacket(first.packet_id, reason_code=refused)
        )
        assert [(await peer.expect(mqtt5.PublishPacket)).payload for _ in range(2)] == [b"2", b"3"]
        assert codes == [(1, 0), (0, 0x97)]
        assert (session.in_flight, session.queued) == (2, 0)

    async def test_every_part_of_a_message_arrives(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        peer, _ = await connect(session, scripted)
        session.publish("a/b", b"body", retain=True, expiry=60, correlation=b"id")
        session.publish("a/c", b"once", qos=0)
        kept, once = await peer.expect(mqtt5.PublishPacket), await peer.expect(mqtt5.PublishPacket)
        assert (kept.topic, kept.payload, kept.retain) == ("a/b", b"body", True)
        assert (kept.message_expiry_interval, kept.correlation_data) == (60, b"id")
        assert (once.topic, once.payload, once.qos, once.packet_id) == ("a/c", b"once", QOS_0, None)

    async def test_a_full_queue_refuses_new_messages_and_keeps_its_own(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder, queue=1)
        await connect(session, scripted, mqtt5.ConnAckPacket(receive_max=1))
        session.publish("t", b"0")
        session.publish("t", b"1")
        with pytest.raises(PublishQueueFull):
            session.publish("t", b"2")
        assert (session.in_flight, session.queued) == (1, 1)

    async def test_without_a_connection_qos_1_waits_and_qos_0_is_refused(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        session.publish("t", b"early")
        with pytest.raises(PublishQueueFull, match="QoS 0 does not wait"):
            session.publish("t", b"never", qos=0)
        peer, _ = await connect(session, scripted)
        early = await peer.expect(mqtt5.PublishPacket)
        assert (early.payload, early.duplicate) == (b"early", False)

    async def test_unacknowledged_messages_are_sent_again_with_their_packet_id_and_as_duplicates(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        peer, _ = await connect(session, scripted)
        for payload in (b"a", b"b", b"c"):
            session.publish("t", payload)
        sent = [await peer.expect(mqtt5.PublishPacket) for _ in range(3)]
        assert sent[1].packet_id
        peer.send(mqtt5.PubAckPacket(sent[1].packet_id))
        await settled(lambda: session.in_flight == 2)
        peer.reset()
        await session.wait_lost()
        session.publish("t", b"d")
        peer, _ = await connect(session, scripted, RESUMED)
        again = [await peer.expect(mqtt5.PublishPacket) for _ in range(3)]
        assert [(packet.payload, packet.duplicate) for packet in again] == [
            (b"a", True),
            (b"c", True),
            (b"d", False),
        ]
        assert [packet.packet_id for packet in again[:2]] == [sent[0].packet_id, sent[2].packet_id]

    async def test_a_broker_that_forgot_the_session_gets_messages_again_as_new(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        peer, _ = await connect(session, scripted)
        session.publish("t", b"a")
        await peer.expect(mqtt5.PublishPacket)
        session.abort()
        peer, connected = await connect(session, scripted)
        assert not connected.session_present
        again = await peer.expect(mqtt5.PublishPacket)
        assert (again.payload, again.duplicate) == (b"a", False)

    async def test_a_packet_too_large_for_the_broker_is_refused(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session, codes = session_at(scripted, recorder), list[int]()
        session.publish("t", b"x" * 200, on_ack=codes.append)
        peer, _ = await connect(session, scripted, mqtt5.ConnAckPacket(max_packet_size=100))
        assert codes == [0x95]
        with pytest.raises(ValueError, match="but the broker accepts at most 100"):
            session.publish("t", b"x" * 100)
        session.publish("t", b"small")
        assert (await peer.expect(mqtt5.PublishPacket)).payload == b"small"

    @pytest.mark.parametrize("topic", ["", "a/+", "#"])
    async def test_an_invalid_topic_is_refused_and_leaves_nothing_behind(
        self, scripted: ScriptedBroker, recorder: Recorder, topic: str
    ) -> None:
        session = session_at(scripted, recorder)
        with pytest.raises(ValueError, match="is not a topic to publish to"):
            session.publish(topic, b"x")
        assert (session.in_flight, session.queued) == (0, 0)

    async def test_a_broker_that_does_not_read_makes_publishes_wait(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        peer, _ = await connect(session, scripted)
        peer.stop_reading()
        with pytest.raises(PublishQueueFull, match="no writable connection"):
            fill(session)
        session.publish("t", b"patient")
        assert (session.writable, session.in_flight, session.queued) == (False, 0, 1)
        peer.read_on()
        while (packet := await peer.expect(mqtt5.PublishPacket)).qos == QOS_0:
            pass
        assert packet.payload == b"patient"
        assert (session.writable, session.in_flight, session.queued) == (True, 1, 0)


class TestSubscribing:
    @pytest.mark.parametrize("session_present", [False, True])
    async def test_filters_are_sent_in_order_at_qos_1_with_the_handling_of_retained_messages(
        self, scripted: ScriptedBroker, recorder: Recorder, session_present: bool
    ) -> None:
        session = session_at(scripted, recorder)
        peer, _ = await connect(session, scripted)
        task = asyncio.create_task(session.subscribe(["b", "a/+"], session_present=session_present))
        packet = await peer.expect(mqtt5.SubscribePacket)
        assert [(wanted.pattern, wanted.max_qos) for wanted in packet.topic_filters] == [
            ("b", QOS_1),
            ("a/+", QOS_1),
        ]
        handling = mqtt5.RetainHandling(1 if session_present else 0)
        assert all(wanted.retain_handling == handling for wanted in packet.topic_filters)
        granted = mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE
        peer.send(mqtt5.SubAckPacket(packet.packet_id, [granted, granted]))
        await task

    @pytest.mark.parametrize(
        ("code", "text"), [(0x87, "subscription to a/b: not authorised"), (0x00, "granted at QoS 0 only")]
    )
    async def test_a_refused_filter_is_named(
        self, scripted: ScriptedBroker, recorder: Recorder, code: int, text: str
    ) -> None:
        session = session_at(scripted, recorder)
        peer, _ = await connect(session, scripted)
        task = asyncio.create_task(session.subscribe(["c", "a/b"], session_present=False))
        packet = await peer.expect(mqtt5.SubscribePacket)
        peer.send(
            mqtt5.SubAckPacket(packet.packet_id, [mqtt5.SubAckReasonCode(1), mqtt5.SubAckReasonCode(code)])
        )
        with pytest.raises(ConnectRefused, match=text) as caught:
            await task
        assert caught.value.reason == code
        assert session.connected

    async def test_an_invalid_filter_is_refused_before_it_is_sent(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        await connect(session, scripted)
        with pytest.raises(ValueError, match="Invalid topic filter"):
            await session.subscribe(["a/#/b"], session_present=False)
        assert session.connected

    async def test_unsubscribing(self, scripted: ScriptedBroker, recorder: Recorder) -> None:
        session = session_at(scripted, recorder)
        peer, _ = await connect(session, scripted)
        task = asyncio.create_task(session.unsubscribe(["a", "b"]))
        packet = await peer.expect(mqtt5.UnsubscribePacket)
        assert packet.patterns == ["a", "b"]
        codes = [mqtt5.UnsubAckReasonCode.SUCCESS, mqtt5.UnsubAckReasonCode.NO_SUBSCRIPTION_EXISTED]
        peer.send(mqtt5.UnsubAckPacket(packet.packet_id, codes))
        await task
        task = asyncio.create_task(session.unsubscribe(["a"]))
        packet = await peer.expect(mqtt5.UnsubscribePacket)
        peer.send(mqtt5.UnsubAckPacket(packet.packet_id, [mqtt5.UnsubAckReasonCode.NOT_AUTHORIZED]))
        with pytest.raises(ConnectRefused, match="unsubscribing from a: not authorised"):
            await task

    async def test_a_wrong_number_of_answers_is_refused(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        peer, _ = await connect(session, scripted)
        task = asyncio.create_task(session.subscribe(["a", "b"], session_present=False))
        packet = await peer.expect(mqtt5.SubscribePacket)
        peer.send(mqtt5.SubAckPacket(packet.packet_id, [mqtt5.SubAckReasonCode(1)]))
        with pytest.raises(ConnectRefused, match="1 answers to 2 topic filters"):
            await task

    async def test_the_end_of_the_connection_ends_the_wait(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        peer, _ = await connect(session, scripted)
        task = asyncio.create_task(session.subscribe(["a"], session_present=False))
        await peer.expect(mqtt5.SubscribePacket)
        peer.reset()
        with pytest.raises(ConnectionLost):
            await task
        with pytest.raises(ConnectionLost, match="not connected"):
            await session.subscribe(["a"], session_present=False)

    async def test_a_cancelled_wait_ignores_its_answer(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        peer, _ = await connect(session, scripted)
        task = asyncio.create_task(session.subscribe(["a"], session_present=False))
        packet = await peer.expect(mqtt5.SubscribePacket)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        peer.send(mqtt5.SubAckPacket(packet.packet_id, [mqtt5.SubAckReasonCode(1)]), message(b"x"))
        await recorder.payload_count(1)
        assert session.connected

"""How a session's connections begin and end, and what it says about it."""

import asyncio
import socket
from collections.abc import Callable

import mqtt5
import pytest

from fleet_wire.backoff import classify
from fleet_wire.packets import Damage
from fleet_wire.session import Connected, ConnectionLost, ConnectRefused, Session
from tests.wire.scripted_broker import (
    ACCEPTED,
    WITHIN,
    Peer,
    Recorder,
    ScriptedBroker,
    connect,
    session_at,
    settled,
)

CODE = mqtt5.ConnAckReasonCode


def refused(code: mqtt5.ConnAckReasonCode, text: str | None = None) -> mqtt5.ConnAckPacket:
    return mqtt5.ConnAckPacket(reason_code=code, reason_str=text)


async def unanswered(session: Session, broker: ScriptedBroker) -> tuple[asyncio.Task[Connected], Peer]:
    """Begin to connect; return the attempt, and the peer, which has read CONNECT and not answered."""
    attempt = asyncio.create_task(session.connect())
    peer = await broker.peer()
    await peer.expect(mqtt5.ConnectPacket)
    return attempt, peer


class TestConnecting:
    async def test_connect_sends_the_options(self, scripted: ScriptedBroker, recorder: Recorder) -> None:
        will = mqtt5.Will("w", payload=b"gone", qos=mqtt5.QoS(1), retain=True)
        session = session_at(
            scripted, recorder, client_id="me", username="user", password=b"secret", will=will, keep_alive=30
        )
        attempt = asyncio.create_task(session.connect())
        peer = await scripted.peer()
        packet = await peer.accept()
        await attempt
        assert (packet.client_id, packet.username, packet.password) == ("me", "user", b"secret")
        assert (packet.clean_start, packet.session_expiry_interval, packet.keep_alive) == (False, 3600, 30)
        assert (packet.receive_max, packet.max_packet_size) == (4000, 1 << 20)
        assert packet.will
        assert (packet.will.topic, packet.will.payload, packet.will.retain) == ("w", b"gone", True)

    async def test_connected_holds_the_brokers_answer(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        answer = mqtt5.ConnAckPacket(session_present=True, receive_max=7, server_keep_alive=99)
        _, connected = await connect(session, scripted, answer)
        assert connected == (True, 1, 7, 99)
        assert session.connected
        with pytest.raises(RuntimeError, match="already connected"):
            await session.connect()

    @pytest.mark.parametrize(
        ("answer", "text", "reason"),
        [
            (refused(CODE.BAD_USER_NAME_OR_PASSWORD), "bad user name or password", 0x86),
            (refused(CODE.NOT_AUTHORIZED), "check user name, password", 0x87),
            (refused(CODE.UNSUPPORTED_PROTOCOL_VERSION), "not speak MQTT 5", 0x84),
            (refused(CODE.SERVER_BUSY, "later"), "server busy .* says 'later'", 0x89),
            (mqtt5.ConnAckPacket(max_qos=mqtt5.QoS(0)), "does not support QoS 1", 0x9B),
            (mqtt5.ConnAckPacket(retain_available=False), "no retained messages", 0x9A),
            (mqtt5.PingRespPacket(), "answers CONNECT with a PingRespPacket", None),
        ],
    )
    async def test_a_refusal_says_why(
        self,
        scripted: ScriptedBroker,
        recorder: Recorder,
        answer: mqtt5.Packet,
        text: str,
        reason: int | None,
    ) -> None:
        session = session_at(scripted, recorder)
        attempt, peer = await unanswered(session, scripted)
        peer.send(answer)
        with pytest.raises(ConnectRefused, match=text) as caught:
            await attempt
        assert caught.value.reason == reason
        assert str(scripted.port) in str(caught.value)
        await peer.expect_end()
        assert not session.connected
        assert recorder.losses == []

    @pytest.mark.parametrize(
        ("answer", "text"),
        [
            (b"\x20\x02\x00\x01", "speaks MQTT 3 only"),
            (b"\x15\x03\x03\x00\x02\x02\x46", "speaks TLS: use mqtts://"),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", "is a web server"),
            (b"SSH-2.0-OpenSSH_9.2\r\n", r"does not speak MQTT \(it answered b'SSH-2.0-'\): check the port"),
        ],
    )
    async def test_whatever_answers_instead_of_a_broker_is_named(
        self, scripted: ScriptedBroker, recorder: Recorder, answer: bytes, text: str
    ) -> None:
        attempt = asyncio.create_task(session_at(scripted, recorder).connect())
        peer = await scripted.peer()
        peer.send_bytes(answer)
        with pytest.raises(ConnectRefused, match=text) as caught:
            await attempt
        assert classify(caught.value) == "fatal"

    async def test_a_broker_that_disconnects_instead_of_answering(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        attempt, peer = await unanswered(session_at(scripted, recorder), scripted)
        peer.send(mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.SERVER_SHUTTING_DOWN))
        with pytest.raises(ConnectionLost, match="server shutting down") as caught:
            await attempt
        assert caught.value.reason == 0x8B

    async def test_a_broker_that_closes_without_a_reason(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        attempt, peer = await unanswered(session_at(scripted, recorder), scripted)
        peer.close()
        with pytest.raises(ConnectionLost, match=r"did not answer CONNECT: .* without a reason"):
            await attempt

    async def test_a_broker_that_does_not_answer(self, scripted: ScriptedBroker, recorder: Recorder) -> None:
        session = session_at(scripted, recorder, connect_timeout=0.05)
        with pytest.raises(ConnectionLost, match=r"did not answer within 0\.05 s") as caught:
            await session.connect()
        assert classify(caught.value) == "retry"
        await (await scripted.peer()).expect(mqtt5.ConnectPacket)
        await connect(session_at(scripted, recorder), scripted)

    async def test_a_port_nobody_listens_on(self, scripted: ScriptedBroker, recorder: Recorder) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        session = Session(scripted.options(port=port), on_publish=recorder.on_publish)
        with pytest.raises(ConnectionLost, match=f"cannot reach mqtt://127.0.0.1:{port}: .*refused"):
            await session.connect()

    async def test_the_local_address_is_used(self, scripted: ScriptedBroker, recorder: Recorder) -> None:
        session = session_at(scripted, recorder, local_address="127.0.0.3")
        peer, _ = await connect(session, scripted)
        assert peer.address == "127.0.0.3"

    async def test_a_cancelled_attempt_leaves_no_connection(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        attempt, peer = await unanswered(session, scripted)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await peer.expect_end()
        _, connected = await connect(session, scripted)
        assert connected.epoch == 1

    async def test_an_attempt_cancelled_at_the_moment_of_success_leaves_no_connection(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        attempt = asyncio.create_task(session.connect())
        peer = await scripted.peer()
        await peer.accept()
        while not session.connected:  # noqa: ASYNC110 - not one turn of the loop later
            await asyncio.sleep(0)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await peer.expect_end()
        assert not session.connected

    async def test_an_answer_as_the_attempt_is_given_up_changes_nothing(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        attempt, peer = await unanswered(session, scripted)
        connection = session._connection
        assert connection
        attempt.cancel()
        session.packets_read(connection, [ACCEPTED])
        assert (session.connected, session.epoch) == (False, 0)
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await peer.expect_end()

    async def test_an_aborted_attempt_ends_as_a_loss(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        attempt, peer = await unanswered(session, scripted)
        session.abort()
        with pytest.raises(ConnectionLost, match="aborted by this side"):
            await attempt
        await peer.expect_end()

    async def test_an_attempt_aborted_before_there_is_a_connection_leaves_none(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        attempt = asyncio.create_task(session.connect())
        await asyncio.sleep(0)
        session.abort()
        with pytest.raises(ConnectionLost):
            await attempt
        await (await scripted.peer()).expect_end()


class TestEnding:
    async def test_a_session_taken_over_is_recognisable(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        peer, _ = await connect(session, scripted)
        peer.send(mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER))
        lost = await session.wait_lost()
        assert lost.taken_over
        assert "another program connected with this client id" in str(lost)
        assert classify(lost) == "fatal"
        assert recorder.losses == [lost]
        assert not session.connected

    async def test_a_reset_is_reported_once_to_everything_that_waits(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        peer, _ = await connect(session, scripted)
        waiters = [asyncio.create_task(session.wait_lost()) for _ in range(2)]
        cancelled = asyncio.create_task(session.wait_lost())
        await asyncio.sleep(0)
        cancelled.cancel()
        peer.reset()
        losses = await asyncio.gather(*waiters)
        assert losses[0] is losses[1] is await session.wait_lost()
        assert recorder.losses == losses[:1]
        assert not losses[0].taken_over

    @pytest.mark.parametrize(
        ("send", "text", "reason"),
        [
            (lambda peer: peer.send_bytes(b"\x00\x00"), "Invalid PacketType", 0x81),
            (lambda peer: peer.send_bytes(b"\x30\x80\x80\x80\x01"), "more than the 1048576", 0x95),
            (lambda peer: peer.send(ACCEPTED), "ConnAckPacket, which it should not send", 0x82),
            (
                lambda peer: peer.send(mqtt5.PublishPacket("t", b"", qos=mqtt5.QoS(2), packet_id=1)),
                "QoS 2, to which this client never subscribes",
                0x82,
            ),
        ],
    )
    async def test_a_peer_that_breaks_the_protocol_is_told_and_disconnected(
        self,
        scripted: ScriptedBroker,
        recorder: Recorder,
        send: Callable[[Peer], None],
        text: str,
        reason: int,
    ) -> None:
        session = session_at(scripted, recorder)
        peer, _ = await connect(session, scripted)
        peer.send(mqtt5.PublishPacket("t", b"good"))
        send(peer)
        lost = await session.wait_lost()
        assert text in str(lost)
        assert recorder.payloads == [b"good"]
        assert recorder.losses == [lost]
        assert int((await peer.expect(mqtt5.DisconnectPacket)).reason_code) == reason
        await peer.expect_end()

    @pytest.mark.parametrize(("with_will", "reason"), [(False, 0), (True, 4)])
    async def test_disconnecting(
        self, scripted: ScriptedBroker, recorder: Recorder, with_will: bool, reason: int
    ) -> None:
        session = session_at(scripted, recorder)
        peer, _ = await connect(session, scripted)
        waiter = asyncio.create_task(session.wait_lost())
        await asyncio.sleep(0)
        await session.disconnect(with_will=with_will)
        assert int((await peer.expect(mqtt5.DisconnectPacket)).reason_code) == reason
        assert await peer.expect_end() == b""
        assert "this side" in str(await waiter)
        assert recorder.losses == []
        await session.disconnect()

    async def test_a_peer_that_does_not_read_cannot_delay_a_disconnect(
        self, scripted: ScriptedBroker, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("fleet_wire.session._CLOSE_WITHIN", 0.05)
        session = session_at(scripted, recorder)
        peer, _ = await connect(session, scripted)
        peer.stop_reading()
        while session.writable:
            session.publish("t", b"x" * 60_000, qos=0)
        async with asyncio.timeout(WITHIN):
            await session.disconnect()
        assert not session.connected

    async def test_an_abort_sends_nothing(self, scripted: ScriptedBroker, recorder: Recorder) -> None:
        session = session_at(scripted, recorder)
        peer, _ = await connect(session, scripted)
        session.abort()
        assert await peer.expect_end() == b""
        assert recorder.losses == []
        assert not session.connected
        session.abort()

    async def test_packets_of_an_old_connection_are_ignored(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        await connect(session, scripted)
        old = session._connection
        assert old
        session.abort()
        await connect(session, scripted)
        session.packets_read(old, [mqtt5.PublishPacket("t", b"ghost")])
        session.damaged(old, Damage("ghost", mqtt5.DisconnectReasonCode.MALFORMED_PACKET, b""))
        session.ended(old, ConnectionLost("ghost"))
        assert session.connected
        assert recorder.payloads == []
        assert recorder.losses == []

    async def test_an_error_in_the_callback_ends_the_connection_with_its_cause(
        self, scripted: ScriptedBroker, caplog: pytest.LogCaptureFixture
    ) -> None:
        def mistaken(epoch: int, packets: list[mqtt5.PublishPacket]) -> None:
            raise KeyError("mistake")

        session = Session(scripted.options(), on_publish=mistaken)
        peer, _ = await connect(session, scripted)
        peer.send(mqtt5.PublishPacket("t", b""))
        lost = await session.wait_lost()
        assert isinstance(lost.__cause__, KeyError)
        assert "mistake" in caplog.text


class TestKeepAlive:
    async def test_a_quiet_session_pings_and_a_silent_broker_is_dead(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        peer, _ = await connect(session, scripted, mqtt5.ConnAckPacket(server_keep_alive=1))
        await peer.expect(mqtt5.PingReqPacket)
        peer.send(mqtt5.PingRespPacket())
        await peer.expect(mqtt5.PingReqPacket)
        async with asyncio.timeout(WITHIN):
            lost = await session.wait_lost()
        assert "silent" in str(lost)
        assert recorder.losses == [lost]
        await peer.expect_end()

    async def test_a_broker_is_not_dead_while_reading_is_paused(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder, keep_alive=60)
        await connect(session, scripted)
        connection = session._connection
        assert connection
        now = connection.loop.time()
        session.pause()
        for later in range(0, 1_000, 10):
            assert connection.check(now + later)
        session.resume()
        assert connection.check(now + 30)
        assert session.connected

    async def test_without_keep_alive_nothing_is_checked(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder, keep_alive=0)
        await connect(session, scripted)
        assert session._connection
        assert session._connection.check_at is None

    async def test_a_connection_that_has_ended_is_not_checked_again(
        self, scripted: ScriptedBroker, recorder: Recorder
    ) -> None:
        session = session_at(scripted, recorder)
        await connect(session, scripted)
        connection = session._connection
        assert connection
        session.abort()
        await settled(lambda: connection.check_at is None)
        assert connection.check(connection.loop.time()) is None

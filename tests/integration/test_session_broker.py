"""The session with a real Mosquitto, and aiomqtt as the independent client on the other side."""

import asyncio
import itertools
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiomqtt
import mqtt5
import pytest

from fleet_wire.session import (
    Connected,
    ConnectionLost,
    ConnectRefused,
    OnPublish,
    Session,
    SessionOptions,
)
from tests.conftest import BrokerFactory
from tests.servers.broker import Broker

WITHIN = 60.0


class Client:
    """A session that keeps what it receives, and acknowledges at once unless told to wait."""

    def __init__(
        self, broker: Broker, client_id: str, *, hold: bool = False, queue: int = 1_000, **options: Any
    ) -> None:
        self.hold = hold
        self.got: list[tuple[int, mqtt5.PublishPacket]] = []
        self.news = asyncio.Event()
        self.also: OnPublish = lambda _epoch, _packets: None
        self.session = Session(
            SessionOptions(broker.host, broker.port, client_id, **options), on_publish=self._take, queue=queue
        )

    def _take(self, epoch: int, packets: list[mqtt5.PublishPacket]) -> None:
        self.got += [(epoch, packet) for packet in packets]
        self.also(epoch, packets)
        if not self.hold:
            self.session.ack(epoch, [packet.packet_id for packet in packets if packet.packet_id is not None])
        self.news.set()

    @property
    def payloads(self) -> list[bytes]:
        return [packet.payload for _, packet in self.got]

    async def connect(self, *filters: str) -> Connected:
        connected = await self.session.connect()
        if filters:
            await self.session.subscribe(filters, session_present=connected.session_present)
        return connected

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait, delivery by delivery, until `holds` is true."""
        async with asyncio.timeout(WITHIN):
            while not holds():
                self.news.clear()
                await self.news.wait()

    async def count(self, number: int) -> None:
        await self.until(lambda: len(self.got) >= number)


Clients = Callable[..., Client]


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    """Make clients, and end them with the test."""
    made: list[Client] = []

    def make(*arguments: Any, **options: Any) -> Client:
        made.append(Client(*arguments, **options))
        return made[-1]

    yield make
    for client in made:
        client.session.abort()
    await asyncio.sleep(0)


class Tally:
    """Counts acknowledgements; `done` is set when all that were expected are in."""

    def __init__(self, expected: int) -> None:
        self.codes: list[int] = []
        self.expected = expected
        self.done = asyncio.Event()

    def __call__(self, code: int) -> None:
        self.codes.append(code)
        if len(self.codes) == self.expected:
            self.done.set()

    async def wait(self) -> None:
        async with asyncio.timeout(WITHIN):
            await self.done.wait()


def other(broker: Broker, **options: Any) -> aiomqtt.Client:
    return aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5, **options)


async def put(broker: Broker, topic: str, *payloads: bytes, **options: Any) -> None:
    """Publish at QoS 1 as another client."""
    async with other(broker) as client:
        for payload in payloads:
            await client.publish(topic, payload, qos=1, **options)


def numbered(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


async def test_messages_pass_to_and_from_another_implementation(clients: Clients, broker: Broker) -> None:
    client = clients(broker, "both-ways")
    await client.connect("both-ways/in")
    async with other(broker) as stranger:
        await stranger.subscribe("both-ways/out", qos=1)
        await stranger.publish("both-ways/in", b"hello", qos=1)
        await client.count(1)
        tally = Tally(1)
        client.session.publish("both-ways/out", b"x" * 60_000, expiry=60, correlation=b"id", on_ack=tally)
        message = await anext(aiter(stranger.messages))
        await tally.wait()
    assert client.payloads == [b"hello"]
    assert message.payload == b"x" * 60_000
    assert message.properties
    assert message.properties.CorrelationData == b"id"  # type: ignore[attr-defined]
    assert tally.codes == [0]
    await client.session.disconnect()


async def test_an_unacknowledged_message_is_delivered_again_with_its_packet_id(
    clients: Clients, broker: Broker
) -> None:
    client = clients(broker, "withheld", hold=True)
    await client.connect("withheld")
    await put(broker, "withheld", *numbered(3))
    await client.count(3)
    first = [packet for _, packet in client.got]
    assert first[1].packet_id
    client.session.ack(1, [first[1].packet_id])
    await asyncio.sleep(0)
    client.session.abort()
    connected = await client.connect()
    assert connected.session_present
    await client.count(5)
    again = [packet for _, packet in client.got[3:]]
    assert [(packet.payload, packet.duplicate) for packet in again] == [(b"0", True), (b"2", True)]
    assert [packet.packet_id for packet in again] == [first[0].packet_id, first[2].packet_id]
    await client.session.disconnect()


async def test_an_ack_of_an_older_connection_does_not_take_a_message_away(
    clients: Clients, broker: Broker
) -> None:
    client = clients(broker, "older", hold=True)
    await client.connect("older")
    await put(broker, "older", b"kept")
    await client.count(1)
    old_epoch, packet = client.got[0]
    assert packet.packet_id
    client.session.abort()
    await client.connect()
    await client.count(2)
    assert client.session.ack(old_epoch, [packet.packet_id]) == 0
    await client.session.disconnect()
    client.hold = False
    await client.connect()
    await client.count(3)
    assert [(epoch, packet.payload) for epoch, packet in client.got] == [
        (1, b"kept"),
        (2, b"kept"),
        (3, b"kept"),
    ]
    await client.session.disconnect()


async def test_retained_messages_arrive_with_a_new_subscription_but_not_with_a_resumed_session(
    clients: Clients,
    broker: Broker,
) -> None:
    await put(broker, "retained/old", b"birth", retain=True)
    client = clients(broker, "retained")
    await client.connect("retained/+")
    await client.count(1)
    assert client.got[0][1].retain
    client.session.abort()
    connected = await client.connect("retained/+")
    assert connected.session_present
    await put(broker, "retained/live", b"live")
    await client.count(2)
    assert client.payloads == [b"birth", b"live"]
    await client.session.unsubscribe(["retained/+"])
    await client.session.disconnect()


async def test_a_restart_of_the_broker_loses_no_message(
    clients: Clients, broker_factory: BrokerFactory
) -> None:
    """Publish all the time through two restarts: each is acknowledged once and arrives at least once, in order."""
    broker = broker_factory()
    receiver, sender = clients(broker, "receiver"), clients(broker, "sender", queue=5_000)
    await receiver.connect("restart")
    await sender.connect()
    tally = Tally(3_000)
    payloads = numbered(tally.expected)
    for start in range(0, tally.expected, 1_000):
        for payload in payloads[start : start + 1_000]:
            sender.session.publish("restart", payload, on_ack=tally)
        if start < 2_000:
            await receiver.count(start + 100)
            await asyncio.to_thread(broker.restart)
            for client in (receiver, sender):
                lost = await client.session.wait_lost()
                assert lost.reason in {None, 0x8B}
                assert (await client.connect()).session_present
    await tally.wait()
    await receiver.until(lambda: len(set(receiver.payloads)) == tally.expected)
    assert set(tally.codes) == {0}
    assert list(dict.fromkeys(receiver.payloads)) == payloads
    assert (sender.session.in_flight, sender.session.queued) == (0, 0)


async def test_a_broker_that_forgot_everything_gets_unacknowledged_messages_again(
    clients: Clients,
    broker_factory: BrokerFactory,
) -> None:
    broker = broker_factory()
    sender = clients(broker, "sender")
    await sender.connect()
    with broker.paused():
        tally = Tally(100)
        for payload in numbered(100):
            sender.session.publish("forgot", payload, on_ack=tally)
        assert sender.session.in_flight
        broker.kill()
    await sender.session.wait_lost()
    await asyncio.to_thread(broker.start)
    receiver = clients(broker, "receiver")
    await receiver.connect("forgot")
    assert not (await sender.connect()).session_present
    await tally.wait()
    await receiver.count(100)
    assert receiver.payloads == numbered(100)
    assert not any(packet.duplicate for _, packet in receiver.got)


async def test_a_second_connection_with_the_same_id_takes_the_session_over(
    clients: Clients, broker: Broker
) -> None:
    first, second = clients(broker, "same-id"), clients(broker, "same-id")
    await first.connect("same-id")
    assert (await second.connect()).session_present
    lost = await first.session.wait_lost()
    assert lost.taken_over or "another program use this client id" in str(lost)  # 2.0 says nothing, 2.1 does
    assert second.session.connected
    await second.session.disconnect()


async def test_the_will_is_published_after_a_crash_but_not_after_a_disconnect(
    clients: Clients, broker: Broker
) -> None:
    watcher = clients(broker, "watcher")
    await watcher.connect("will/+")
    sessions: dict[str, Session] = {}
    for name in ("crash", "leave", "with-will"):
        will = mqtt5.Will(f"will/{name}", payload=b"gone", qos=mqtt5.QoS(1))
        client = clients(broker, name, will=will, session_expiry=60)
        await client.connect()
        sessions[name] = client.session
    sessions["crash"].abort()
    await watcher.count(1)
    await sessions["leave"].disconnect()
    await sessions["with-will"].disconnect(with_will=True)
    await put(broker, "will/last", b"last")
    await watcher.until(lambda: b"last" in watcher.payloads)
    assert [packet.topic for _, packet in watcher.got] == ["will/crash", "will/with-will", "will/last"]
    await watcher.session.disconnect()


async def test_a_paused_session_holds_a_bounded_amount(clients: Clients, broker: Broker) -> None:
    client = clients(broker, "paused", hold=True)
    await client.connect("paused")
    most, total, payload = 100_000, 4_000, b"x" * 2_000

    def pause_above(_epoch: int, _packets: list[mqtt5.PublishPacket]) -> None:
        if sum(len(packet.payload) for _, packet in client.got) > most:
            client.session.pause()

    client.also = pause_above
    sender = clients(broker, "pausing-sender", queue=total)
    await sender.connect()
    tally = Tally(total)
    for _ in range(total):
        sender.session.publish("paused", payload, on_ack=tally)
    await tally.wait()
    held = sum(len(part) for part in client.payloads)
    assert most < held < most + 2 * 65_536
    assert client.session.connected
    client.hold, client.also = False, lambda _epoch, _packets: None
    client.session.ack(1, [packet.packet_id for _, packet in client.got if packet.packet_id])
    client.session.resume()
    await client.count(total)
    assert len(client.got) == total
    await client.session.disconnect()
    await sender.session.disconnect()


async def test_many_sessions_at_once_lose_nothing(clients: Clients, broker: Broker) -> None:
    count, each = 150, 20
    receiver = clients(broker, "many-receiver", receive_maximum=60_000)
    await receiver.connect("many/+")
    senders = [clients(broker, f"many-{number}") for number in range(count)]
    async with asyncio.timeout(WITHIN):
        await asyncio.gather(*(client.connect() for client in senders))
    tally = Tally(count * each)
    for number, (at, client) in itertools.product(range(each), enumerate(senders)):
        client.session.publish(f"many/{at}", b"%d" % number, on_ack=tally)
    await tally.wait()
    await receiver.count(count * each)
    assert set(tally.codes) == {0}
    per_topic: dict[str, list[bytes]] = {}
    for _, packet in receiver.got:
        per_topic.setdefault(packet.topic, []).append(packet.payload)
    assert per_topic == {f"many/{at}": numbered(each) for at in range(count)}
    await asyncio.gather(*(client.session.disconnect() for client in [*senders, receiver]))


async def test_deliveries_beyond_receive_maximum_are_counted_and_all_arrive(
    clients: Clients, broker: Broker
) -> None:
    """Mosquitto 2.0.11 keeps to Receive Maximum only until the first acks; whatever it does is counted right."""
    backlog, asked = 2_000, 10
    client = clients(broker, "overrun", hold=True, receive_maximum=asked)
    await client.connect("overrun")
    await client.session.disconnect()
    sender = clients(broker, "overrun-sender", queue=backlog)
    await sender.connect()
    tally = Tally(backlog)
    for payload in numbered(backlog):
        sender.session.publish("overrun", payload, on_ack=tally)
    await tally.wait()
    beyond = outstanding = 0

    def count_and_ack_half(epoch: int, packets: list[mqtt5.PublishPacket]) -> None:
        nonlocal beyond, outstanding
        for _ in packets:
            outstanding += 1
            beyond += outstanding > asked
        half = [packet.packet_id for packet in packets[: len(packets) // 2 + 1] if packet.packet_id]
        outstanding -= client.session.ack(epoch, half)
        held.extend(packet.packet_id for packet in packets[len(packets) // 2 + 1 :] if packet.packet_id)
        if len(held) >= asked // 2 or outstanding >= asked:
            outstanding -= client.session.ack(epoch, held)
            held.clear()

    held: list[int] = []
    client.also = count_and_ack_half
    connected = await client.connect()
    assert connected.session_present
    await client.count(backlog)
    assert client.payloads == numbered(backlog)
    assert client.session.overrun == beyond
    assert client.session.outstanding == outstanding
    assert client.session.connected
    await client.session.disconnect()
    await sender.session.disconnect()


async def test_a_broker_that_freezes_is_found_dead(
    clients: Clients,
    broker_factory: BrokerFactory,
) -> None:
    broker = broker_factory()
    client = clients(broker, "frozen", keep_alive=2)
    await client.connect("frozen")
    with broker.paused():
        async with asyncio.timeout(WITHIN):
            lost = await client.session.wait_lost()
        assert "silent" in str(lost)
    assert (await client.connect()).session_present


async def test_a_quiet_session_is_kept_by_its_pings(clients: Clients, broker_factory: BrokerFactory) -> None:
    broker = broker_factory()
    client = clients(broker, "quiet", keep_alive=1)
    await client.connect("quiet")
    with suppress(TimeoutError):
        async with asyncio.timeout(3):
            pytest.fail(f"lost: {await client.session.wait_lost()}")
    assert client.session.connected


class TestRefusals:
    @pytest.fixture
    def guarded(self, broker_factory: BrokerFactory, tmp_path: Path) -> Broker:
        passwords, access = tmp_path / "passwords", tmp_path / "access"
        subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "device", "right"], check=True)
        access.write_text("user device\ntopic read open/#\ntopic write open/#\n")
        for file in (passwords, access):
            file.chmod(0o644)
        return broker_factory(f"password_file {passwords}", f"acl_file {access}", anonymous=False)

    @pytest.mark.parametrize("password", [b"wrong", None])
    async def test_wrong_credentials_are_refused(
        self, clients: Clients, guarded: Broker, password: bytes | None
    ) -> None:
        username = "device" if password else None
        client = clients(guarded, "device", username=username, password=password)
        with pytest.raises(ConnectRefused, match="check user name, password") as caught:
            await client.connect()
        assert caught.value.reason == 0x87
        assert not client.session.connected

    async def test_a_publish_the_broker_refuses_is_reported(self, clients: Clients, guarded: Broker) -> None:
        client, tally = clients(guarded, "device", username="device", password=b"right"), Tally(1)
        await client.connect()
        client.session.publish("closed/a", b"x", on_ack=tally)
        await tally.wait()
        assert tally.codes == [0x87]
        assert client.session.in_flight == 0

    async def test_a_packet_beyond_the_brokers_limit_is_refused_before_it_is_sent(
        self, clients: Clients, broker_factory: BrokerFactory
    ) -> None:
        client = clients(broker_factory("max_packet_size 1000"), "large")
        await client.connect()
        with pytest.raises(ValueError, match="the broker accepts at most 1000"):
            client.session.publish("t", b"x" * 1_000)
        assert client.session.connected


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of its own authority for 127.0.0.1, good for a day."""
    directory = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "1", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", directory / "key.pem", "-out", directory / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    return directory


class TestTls:
    @pytest.fixture
    def tls_broker(self, broker_factory: BrokerFactory, certificates: Path) -> Broker:
        return broker_factory(f"certfile {certificates / 'cert.pem'}", f"keyfile {certificates / 'key.pem'}")

    async def test_messages_pass_through_tls(
        self, clients: Clients, tls_broker: Broker, certificates: Path
    ) -> None:
        context = ssl.create_default_context(cafile=str(certificates / "cert.pem"))
        client = clients(tls_broker, "tls", tls=context, queue=5_000)
        await client.connect("tls")
        tally = Tally(2_000)
        for number in range(tally.expected):
            client.session.publish("tls", b"%d" % number * 100, on_ack=tally)
        client.session.publish("tls", b"x" * 500_000)
        await tally.wait()
        await client.count(tally.expected + 1)
        assert client.payloads == [
            *(b"%d" % number * 100 for number in range(tally.expected)),
            b"x" * 500_000,
        ]
        await client.session.disconnect()

    async def test_an_untrusted_certificate_is_refused(self, clients: Clients, tls_broker: Broker) -> None:
        client = clients(tls_broker, "tls", tls=ssl.create_default_context())
        with pytest.raises(ConnectRefused, match=r"its certificate is not trusted: self.signed certificate"):
            await client.connect()

    async def test_tls_to_a_plain_listener_is_refused(self, clients: Clients, broker: Broker) -> None:
        client = clients(broker, "tls", tls=ssl.create_default_context())
        with pytest.raises((ConnectionLost, ConnectRefused), match=f"mqtts://127.0.0.1:{broker.port}"):
            await client.connect()

    async def test_a_plain_connection_to_a_tls_listener_is_refused(
        self, clients: Clients, tls_broker: Broker
    ) -> None:
        client = clients(tls_broker, "plain")
        with pytest.raises((ConnectRefused, ConnectionLost), match=r"speaks TLS|did not answer CONNECT"):
            await client.connect()

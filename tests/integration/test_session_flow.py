"""A session and a real Mosquitto under load: what is held, in flight, pinged and found dead."""

import asyncio
import itertools
from contextlib import suppress

import mqtt5
import pytest

from tests.conftest import BrokerFactory
from tests.integration.session_clients import WITHIN, Acknowledgements, Clients, numbered
from tests.servers.broker import Broker


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
    acks = Acknowledgements(total)
    for _ in range(total):
        sender.session.publish("paused", payload, on_ack=acks)
    await acks.wait()
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
    acks = Acknowledgements(count * each)
    for number, (at, client) in itertools.product(range(each), enumerate(senders)):
        client.session.publish(f"many/{at}", b"%d" % number, on_ack=acks)
    await acks.wait()
    await receiver.count(count * each)
    assert set(acks.codes) == {0}
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
    acks = Acknowledgements(backlog)
    for payload in numbered(backlog):
        sender.session.publish("overrun", payload, on_ack=acks)
    await acks.wait()
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

"""Messages, sessions and wills pass between a session and a real Mosquitto, through restarts too."""

import asyncio

import mqtt5

from fleet_wire.session import Session
from tests.conftest import BrokerFactory
from tests.integration.session_clients import Acknowledgements, Clients, numbered, other, put
from tests.servers.broker import Broker


async def test_messages_pass_to_and_from_another_implementation(clients: Clients, broker: Broker) -> None:
    client = clients(broker, "both-ways")
    await client.connect("both-ways/in")
    async with other(broker) as stranger:
        await stranger.subscribe("both-ways/out", qos=1)
        await stranger.publish("both-ways/in", b"hello", qos=1)
        await client.count(1)
        acks = Acknowledgements(1)
        client.session.publish("both-ways/out", b"x" * 60_000, expiry=60, correlation=b"id", on_ack=acks)
        message = await anext(aiter(stranger.messages))
        await acks.wait()
    assert client.payloads == [b"hello"]
    assert message.payload == b"x" * 60_000
    assert message.properties
    assert message.properties.CorrelationData == b"id"  # type: ignore[attr-defined]
    assert acks.codes == [0]
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
    acks = Acknowledgements(3_000)
    payloads = numbered(acks.expected)
    for start in range(0, acks.expected, 1_000):
        for payload in payloads[start : start + 1_000]:
            sender.session.publish("restart", payload, on_ack=acks)
        if start < 2_000:
            await receiver.count(start + 100)
            await asyncio.to_thread(broker.restart)
            for client in (receiver, sender):
                lost = await client.session.wait_lost()
                assert lost.reason in {None, 0x8B}
                assert (await client.connect()).session_present
    await acks.wait()
    await receiver.until(lambda: len(set(receiver.payloads)) == acks.expected)
    assert set(acks.codes) == {0}
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
        acks = Acknowledgements(100)
        for payload in numbered(100):
            sender.session.publish("forgot", payload, on_ack=acks)
        assert sender.session.in_flight
        broker.kill()
    await sender.session.wait_lost()
    await asyncio.to_thread(broker.start)
    receiver = clients(broker, "receiver")
    await receiver.connect("forgot")
    assert not (await sender.connect()).session_present
    await acks.wait()
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

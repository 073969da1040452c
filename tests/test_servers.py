"""The real servers of the tests do what the tests that use them rely on."""

import socket

import aiomqtt
import pytest

from tests.conftest import BrokerFactory
from tests.servers.broker import Broker
from tests.servers.influx import Influx
from tests.servers.process import ServerFailed

FLUX = 'from(bucket: "{}") |> range(start: 0) |> filter(fn: (r) => r._field == "mean")'


def test_influx_keeps_points_across_a_kill(influx: Influx) -> None:
    bucket = influx.fresh_bucket()
    influx.write(
        bucket, "sensor,device=a count=1i,mean=2.5 1700000000000\nsensor,device=b mean=3.5 1700000000000"
    )
    influx.restart(kill=True)
    rows = influx.query(FLUX.format(bucket))
    assert sorted(row["_value"] for row in rows) == ["2.5", "3.5"]


def test_influx_refuses_what_is_older_than_the_retention(influx: Influx) -> None:
    bucket = influx.fresh_bucket(retention_s=3600)
    with pytest.raises(AssertionError, match="422"):
        influx.write(bucket, "sensor,device=a mean=1 1600000000000")


def test_influx_buckets_are_apart(influx: Influx) -> None:
    written, empty = influx.fresh_bucket(), influx.fresh_bucket()
    influx.write(written, "sensor,device=a mean=1 1700000000000")
    assert influx.query(FLUX.format(empty)) == []


async def test_a_kill_takes_the_queue_back_to_the_last_save(broker_factory: BrokerFactory) -> None:
    broker = broker_factory()
    await _subscribe(broker)
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.publish("queue/1", b"kept", qos=1)
    broker.restart()
    assert await _queued(broker, 1) == [b"kept"]
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.publish("queue/1", b"lost", qos=1)
    broker.restart(kill=True)
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.publish("queue/1", b"later", qos=1)
    assert await _queued(broker, 2) == [b"kept", b"later"]


def test_a_paused_broker_answers_nothing_until_it_is_resumed(broker: Broker) -> None:
    connect = b"\x10\x0f\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x02ab"
    with broker.paused(), socket.create_connection((broker.host, broker.port), timeout=0.2) as connection:
        connection.sendall(connect)
        with pytest.raises(TimeoutError):
            connection.recv(100)
        broker.resume()
        connection.settimeout(60)
        assert connection.recv(100)[0] == 0x20  # CONNACK


def test_a_broker_that_cannot_start_says_why(broker_factory: BrokerFactory) -> None:
    with pytest.raises(ServerFailed, match="no_such_option"):
        broker_factory("no_such_option 1")


async def _subscribe(broker: Broker) -> None:
    async with aiomqtt.Client(broker.host, broker.port, identifier="absent", clean_session=False) as client:
        await client.subscribe("queue/#", qos=1)


async def _queued(broker: Broker, count: int) -> list[bytes]:
    payloads: list[bytes] = []
    async with aiomqtt.Client(broker.host, broker.port, identifier="absent", clean_session=False) as client:
        await client.subscribe("queue/#", qos=1)
        async for message in client.messages:
            payloads.append(bytes(message.payload))
            if len(payloads) == count:
                break
    return payloads

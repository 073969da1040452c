"""How many deliveries are taken at once, and what is reported when the echo does not return."""

import asyncio
from pathlib import Path

import aiomqtt
import pytest
from mqtt5 import PublishPacket, QoS

from edge_gateway.mqtt.broker_trouble import UNREACHED
from edge_gateway.mqtt.caught_up_clock import CaughtUpClock
from edge_gateway.mqtt.ownership import Ownership
from edge_gateway.mqtt.source import (
    MOST_AT_ONCE,
    MOST_BYTES_AT_ONCE,
    OVERHEAD,
    SILENT_AFTER,
    STANDSTILL,
    Source,
)
from edge_gateway.mqtt.subscriptions import FilterList, Subscriptions
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import Problems
from fleet_wire import topics
from fleet_wire.errors import SESSION_TAKEN_OVER, ConnectionLost
from fleet_wire.session import SessionOptions
from tests.servers.broker import Broker
from tests.servers.process import free_port

NOW = [0]


@pytest.fixture
def source(tmp_path: Path) -> Source:
    problems = Problems(lambda: 0)
    NOW[0] = 0
    return Source(
        lambda: SessionOptions("localhost", 1, "gw"),
        Subscriptions((), FilterList(tmp_path / "list", "gw"), problems),
        "echo",
        lambda: NOW[0],
        CaughtUpClock(),
        Counters(),
        problems,
        Ownership(("us",), lambda: 0.0, Counters(), problems),
    )


def packets(count: int, size: int) -> list[PublishPacket]:
    return [
        PublishPacket(f"t/{number}", bytes(size), qos=QoS.AT_LEAST_ONCE, packet_id=number + 1)
        for number in range(count)
    ]


def taken(source: Source) -> list[int]:
    """How many deliveries come each time, until none is left; and that they come in order."""
    counts, names = [], []
    while source.waiting:
        given = [packet.topic for part in source.take() for packet in part.packets]
        counts.append(len(given))
        names += given
    assert names == sorted(names, key=lambda topic: int(topic[2:]))
    return counts


async def test_small_messages_are_taken_up_to_a_number(source: Source) -> None:
    source._take_in(1, packets(2 * MOST_AT_ONCE + 1, 100))
    assert taken(source) == [MOST_AT_ONCE, MOST_AT_ONCE, 1]


async def test_large_messages_are_taken_up_to_a_number_of_bytes(source: Source) -> None:
    whole = MOST_BYTES_AT_ONCE // 8
    source._take_in(1, packets(20, whole - OVERHEAD))
    assert taken(source) == [8, 8, 4]


async def test_a_message_over_the_byte_limit_is_taken_alone(source: Source) -> None:
    source._take_in(1, packets(3, MOST_BYTES_AT_ONCE))
    assert taken(source) == [1, 1, 1]
    assert source.unacknowledged == 3 * (MOST_BYTES_AT_ONCE + OVERHEAD)


def echo_problem(source: Source) -> str:
    return next((one.text for one in source.problems if one.code == "echo"), "")


@pytest.mark.parametrize(
    ("reason", "words"), [(0x87, "check the ACL for echo"), (0x97, "quota"), (0x80, "0x80")]
)
def test_a_refused_echo_is_a_problem_until_one_returns(source: Source, reason: int, words: str) -> None:
    source.listening.connected(0)
    assert source.listening.echo_due(0) is not None
    source._echo_answered(reason)
    assert words in echo_problem(source)
    source._check_echo()
    assert echo_problem(source)
    NOW[0] = 1_000
    echo = source.listening.echo_due(1_000)
    assert echo is not None
    source._echo_answered(0)
    source.listening.echo_received(1_001, echo)
    source._check_echo()
    assert not echo_problem(source)


@pytest.mark.problem("raises", "echo")
@pytest.mark.problem("clears", "echo")
def test_a_missing_echo_is_reported_unless_deliveries_arrive(source: Source) -> None:
    source.listening.connected(0)
    echo = source.listening.echo_due(0)
    assert echo is not None
    for NOW[0] in range(0, 3 * SILENT_AFTER, 1_000):
        source._take_in(1, packets(1, 10))
        source._check_echo()
    assert not echo_problem(source)
    NOW[0] += SILENT_AFTER + 1
    source._check_echo()
    assert "lets it read echo" in echo_problem(source)
    source.listening.echo_received(NOW[0], echo)
    source.listening.echo_received(NOW[0] + 1, source.listening.echo_due(NOW[0] + 1) or b"")
    source._check_echo()
    assert not echo_problem(source)


def test_a_gateway_that_stood_still_waits_for_the_echo_as_long_again(source: Source) -> None:
    source.listening.connected(0)
    assert source.listening.echo_due(0) is not None
    NOW[0] = 2 * SILENT_AFTER
    source._note_standstill(NOW[0] - STANDSTILL - 1)
    source._check_echo()
    assert not echo_problem(source)
    NOW[0] += SILENT_AFTER + 1
    source._note_standstill(NOW[0] - STANDSTILL)
    source._check_echo()
    assert echo_problem(source)


async def test_an_echo_too_large_for_the_broker_ends_nothing(source: Source) -> None:
    source._session._largest = 5
    source._publish_echo(b"x")
    assert "the broker accepts at most 5" in echo_problem(source)


# --- connections


def told(source: Source, code: str) -> str:
    return next((one.text for one in source.problems if one.code == code), "")


async def test_a_broker_that_is_not_there_is_named_once(source: Source) -> None:
    port = free_port()
    source.connect_options = lambda: SessionOptions("127.0.0.1", port, "gw")
    running = asyncio.create_task(source.run())
    async with asyncio.timeout(60):
        while not told(source, "broker"):  # noqa: ASYNC110 - nothing tells of a new problem
            await asyncio.sleep(0.01)
    running.cancel()
    assert told(source, "broker") == f"cannot reach mqtt://127.0.0.1:{port}: Connection refused; {UNREACHED}"
    assert source.counters.broker_connections_lost == 0, "a try that failed is no connection"


async def test_only_a_connection_that_the_broker_had_accepted_is_lost(source: Source, tmp_path: Path) -> None:
    broker = Broker(tmp_path / "broker")
    broker.start()
    source.subscriptions.wanted = topics.device_filters(["source-test"])
    source.connect_options = lambda: SessionOptions(broker.host, broker.port, "edge-source-lost")
    running = asyncio.create_task(source.run())
    try:
        async with asyncio.timeout(60):
            while not source.listening.subscribed:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
    finally:
        broker.kill()
    async with asyncio.timeout(60):
        while "cannot reach" not in told(source, "broker"):  # noqa: ASYNC110 - nothing tells of a new problem
            await asyncio.sleep(0.01)
    running.cancel()
    assert source.counters.broker_connections_lost == 1


def test_a_connection_that_ended_names_the_broker(source: Source) -> None:
    source._lost(ConnectionLost("the connection broke: Broken pipe"))
    assert (
        told(source, "broker") == f"the broker at localhost:1: the connection broke: Broken pipe; {UNREACHED}"
    )


def test_deliveries_of_a_lost_connection_are_dropped_since_they_come_again(source: Source) -> None:
    source._take_in(1, packets(3, 10))
    source._lost(ConnectionLost("gone"))
    assert (source.waiting, source.unacknowledged) == (0, 0)


def test_a_connection_that_was_taken_over_makes_way_and_is_no_fault_of_the_broker(source: Source) -> None:
    source._lost(ConnectionLost("gone"))
    source._lost(ConnectionLost("session taken over", SESSION_TAKEN_OVER))
    assert not source.ownership.held
    assert not told(source, "broker")
    assert told(source, "taken_over")


async def test_reading_pauses_at_the_high_mark_and_goes_on_below_the_low_one(
    source: Source, broker: Broker
) -> None:
    """What was put back is taken first; what is acknowledged makes room for the rest."""
    source.high, source.low = 3 * OVERHEAD, 2 * OVERHEAD
    source.subscriptions.wanted = topics.device_filters(["source-test"])
    source.connect_options = lambda: SessionOptions(broker.host, broker.port, "edge-source-test")
    topic = topics.device_topic("source-test", "d", topics.TELEMETRY)
    running = asyncio.create_task(source.run())
    try:
        async with asyncio.timeout(60), aiomqtt.Client(broker.host, broker.port) as client:
            while not source.listening.subscribed:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
            for number in range(5):
                await client.publish(topic, str(number), qos=1)
            while not source.counters.reading_paused:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
            await source.let_gather(0.0)
            given = source.take()
            assert (source.waiting, source.unacknowledged) == (0, sum(part.size for part in given))
            source.put_back(given)
            bodies: list[bytes] = []
            while len(bodies) < 5:
                await source.wait_for_deliveries()
                given = source.take()
                bodies += [packet.payload for part in given for packet in part.packets]
                source.acknowledge(given)
            assert bodies == [b"0", b"1", b"2", b"3", b"4"]
            assert source.unacknowledged == 0
    finally:
        await source.close()
        running.cancel()
    assert not source.connected


async def test_deliveries_wait_until_it_is_known_whether_the_spool_is_the_newest(source: Source) -> None:
    source._take_in(1, packets(1, 100))
    waiting = asyncio.create_task(source.wait_for_deliveries())
    await asyncio.sleep(0)
    assert not waiting.done()
    await source.ownership.learned()
    await waiting
    assert taken(source) == [1]

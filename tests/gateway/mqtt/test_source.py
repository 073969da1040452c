"""How many deliveries are taken at once, and what is reported when the echo does not return."""

from pathlib import Path

import pytest
from mqtt5 import PublishPacket, QoS

from edge_gateway.mqtt.caught_up_clock import CaughtUpClock
from edge_gateway.mqtt.ownership import Ownership
from edge_gateway.mqtt.source import MOST_AT_ONCE, MOST_BYTES_AT_ONCE, OVERHEAD, SILENT_AFTER, Source
from edge_gateway.mqtt.subscriptions import FilterList, Subscriptions
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import Problems
from fleet_wire.session import SessionOptions

NOW = [0]


@pytest.fixture
def source(tmp_path: Path) -> Source:
    problems = Problems(lambda: 0)
    NOW[0] = 0
    return Source(
        lambda: SessionOptions("localhost", 1, "gw"),
        Subscriptions((), FilterList(tmp_path / "list", "gw"), problems, lambda: 0),
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
    counts, topics = [], []
    while source.waiting:
        given = [packet.topic for part in source.take() for packet in part.packets]
        counts.append(len(given))
        topics += given
    assert topics == sorted(topics, key=lambda topic: int(topic[2:]))
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


async def test_an_echo_too_large_for_the_broker_ends_nothing(source: Source) -> None:
    source._session._largest = 5
    source._publish_echo(b"x")
    assert "the broker takes 5" in echo_problem(source)

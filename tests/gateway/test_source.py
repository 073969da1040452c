"""How many deliveries are handed over at once."""

import pytest
from mqtt5 import PublishPacket, QoS

from edge_gateway.listening import ListeningClock
from edge_gateway.ownership import Ownership
from edge_gateway.source import MOST_AT_ONCE, MOST_BYTES_AT_ONCE, OVERHEAD, Source
from edge_gateway.status import Counters, Problems
from fleet_wire.session import SessionOptions


@pytest.fixture
def source() -> Source:
    return Source(
        SessionOptions("localhost", 1, "gw"),
        (),
        "echo",
        lambda: 0,
        ListeningClock(),
        Counters(),
        Problems(lambda: 0),
        Ownership(["0" * 16], lambda: 0.0, Counters(), Problems(lambda: 0)),
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


async def test_small_messages_come_by_number(source: Source) -> None:
    source._take_in(1, packets(2 * MOST_AT_ONCE + 1, 100))
    assert taken(source) == [MOST_AT_ONCE, MOST_AT_ONCE, 1]


async def test_large_messages_come_by_their_bytes(source: Source) -> None:
    whole = MOST_BYTES_AT_ONCE // 8
    source._take_in(1, packets(20, whole - OVERHEAD))
    assert taken(source) == [8, 8, 4]


async def test_what_is_larger_than_all_that_may_come_at_once_comes_alone(source: Source) -> None:
    source._take_in(1, packets(3, MOST_BYTES_AT_ONCE))
    assert taken(source) == [1, 1, 1]
    assert source.unacknowledged == 3 * (MOST_BYTES_AT_ONCE + OVERHEAD)

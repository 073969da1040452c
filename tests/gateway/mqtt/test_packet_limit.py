"""The broker's limit is what CONNACK says, or what connections that end teach."""

from __future__ import annotations

import pytest

from edge_gateway.mqtt.packet_limit import ENDS_TO_LEARN, LEARNED_FOR, LEAST_LEARNED, PacketLimit
from edge_gateway.mqtt.refusals import REFUSED
from tests.gateway.mqtt.messages import BULKY, statuses
from tests.gateway.mqtt.strict_broker import Rig, StrictBroker


@pytest.mark.parametrize("tells_why", [True, False], ids=["0x95", "without a word"])
async def test_an_unannounced_limit_is_learned_from_few_lost_connections(tells_why: bool) -> None:
    async with StrictBroker() as broker:
        broker.largest, broker.says_size, broker.tells_why = 2_000, False, tells_why
        async with Rig(broker.port, BULKY) as rig:
            await rig.until(lambda: statuses(broker))
            assert len(broker.connects) <= (2 if tells_why else ENDS_TO_LEARN + 1) * 4


def test_a_learned_limit_expires_and_small_packets_teach_nothing() -> None:
    at = [0.0]
    limit = PacketLimit(lambda: at[0])
    for _ in range(10):
        limit.lost(None, LEAST_LEARNED)
    assert not limit.known
    for _ in range(ENDS_TO_LEARN):
        limit.lost(None, 5_000)
    assert limit.max_bytes == 4_999
    limit.lost(0x95, 3_000)
    assert limit.max_bytes == 2_999
    limit.connected(1_000)
    assert limit.max_bytes == 1_000
    limit.connected(None)
    at[0] += LEARNED_FOR + 1
    assert not limit.known


def test_an_acknowledgement_between_losses_rules_the_size_out() -> None:
    limit = PacketLimit(lambda: 0.0)
    for _ in range(10):
        limit.lost(None, 5_000)
        limit.answered()
    assert not limit.known
    assert REFUSED == 0x80

"""Messages too large for the broker are shortened or dropped, and reported."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_gateway.fold.messages import Message
from edge_gateway.mqtt.fitting import packet_size
from edge_gateway.mqtt.oversized import OversizedMessages
from edge_gateway.status.problem import Gravity
from edge_gateway.status.problems import Problems
from fleet_wire import control_messages
from tests.gateway.mqtt.messages import ALERT, BULKY, command, firing, statuses
from tests.gateway.mqtt.strict_broker import NONCE, Rig, StrictBroker


async def test_a_message_too_large_is_shortened_or_reported_and_never_ends_the_connection() -> None:
    async with StrictBroker() as broker:
        broker.largest = 600
        async with Rig(broker.port, BULKY) as rig:
            rig.control.send([firing(), command(payload=bytes(700))])
            await rig.until(lambda: rig.told)
            await rig.until(lambda: statuses(broker))
            ((device, name, why, for_good),) = rig.told
            assert (device, name, for_good) == ("frz-1", "c1", True)
            assert "and it takes 600" in why
            await rig.until(lambda: any(one.topic == ALERT for one in broker.taken))
            told = rig.problem("packet_size")
            assert "statuses are shortened, alerts are shortened, commands are not sent" in told
            assert "max_packet_size" in told
            (problem,) = rig.problems
            assert problem.gravity is Gravity.WARNING
            assert len(broker.connects) == 1
        said = control_messages.decode_gateway_status(statuses(broker)[-1].payload)
        assert (said["state"], said["nonce"]) == ("online", NONCE)


@pytest.mark.problem("raises", "packet_size")
@pytest.mark.problem("clears", "packet_size")
async def test_a_larger_packet_limit_clears_the_problem() -> None:
    async with StrictBroker() as broker:
        broker.largest = 600
        async with Rig(broker.port, BULKY) as rig:
            await rig.until(lambda: rig.problem("packet_size"))
            broker.largest = 1 << 20
            broker.end(None)
            await rig.until(lambda: not rig.problem("packet_size"))
            assert len(broker.connects) == 2, "a limit is told in each CONNACK"


def test_a_kind_is_affected_until_one_of_it_is_sent_whole() -> None:
    problems = Problems(lambda: 0)
    oversized = OversizedMessages(problems)
    status, reply = Message("edge/v1/gw/status", b"long"), Message("edge/v1/gw/reply", b"long")
    oversized.record(status, replace(status, payload=b"l"), 20)
    oversized.record(reply, None, 20)
    (problem,) = problems
    assert problem.text.startswith(
        "the broker accepts packets of 20 bytes: statuses are shortened, replies are not sent"
    )
    oversized.record(reply, reply, 20)
    (problem,) = problems
    assert problem.text.startswith("the broker accepts packets of 20 bytes: statuses are shortened;")
    oversized.record(status, status, 20)
    assert list(problems) == []


def test_the_reason_names_both_sizes() -> None:
    message = Message("edge/v1/gw/reply", bytes(100))
    reason = OversizedMessages(Problems(lambda: 0)).reason(message, 64)
    assert reason == f"too large for the broker: {packet_size(message)} bytes, and it takes 64"

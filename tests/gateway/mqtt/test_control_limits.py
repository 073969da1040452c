"""What CONNACK bounds is obeyed; what it does not say is learned from ends of connections, in few tries."""

from __future__ import annotations

import asyncio

import mqtt5
import pytest

from edge_gateway.fold.messages import Message
from edge_gateway.mqtt.control_session import SETTLED
from edge_gateway.mqtt.packet_limit import ENDS_TO_LEARN, LEARNED_FOR, LEAST_LEARNED, PacketLimit
from edge_gateway.mqtt.refusals import REFUSED
from edge_gateway.status.problem import Gravity
from fleet_wire import control_messages
from tests.gateway.mqtt.strict_broker import NONCE, Rig, StrictBroker

ALERT = "edge/v1/gw/alerts/berlin/frz-1/TooWarm"
BULKY = {
    "gateway": "gw",
    "version": "1",
    "state": "online",
    "at": 1,
    "started": 1,
    "nonce": NONCE,
    "gaps": {"ranges": [{"device": f"frz-{number}", "from": 1, "to": 2} for number in range(100)]},
    "definitions": {"sum": "exact" * 20},
    "rules": {"problems": ["x" * 500]},
    "metrics": {f"metric_{number}": {"unit": "°C"} for number in range(50)},
    "counters": {},
    "problems": [],
}


def firing() -> Message:
    alert = control_messages.Alert(
        id="a",
        group="g",
        rule="TooWarm",
        level="critical",
        state="firing",
        subject="frz-1",
        at=1,
        annotations={"summary": "x" * 2_000},
    )
    return Message(ALERT, control_messages.encode_alert(alert), retain=True)


def statuses(broker: StrictBroker) -> list[mqtt5.PublishPacket]:
    return [one for one in broker.taken if one.topic == "edge/v1/gw/status"]


async def test_what_is_too_large_is_shortened_or_told_and_never_ends_the_connection() -> None:
    async with StrictBroker() as broker:
        broker.largest = 600
        async with Rig(broker.port, BULKY) as rig:
            command = Message(
                "fleet/v1/berlin/frz-1/command", bytes(700), expires_at=60_000, correlation=b"c1"
            )
            rig.control.send([firing(), command])
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
async def test_a_broker_with_room_again_ends_the_problem() -> None:
    async with StrictBroker() as broker:
        broker.largest = 600
        async with Rig(broker.port, BULKY) as rig:
            await rig.until(lambda: rig.problem("packet_size"))
            broker.largest = 1 << 20
            broker.end(None)
            await rig.until(lambda: not rig.problem("packet_size"))


@pytest.mark.parametrize("tells_why", [True, False], ids=["0x95", "without a word"])
async def test_a_broker_that_names_no_bound_is_understood_after_few_ends(tells_why: bool) -> None:
    async with StrictBroker() as broker:
        broker.largest, broker.says_size, broker.tells_why = 2_000, False, tells_why
        async with Rig(broker.port, BULKY) as rig:
            await rig.until(lambda: statuses(broker))
            assert len(broker.connects) <= (2 if tells_why else ENDS_TO_LEARN + 1) * 4


async def test_no_more_is_under_way_than_the_broker_receives() -> None:
    async with StrictBroker() as broker:
        broker.limits, broker.answers_late = {"receive_max": 3}, True
        async with Rig(broker.port) as rig:
            rig.control.send([firing()] * 50)
            await rig.until(lambda: sum(one.topic == ALERT for one in broker.taken) == 50)
            assert 1 < broker.most_unanswered <= 3


@pytest.mark.problem("raises", "no_retain")
@pytest.mark.problem("clears", "no_retain")
async def test_a_broker_that_cannot_retain_gets_nothing_retained_and_is_told_of() -> None:
    async with StrictBroker() as broker:
        broker.limits = {"retain_available": False}
        async with Rig(broker.port) as rig:
            rig.control.send([firing(), Message(ALERT, b"", retain=True)])
            await rig.until(lambda: rig.problem("no_retain"))
            await rig.until(lambda: any(one.topic == ALERT for one in broker.taken))
            assert not any(one.retain for one in broker.seen)
            broker.limits = {}
            broker.end(None)
            await rig.until(lambda: not rig.problem("no_retain"))


async def test_a_will_that_cannot_be_retained_is_made_one_that_is_not() -> None:
    async with StrictBroker() as broker:
        broker.limits = {"reason_code": mqtt5.ConnAckReasonCode.RETAIN_NOT_SUPPORTED}
        async with Rig(broker.port) as rig:
            await rig.until(lambda: broker.connects)
            broker.limits = {"retain_available": False}
            await rig.until(lambda: broker.taken)
            first, *_, last = [connect.will for connect in broker.connects]
            assert first is not None
            assert last is not None
            assert (first.retain, last.retain) == (True, False)


@pytest.mark.problem("raises", "control_connection")
@pytest.mark.problem("clears", "control_connection")
async def test_a_broker_without_qos_1_is_told_of_and_not_used() -> None:
    async with StrictBroker() as broker:
        broker.limits = {"max_qos": mqtt5.QoS.AT_MOST_ONCE}
        async with Rig(broker.port) as rig:
            await rig.until(lambda: "QoS 1" in rig.problem("control_connection"))
            assert not broker.seen
            broker.limits = {}
            await rig.until(lambda: broker.seen)
            rig.at += SETTLED
            await rig.until(lambda: not rig.problem("control_connection"))


async def test_a_connection_that_is_lost_at_once_is_not_tried_three_times_a_second() -> None:
    async with StrictBroker() as broker:
        broker.ends_after = lambda: 6
        async with Rig(broker.port) as rig:
            begun = asyncio.get_running_loop().time()
            await rig.until(lambda: len(broker.connects) == 6)
            assert asyncio.get_running_loop().time() - begun > 0.25 + 0.5 + 1 + 2 + 4
            assert rig.problem("control_connection")


def test_what_was_learned_is_forgotten_and_small_packets_teach_nothing() -> None:
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


def test_a_broker_that_answers_in_between_is_not_short_of_room() -> None:
    limit = PacketLimit(lambda: 0.0)
    for _ in range(10):
        limit.lost(None, 5_000)
        limit.answered()
    assert not limit.known
    assert REFUSED == 0x80

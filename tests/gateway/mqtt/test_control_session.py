"""What the control connection does with a broker that is away, refuses, or lacks features."""

from __future__ import annotations

import asyncio
import ssl
import time

import aiomqtt
import mqtt5
import pytest

from edge_gateway.fold.messages import Message
from edge_gateway.mqtt.control_session import SETTLED, _in_words
from edge_gateway.mqtt.packet_limit import ENDS_TO_LEARN, LEAST_LEARNED
from edge_gateway.status.catalogue import Problem
from tests.gateway.mqtt.messages import ALERT, firing
from tests.gateway.mqtt.strict_broker import Rig, StrictBroker
from tests.servers.process import free_port

LONG = 30.0


MESSAGE = Message("edge/v1/gw/reply", b"x")


async def test_a_drain_does_not_wait_for_a_broker_that_was_never_there() -> None:
    async with Rig(free_port()) as rig:
        rig.control.send([MESSAGE])
        begun = time.monotonic()
        assert not await rig.control.drained(LONG)
        assert time.monotonic() - begun < LONG / 2


async def test_a_drain_does_not_wait_for_a_lost_broker() -> None:
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        await rig.until(lambda: broker.taken)
        broker.ends_after = lambda: 0
        broker.end(None)
        rig.control.send([MESSAGE])
        begun = time.monotonic()
        assert not await rig.control.drained(LONG)
        assert time.monotonic() - begun < LONG / 2


@pytest.mark.parametrize("packets", [1, 4, 6])
async def test_a_drain_does_not_wait_for_a_broker_that_accepts_and_hangs_up(packets: int) -> None:
    async with StrictBroker() as broker:
        broker.ends_after = lambda: packets
        broker.largest = 30
        broker.says_size = False
        async with Rig(broker.port) as rig:
            await rig.until(lambda: len(broker.connects) > 1)
            rig.control.send([MESSAGE])
            begun = time.monotonic()
            assert not await rig.control.drained(LONG)
            assert time.monotonic() - begun < LONG / 2


async def test_a_drain_waits_for_a_slow_broker() -> None:
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        await rig.until(lambda: broker.taken)
        rig.control.send([MESSAGE] * 500)
        draining = asyncio.create_task(rig.control.drained(LONG))
        await asyncio.sleep(0)
        assert not draining.done()
        assert await draining
        assert sum(one.topic == MESSAGE.topic for one in broker.taken) == 500


async def test_a_drain_does_not_wait_for_a_broker_that_refuses_everything() -> None:
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        broker.answer = lambda _: 0x87
        rig.control.send([MESSAGE, Message("edge/v1/gw/alerts/_/_gateway/disk", b"x", retain=True)])
        await rig.until(lambda: broker.seen)
        begun = time.monotonic()
        assert await rig.control.drained(LONG)
        assert time.monotonic() - begun < LONG / 2


async def test_only_the_newest_status_waits_for_the_broker() -> None:
    async with Rig(free_port()) as rig:
        for _ in range(100):
            rig.control.send([MESSAGE])
            rig.control.publish_status()
        assert rig.control.queued == 101


@pytest.mark.problem("raises", "no_retain")
@pytest.mark.problem("clears", "no_retain")
async def test_a_broker_without_retain_gets_nothing_retained_and_is_reported() -> None:
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


async def test_a_refused_retained_will_is_replaced_by_a_plain_one() -> None:
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
async def test_a_broker_without_qos_1_is_reported_and_not_used() -> None:
    async with StrictBroker() as broker:
        broker.limits = {"max_qos": mqtt5.QoS.AT_MOST_ONCE}
        async with Rig(broker.port) as rig:
            await rig.until(lambda: "QoS 1" in rig.problem("control_connection"))
            assert not broker.seen
            broker.limits = {}
            await rig.until(lambda: broker.seen)
            rig.at += SETTLED
            await rig.until(lambda: not rig.problem("control_connection"))


async def test_connections_lost_at_once_are_retried_ever_more_slowly() -> None:
    async with StrictBroker() as broker:
        broker.ends_after = lambda: 6
        async with Rig(broker.port) as rig:
            begun = asyncio.get_running_loop().time()
            await rig.until(lambda: len(broker.connects) == 6)
            assert asyncio.get_running_loop().time() - begun > 0.25 + 0.5 + 1 + 2 + 4
            assert rig.problem("control_connection")


async def test_a_try_that_fails_is_no_connection_lost() -> None:
    async with Rig(free_port()) as rig:
        await rig.until(lambda: rig.control._losses > 1)
        assert rig.counters.control_connections_lost == 0


@pytest.mark.parametrize(("reported", "level"), [(False, "INFO"), (True, "DEBUG")])
async def test_a_try_that_fails_is_told_once_with_the_problem_of_the_broker(
    caplog: pytest.LogCaptureFixture, reported: bool, level: str
) -> None:
    caplog.set_level("DEBUG")
    rig = Rig(free_port())
    if reported:
        rig.control.problems.raise_(Problem.BROKER, "cannot reach it")
    async with rig:
        await rig.until(lambda: "control connection failed" in caplog.text)
    tries = [one for one in caplog.records if one.message.startswith("control connection failed")]
    assert {one.levelname for one in tries} == {level}


async def test_a_connection_that_ends_is_counted_once() -> None:
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        await rig.until(lambda: broker.taken)
        broker.ends_after = lambda: 0
        broker.end(None)
        await rig.until(lambda: rig.control._losses > 1)
        assert rig.counters.control_connections_lost == 1


def from_system(text: str, cause: OSError) -> aiomqtt.MqttError:
    error = aiomqtt.MqttError(text)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (None, "ended"),
        (aiomqtt.MqttError("the connection ended"), "the connection ended"),
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"), "Connection refused"),
        (from_system("[Errno 111] Connection refused", ConnectionRefusedError(111, "x")), "Connection refused"),
        (aiomqtt.MqttError("[Errno 111] Connection refused"), "Connection refused"),
        (from_system("[SSL] x", ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1)")),
         "TLS failed (wrong version number): check that the port is TLS"),
    ],
)  # fmt: skip
def test_the_end_of_a_connection_is_told_in_the_systems_words(error: Exception | None, text: str) -> None:
    assert _in_words(error) == text


async def test_attempts_that_the_broker_does_not_answer_teach_no_packet_size() -> None:
    """A broker that hangs ends one connection under a large packet, and then answers no CONNECT."""
    async with StrictBroker() as broker:
        broker.ends_after = lambda: 0
        async with Rig(broker.port) as rig:
            rig.control.sending.unanswered = 10 * LEAST_LEARNED
            await rig.until(lambda: rig.control._losses > ENDS_TO_LEARN)
            assert not rig.control.sending.limit.known

"""What others write on the gateway's topics is answered, ignored or repaired."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_gateway.mqtt.control_session import RETRY_MOST
from edge_gateway.mqtt.own_topics import REPAIR_EVERY
from edge_gateway.mqtt.retained_alerts import QUIET
from edge_gateway.status.problem import Gravity
from fleet_wire import control_messages
from tests.gateway.mqtt.messages import ALERT, alert
from tests.gateway.mqtt.strict_broker import Rig, StrictBroker


@pytest.mark.problem("raises", "control_subscriptions")
@pytest.mark.problem("clears", "control_subscriptions")
async def test_refused_subscriptions_are_named_and_retried() -> None:
    async with StrictBroker() as broker:
        broker.refused_filters = {"edge/v1/gw/command"}
        async with Rig(broker.port) as rig:
            await rig.until(lambda: rig.problem("control_subscriptions"))
            assert "edge/v1/gw/command (not authorised" in rig.problem("control_subscriptions")
            broker.refused_filters = set()
            rig.at += 2 * RETRY_MOST
            await rig.until(lambda: not rig.problem("control_subscriptions"))
            assert len(broker.connects) == 1


async def test_a_broker_without_its_own_counter_is_only_a_notice() -> None:
    async with StrictBroker() as broker:
        broker.refused_filters = {"$SYS/broker/publish/messages/dropped"}
        async with Rig(broker.port) as rig:
            await rig.until(lambda: rig.problem("control_subscriptions"))
            (problem,) = rig.problems
            assert problem.gravity is Gravity.NOTICE


async def test_a_retained_request_is_ignored() -> None:
    request = control_messages.encode_operator_request(control_messages.OperatorRequest(id="r1", do="reload"))
    async with StrictBroker() as broker:
        broker.retained["edge/v1/gw/command"] = request
        async with Rig(broker.port) as rig:
            await rig.until(lambda: rig.counters.operator_requests_retained)
            broker.publish("edge/v1/gw/command", request)
            await rig.until(lambda: [one for one in broker.taken if one.topic.endswith("/reply")])
            assert sum(one.topic.endswith("/reply") for one in broker.seen) == 1


async def test_a_firing_alert_that_the_broker_retains_no_more_is_published_again_once() -> None:
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        rig.fires = [alert("firing")]
        await rig.until(lambda: broker.taken)
        rig.at += QUIET + 1
        await rig.until(lambda: [one for one in broker.taken if one.topic == ALERT])
        rig.at += QUIET + 1
        told = len(broker.seen)
        rig.control.publish_status()
        await rig.until(lambda: len(broker.seen) > told)
        assert [one.payload for one in broker.seen if one.topic == ALERT] == [b"firing"]


async def test_one_that_it_retains_and_one_that_waits_to_be_sent_are_not() -> None:
    async with StrictBroker() as broker:
        broker.retained = {ALERT: b"firing"}
        async with Rig(broker.port) as rig:
            waits = replace(alert("firing"), topic=ALERT + "-2")
            rig.fires = [alert("firing"), waits]
            rig.control.send([waits])
            await rig.until(lambda: [one for one in broker.taken if one.topic == waits.topic])
            rig.at += QUIET + 1
            await rig.until(lambda: rig.control.own_topics.retained._due is None)
            told = len(broker.seen)
            rig.control.publish_status()
            await rig.until(lambda: len(broker.seen) > told)
            assert [one.topic for one in broker.seen if "/alerts/" in one.topic] == [waits.topic]


@pytest.mark.parametrize("lacks", ["retain", "alerts"])
async def test_a_broker_that_cannot_tell_gets_none_again(lacks: str) -> None:
    async with StrictBroker() as broker:
        if lacks == "retain":
            broker.limits = {"retain_available": False}
        else:
            broker.refused_filters = {"edge/v1/gw/alerts/#"}
        async with Rig(broker.port) as rig:
            rig.fires = [alert("firing")]
            await rig.until(lambda: broker.taken)
            assert rig.control.own_topics.retained._due is None


@pytest.mark.problem("raises", "forged_alerts")
@pytest.mark.problem("clears", "forged_alerts")
async def test_a_forged_alert_is_repaired_and_reported() -> None:
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        rig.fires = [alert("firing")]
        await rig.until(lambda: broker.taken)
        broker.publish(ALERT, b"forged")
        broker.publish(ALERT + "-2", b"forged")
        await rig.until(lambda: sum("/alerts/" in one.topic for one in broker.taken) == 2)
        put_right = {one.topic: one.payload for one in broker.taken if "/alerts/" in one.topic}
        assert put_right == {ALERT: b"firing", ALERT + "-2": b""}
        (told,) = [one for one in rig.problems if one.code == "forged_alerts"]
        assert told.gravity is Gravity.WARNING
        broker.publish(ALERT, b"forged again")
        broker.publish("edge/v1/gw/command", b"\xff")
        await rig.until(lambda: rig.counters.operator_requests_malformed)
        assert rig.counters.alerts_overwritten == 2
        rig.at += REPAIR_EVERY + 1
        await rig.until(lambda: rig.counters.alerts_overwritten == 3)
        rig.at += 3_500
        rig.problems.expire()
        assert rig.problem("forged_alerts")
        rig.at += 101
        rig.problems.expire()
        assert not rig.problem("forged_alerts")

"""What is sent, sent again, held and reported, by what the broker answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_gateway.fold.messages import Message
from edge_gateway.mqtt.control_session import RETRY_MOST
from edge_gateway.mqtt.sending import PROBE_EVERY
from edge_gateway.status.problem import Gravity
from tests.gateway.mqtt.messages import ALERT, COMMAND, alert, command, firing
from tests.gateway.mqtt.strict_broker import Rig, StrictBroker

REFUSALS = [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]


def refusing(kind: str, code: int, broker: StrictBroker) -> None:
    broker.answer = lambda packet: code if kind in packet.topic else 0


@pytest.mark.parametrize("code", REFUSALS, ids=hex)
@pytest.mark.problem("raises", "refused_commands")
@pytest.mark.problem("clears", "refused_commands")
async def test_a_refused_command_is_a_problem_and_reported_to_the_fold(code: int) -> None:
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        refusing("/command", code, broker)
        rig.control.send([command()])
        await rig.until(lambda: rig.told)
        ((device, name, why, for_good),) = rig.told
        assert (device, name) == ("frz-1", "c1")
        assert why in rig.problem("refused_commands")
        assert "frz-1" in rig.problem("refused_commands")
        assert for_good is (code in {0x90, 0x99})
        if code == 0x87:
            assert why == "not authorised: check the ACL for fleet/v1/+/+/command"
        refusing("nothing", 0, broker)
        rig.control.send([command(2)])
        await rig.until(lambda: not rig.problem("refused_commands"))
        assert not rig.control.queued


async def test_a_command_that_has_lapsed_in_the_queue_is_not_sent() -> None:
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        await rig.until(lambda: broker.taken)
        lapsed = replace(command(1), expires_at=0), replace(command(2), send_by=0)
        rig.control.send([*lapsed, command(3)])
        await rig.until(lambda: any(one.topic == COMMAND for one in broker.taken))
        taken = [one.correlation_data for one in broker.taken if one.topic == COMMAND]
        assert (taken, rig.counters.commands_expired_in_queue) == ([b"c3"], 2)


@pytest.mark.problem("raises", "refused_statuses")
@pytest.mark.problem("clears", "refused_statuses")
async def test_a_refused_status_is_a_failure_until_one_is_accepted() -> None:
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        refusing("/status", 0x87, broker)
        await rig.until(lambda: rig.problem("refused_statuses"))
        assert "edge/v1/gw/status" in rig.problem("refused_statuses")
        (problem,) = rig.problems
        assert problem.gravity is Gravity.FAILURE
        refusing("nothing", 0, broker)
        rig.control.publish_status()
        await rig.until(lambda: not rig.problem("refused_statuses"))


@pytest.mark.problem("raises", "refused_alerts")
@pytest.mark.problem("clears", "refused_alerts")
async def test_refused_alerts_are_retried_in_order() -> None:
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        refusing("/alerts/", 0x87, broker)
        rig.control.send([alert("firing"), alert("resolved"), Message(ALERT, b"", retain=True)])
        await rig.until(lambda: sum("/alerts/" in one.topic for one in broker.seen) == 3)
        await rig.until(lambda: "check the ACL for edge/v1/gw/alerts/#" in rig.problem("refused_alerts"))
        await rig.until(lambda: rig.control.queued == 3)
        refusing("nothing", 0, broker)
        rig.at += 2 * RETRY_MOST
        await rig.until(lambda: not rig.problem("refused_alerts"))
        await rig.until(lambda: not rig.control.queued)
        sent = [one.payload for one in broker.taken if one.topic == ALERT]
        assert sent == [b"firing", b"resolved", b""]


async def test_a_refused_alert_is_not_sent_after_a_newer_one_of_its_topic() -> None:
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        refusing("/alerts/", 0x97, broker)
        rig.control.send([alert("firing")])
        await rig.until(lambda: rig.problem("refused_alerts"))
        refusing("nothing", 0, broker)
        rig.control.send([alert("resolved"), Message(ALERT, b"", retain=True)])
        await rig.until(lambda: not rig.control.queued)
        rig.at += 2 * RETRY_MOST
        await rig.until(lambda: not rig.problem("refused_alerts"))
        broker.end(None)
        await rig.until(lambda: len(broker.connects) == 2)
        rig.control.send([Message("edge/v1/gw/reply", b"last")])
        await rig.until(lambda: any(one.payload == b"last" for one in broker.taken))
        assert [one.payload for one in broker.taken if one.topic == ALERT] == [b"resolved", b""]


async def test_a_doubtful_command_is_not_reported_as_undelivered() -> None:
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        refusing("/command", 0x87, broker)
        rig.control.send([command(doubtful=True)])
        await rig.until(lambda: rig.problem("refused_commands"))
        assert not rig.told


async def test_a_message_without_an_answer_becomes_doubtful() -> None:
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        broker.largest, broker.says_size = 200, False
        rig.control.send([command(payload=bytes(300))])
        await rig.until(lambda: len(broker.connects) >= 2)
        broker.largest = 1 << 20
        refusing("/command", 0x87, broker)
        await rig.until(lambda: rig.problem("refused_commands"))
        assert not rig.told


@pytest.mark.problem("raises", "refused_receipts")
@pytest.mark.problem("clears", "refused_receipts")
async def test_a_probe_at_qos_1_finds_out_whether_receipts_are_refused() -> None:
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        refusing("/receipt", 0x87, broker)
        receipt = Message("fleet/v1/berlin/frz-1/receipt", b"x", qos=0, fleeting=True)
        rig.control.send([receipt, receipt, receipt])
        await rig.until(lambda: rig.problem("refused_receipts"))
        await rig.until(lambda: sum(one.topic == receipt.topic for one in broker.seen) == 3)
        (problem,) = rig.problems
        assert problem.gravity is Gravity.WARNING
        assert problem.text.endswith("check the ACL for fleet/v1/+/+/receipt")
        assert all(one.qos == 0 for one in broker.seen if one.topic == receipt.topic)
        refusing("nothing", 0, broker)
        rig.at += PROBE_EVERY
        rig.control.send([receipt])
        await rig.until(lambda: not rig.problem("refused_receipts"))
        assert sum(one.topic == "fleet/v1/_/gw/receipt" for one in broker.seen) == 2


@pytest.mark.problem("raises", "refused_replies")
@pytest.mark.problem("clears", "refused_replies")
async def test_a_refused_reply_is_a_warning_until_one_is_accepted() -> None:
    reply = Message("edge/v1/gw/reply", b"x")
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        refusing("/reply", 0x87, broker)
        rig.control.send([reply])
        await rig.until(lambda: "edge/v1/gw/reply" in rig.problem("refused_replies"))
        (problem,) = rig.problems
        assert problem.gravity is Gravity.WARNING
        assert rig.counters.refused_replies == 1
        refusing("nothing", 0, broker)
        rig.control.send([reply])
        await rig.until(lambda: not rig.problem("refused_replies"))


async def test_messages_in_flight_respect_receive_maximum() -> None:
    async with StrictBroker() as broker:
        broker.limits, broker.answers_late = {"receive_max": 3}, True
        async with Rig(broker.port) as rig:
            rig.control.send([firing()] * 50)
            await rig.until(lambda: sum(one.topic == ALERT for one in broker.taken) == 50)
            assert 1 < broker.most_unanswered <= 3

"""The parts of a control connection are wired to each other: requests to replies, acknowledgements to ownership."""

from __future__ import annotations

from edge_gateway.fold.messages import Message
from fleet_wire import control_messages
from tests.gateway.mqtt.strict_broker import Rig, StrictBroker


async def test_an_acknowledged_status_marks_it_as_published() -> None:
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        await rig.until(lambda: rig.ownership.published)
        assert any(one.topic == "edge/v1/gw/status" and one.retain for one in broker.taken)


async def test_a_request_is_carried_out_and_its_reply_is_sent() -> None:
    request = control_messages.OperatorRequest(id="r1", do="reload")
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        await rig.until(lambda: broker.taken)
        broker.publish("edge/v1/gw/command", control_messages.encode_operator_request(request))
        await rig.until(lambda: [one for one in broker.taken if one.topic == "edge/v1/gw/reply"])
        (reply,) = [one.payload for one in broker.taken if one.topic == "edge/v1/gw/reply"]
        assert control_messages.decode_operator_reply(bytes(reply)) == control_messages.OperatorReply(
            id="r1", ok=True, detail="reload"
        )


async def test_refusals_and_packet_size_share_the_problems_and_the_fold_learns_of_lost_commands() -> None:
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        broker.answer = lambda packet: 0x87 if packet.topic.endswith("/command") else 0
        rig.control.send(
            [Message("fleet/v1/s/d/command", b"x", expires_at=60_000, correlation=b"c1")],
        )
        await rig.until(lambda: rig.told)
        assert rig.told[0][:2] == ("d", "c1")
        assert rig.problem("refused_commands")
        assert rig.counters.refused_commands == 1

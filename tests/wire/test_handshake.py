"""Which answers to CONNECT are accepted, and what is said of the others."""

import mqtt5
import pytest

from fleet_wire.errors import ConnectionLost, ConnectRefused
from fleet_wire.handshake import accepted, ended_by_broker

OK = mqtt5.ConnAckReasonCode.SUCCESS


def test_a_broker_that_can_do_all_is_accepted() -> None:
    packet = mqtt5.ConnAckPacket(reason_code=OK)
    assert accepted(packet, "mqtt://b:1") is packet


def test_a_refusal_is_said_in_words_with_the_brokers_own() -> None:
    refusal = mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.NOT_AUTHORIZED, reason_str="go away")
    with pytest.raises(ConnectRefused, match=r"mqtt://b:1: .*go away") as caught:
        accepted(refusal, "mqtt://b:1")
    assert caught.value.reason == 0x87


def test_a_broker_without_qos_1_is_refused() -> None:
    with pytest.raises(ConnectRefused) as caught:
        accepted(mqtt5.ConnAckPacket(reason_code=OK, max_qos=mqtt5.QoS.AT_MOST_ONCE), "mqtt://b:1")
    assert caught.value.reason == 0x9B


def test_a_broker_without_retained_messages_is_refused_where_they_are_needed() -> None:
    packet = mqtt5.ConnAckPacket(reason_code=OK, retain_available=False)
    assert accepted(packet, "mqtt://b:1", needs_retained=False) is packet
    with pytest.raises(ConnectRefused) as caught:
        accepted(packet, "mqtt://b:1")
    assert caught.value.reason == 0x9A


def test_an_end_instead_of_an_answer_is_a_lost_connection() -> None:
    packet = mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.SERVER_BUSY)
    with pytest.raises(ConnectionLost, match="mqtt://b:1 ended the connection instead of accepting it"):
        accepted(packet, "mqtt://b:1")
    assert str(ended_by_broker(packet)).startswith("the broker ended the connection: ")


def test_what_does_not_answer_connect_is_no_broker() -> None:
    with pytest.raises(
        ConnectRefused, match="answers CONNECT with a PingRespPacket: it is not an MQTT 5 broker"
    ):
        accepted(mqtt5.PingRespPacket(), "mqtt://b:1")

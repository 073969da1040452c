"""The broker's answer to CONNECT: accept it, or explain why not."""

import mqtt5

from fleet_wire.errors import RETAIN_NOT_SUPPORTED, ConnectionLost, ConnectRefused, meaning

_REFUSED = 0x80
_QOS_NOT_SUPPORTED = 0x9B


def accepted(packet: mqtt5.Packet, address: str, *, needs_retained: bool = True) -> mqtt5.ConnAckPacket:
    """Return the CONNACK of a broker that supports what the contract needs.

    Raises ConnectRefused if the broker refuses, or does not support QoS 1 or, if needed, retained messages;
    ConnectionLost if it ends the connection instead.
    """
    if isinstance(packet, mqtt5.DisconnectPacket):
        reason = int(packet.reason_code)
        text = f"{address} ended the connection instead of accepting it"
        raise ConnectionLost(f"{text}: {meaning(reason, packet.reason_str)}", reason)
    if not isinstance(packet, mqtt5.ConnAckPacket):
        raise ConnectRefused(
            f"{address} answers CONNECT with a {type(packet).__name__}: it is not an MQTT 5 broker"
        )
    refusal = _reason_to_refuse(packet, needs_retained=needs_retained)
    if refusal:
        raise ConnectRefused(f"{address}: {meaning(refusal, packet.reason_str)}", refusal)
    return packet


def _reason_to_refuse(packet: mqtt5.ConnAckPacket, *, needs_retained: bool) -> int | None:
    reason = int(packet.reason_code)
    if reason >= _REFUSED:
        return reason
    if packet.max_qos is mqtt5.QoS.AT_MOST_ONCE:
        return _QOS_NOT_SUPPORTED
    return RETAIN_NOT_SUPPORTED if needs_retained and not packet.retain_available else None


def ended_by_broker(packet: mqtt5.DisconnectPacket) -> ConnectionLost:
    """Say why the broker ended a connection that it had accepted."""
    reason = int(packet.reason_code)
    return ConnectionLost(f"the broker ended the connection: {meaning(reason, packet.reason_str)}", reason)

"""Reading and writing MQTT packets beyond what the codec does: size limits, damaged input, acks in bulk."""

import struct
import sys
from array import array
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import mqtt5

_PUBACK = 0x4002_0000  # fixed header of a PUBACK with reason "success", its packet id in the low 16 bits
_QOS_0, _QOS_1, _QOS_2 = mqtt5.QoS.AT_MOST_ONCE, mqtt5.QoS.AT_LEAST_ONCE, mqtt5.QoS.EXACTLY_ONCE
PUBACK_BYTES = 4
LONGEST_PLAIN_PUBACK = 5
_PUBACK_FIRST = 0x40
_PUBACK_FIELDS = struct.Struct(">BBHB").unpack_from
_PUBLISH_QOS_1 = 0x32
_LONGEST_TOPIC = 65_535
_ID_AND_NO_PROPERTIES = struct.Struct(">HB").pack
_DUP = 0x08
_FIRST_BYTES = frozenset(
    # CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, PINGRESP, DISCONNECT, AUTH; PUBLISH at each QoS
    b"\x20\x40\x50\x62\x70\x90\xb0\xd0\xe0\xf0" + bytes(range(0x30, 0x36)) + bytes(range(0x38, 0x3E))
)
_HEADER_BYTES = 5
_MORE = 0x80  # of a length byte: another one follows
_SHOWN = 16


class Damage(NamedTuple):
    """A packet that cannot be read: what is wrong, the reason code for the peer, the packet's first bytes."""

    text: str
    reason: mqtt5.DisconnectReasonCode
    head: bytes


class Read(NamedTuple):
    packets: list[mqtt5.Packet]
    used: int
    damage: Damage | None


def read_packets(view: memoryview, most: int) -> Read:
    """Read every complete packet in the view, each of at most `most` bytes; the result does not refer to the view."""
    packets: list[mqtt5.Packet] = []
    used, end = 0, len(view)
    read = mqtt5.read
    try:
        while used < end:
            packet, size = read(view[used:])
            packets.append(packet)
            used += size
    except IndexError:
        return Read(packets, used, _damage_in_rest(view[used:], most))
    except ValueError as problem:
        return Read(packets, used, _malformed(view[used:], str(problem)))
    except BaseException as problem:
        # The codec panics on text that is not UTF-8; a panic is not an Exception, and its class cannot be imported.
        if type(problem).__name__ != "PanicException":
            raise
        return Read(packets, used, _malformed(view[used:], "text that is not UTF-8"))
    return Read(packets, used, None)


def plain_puback(buffer: memoryview, size: int) -> tuple[int, int] | None:
    """Read a PUBACK without properties from the first `size` bytes; return its packet id and reason.

    None if they are anything else. The buffer is at least as long as such a packet.
    """
    first, remaining, packet_id, reason = _PUBACK_FIELDS(buffer)
    if first != _PUBACK_FIRST or remaining != size - 2 or size < PUBACK_BYTES:
        return None
    return packet_id, 0 if size == PUBACK_BYTES else reason


def packet_length(view: memoryview) -> int | None:
    """Return the length in bytes of the packet at the start of the view; None while its header is incomplete."""
    length = 0
    for position, byte in enumerate(view[1:_HEADER_BYTES]):
        length |= (byte & ~_MORE) << (7 * position)
        if not byte & _MORE:
            return length + position + 2
    return None


def _damage_in_rest(rest: memoryview, most: int) -> Damage | None:
    """Return why the rest of a packet can never make it valid; None if more bytes may complete it."""
    if rest[0] not in _FIRST_BYTES:
        return _malformed(rest, f"no packet to a client begins with 0x{rest[0]:02x}")
    length = packet_length(rest)
    if length is None or length <= most:
        return None
    text = f"a packet of {length} bytes, more than the {most} that this client accepts"
    return Damage(text, mqtt5.DisconnectReasonCode.PACKET_TOO_LARGE, bytes(rest[:_SHOWN]))


def _malformed(rest: memoryview, text: str) -> Damage:
    return Damage(text, mqtt5.DisconnectReasonCode.MALFORMED_PACKET, bytes(rest[:_SHOWN]))


class Sorted(NamedTuple):
    deliveries: list[mqtt5.PublishPacket]
    acks: list[mqtt5.PubAckPacket]
    others: list[mqtt5.Packet]


def sort_packets(packets: Iterable[mqtt5.Packet]) -> Sorted:
    """Split packets into deliveries (QoS 0 or 1), PUBACKs and others, each in order of arrival."""
    result = Sorted([], [], [])
    for packet in packets:
        if isinstance(packet, mqtt5.PublishPacket) and packet.qos is not _QOS_2:
            result.deliveries.append(packet)
        elif isinstance(packet, mqtt5.PubAckPacket):
            result.acks.append(packet)
        else:
            result.others.append(packet)
    return result


def describe_unexpected(packet: mqtt5.Packet) -> str:
    """Describe a packet that a broker should not send to this client."""
    if isinstance(packet, mqtt5.PublishPacket):
        return "a message at QoS 2, to which this client never subscribes: does another program use its id?"
    return f"a {type(packet).__name__}, which it should not send"


def encode_publish(
    topic: str,
    payload: bytes,
    packet_id: int | None,
    *,
    retain: bool,
    expiry: int | None,
    correlation: bytes | None,
) -> bytes:
    """Encode a PUBLISH, QoS 1 if it has a packet id; ValueError: the topic must not be published to."""
    _check_topic(topic)
    return mqtt5.PublishPacket(
        topic,
        payload,
        qos=_QOS_0 if packet_id is None else _QOS_1,
        retain=retain,
        packet_id=packet_id,
        message_expiry_interval=expiry,
        correlation_data=correlation,
    ).write()


def _check_topic(topic: str) -> None:
    if not topic or "+" in topic or "#" in topic:
        raise ValueError(f"{topic[:80]!r} is not a topic to publish to")


def topic_field(topic: str) -> bytes:
    """Encode a topic for `encode_plain_publish`; ValueError: it must not be published to."""
    _check_topic(topic)
    text = topic.encode()
    if len(text) > _LONGEST_TOPIC:
        raise ValueError(f"a topic of {len(text)} bytes is longer than the {_LONGEST_TOPIC} allowed")
    return len(text).to_bytes(2, "big") + text


def encode_plain_publish(topic: bytes, payload: bytes, packet_id: int) -> bytes:
    """Encode a PUBLISH at QoS 1 that has no property and is not retained; `topic` is a `topic_field`."""
    head = _publish_head(len(topic) + len(payload) + 3)
    return b"".join((head, topic, _ID_AND_NO_PROPERTIES(packet_id, 0), payload))


@lru_cache(maxsize=4096)
def _publish_head(length: int) -> bytes:
    """Encode the fixed header: packet type, and the remaining length in seven bits per byte (MQTT 5, 1.5.5)."""
    head = bytearray((_PUBLISH_QOS_1,))
    while length >= _MORE:
        head.append(length & ~_MORE & 0xFF | _MORE)
        length >>= 7
    head.append(length)
    return bytes(head)


def encode_pubacks(packet_ids: Iterable[int]) -> bytes:
    """Encode a PUBACK with reason "success" for each id, in order."""
    words = array("I", [_PUBACK | packet_id for packet_id in packet_ids])
    if sys.byteorder == "little":
        words.byteswap()
    return words.tobytes()


def with_duplicate_flag(publish: bytes, *, duplicate: bool) -> bytes:
    """Set or clear DUP of an encoded PUBLISH; the rest, packet id included, is unchanged."""
    first = publish[0] | _DUP if duplicate else publish[0] & ~_DUP
    return bytes((first,)) + publish[1:]


def is_duplicate(publish: bytes) -> bool:
    """Return whether DUP is set in an encoded PUBLISH."""
    return bool(publish[0] & _DUP)

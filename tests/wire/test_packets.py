import random

import mqtt5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_wire import packets

MOST = 1 << 20
QOS_1 = mqtt5.QoS.AT_LEAST_ONCE


def publish(topic: str = "a", payload: bytes = b"x", packet_id: int | None = 7) -> bytes:
    return packets.encode_publish(topic, payload, packet_id, retain=False, expiry=None, correlation=None)


def view(data: bytes | bytearray) -> memoryview:
    return memoryview(bytearray(data))


@given(st.lists(st.integers(1, 65_535), max_size=50))
def test_acks_are_consecutive_pubacks(packet_ids: list[int]) -> None:
    encoded = packets.encode_pubacks(packet_ids)
    assert encoded == b"".join(b"\x40\x02" + packet_id.to_bytes(2, "big") for packet_id in packet_ids)
    assert len(encoded) == packets.PUBACK_BYTES * len(packet_ids)


def test_a_publish_has_the_bytes_of_the_standard() -> None:
    # Fixed header, length, topic "a/b", packet id 10, no properties, payload: MQTT 5, section 3.3.
    assert publish("a/b", b"hi", 10) == bytes.fromhex("32 0a 0003 612f62 000a 00 6869")
    assert publish("a/b", b"hi", None) == bytes.fromhex("30 08 0003 612f62 00 6869")
    # 200 bytes of payload and 8 of the rest are 208, in two length bytes: 0x50 | 0x80, then 1.
    assert publish("a/b", b"\x80" * 200, 10) == bytes.fromhex("32 d001 0003 612f62 000a 00") + b"\x80" * 200
    full = packets.encode_publish("a", b"", 1, retain=True, expiry=60, correlation=b"id")
    assert full == bytes.fromhex("33 10 0001 61 0001 0a 02 0000003c 09 0002 6964")


@given(st.booleans(), st.booleans())
def test_the_duplicate_flag_is_one_bit_set_and_cleared(first: bool, second: bool) -> None:
    plain = publish()
    flagged = packets.with_duplicate_flag(plain, duplicate=True)
    assert flagged == b"\x3a" + plain[1:]
    twice = packets.with_duplicate_flag(packets.with_duplicate_flag(plain, duplicate=first), duplicate=second)
    assert twice == (flagged if second else plain)
    assert packets.is_duplicate(twice) == second


@pytest.mark.parametrize("topic", ["", "a/+", "#", "a/#/b"])
def test_topics_that_cannot_be_published_to_are_refused(topic: str) -> None:
    with pytest.raises(ValueError, match="is not a topic to publish to"):
        publish(topic)


@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(0, 400))
def test_complete_packets_are_read_and_the_rest_is_kept(payloads: list[bytes], missing: int) -> None:
    encoded = [publish("t", payload, number + 1) for number, payload in enumerate(payloads)]
    data = b"".join(encoded)
    data = data[: max(0, len(data) - missing)]
    read = packets.read_packets(view(data), MOST)
    assert read.damage is None
    assert read.used == sum(len(packet) for packet in encoded[: len(read.packets)])
    assert len(read.packets) == len(encoded) or read.used + len(encoded[len(read.packets)]) > len(data)
    got = [packet.payload for packet in read.packets if isinstance(packet, mqtt5.PublishPacket)]
    assert got == payloads[: len(read.packets)]


def test_packets_read_do_not_refer_to_the_buffer() -> None:
    buffer = bytearray(publish("t", b"kept", 1))
    read = packets.read_packets(memoryview(buffer), MOST)
    buffer[:] = b"\xff" * len(buffer)
    (packet,) = read.packets
    assert isinstance(packet, mqtt5.PublishPacket)
    assert (packet.topic, packet.payload) == ("t", b"kept")


@given(st.integers(0, 268_435_455))
def test_the_length_of_a_packet_is_known_from_its_header(remaining: int) -> None:
    header, value = bytearray([0x30]), remaining
    while True:
        value, digit = value // 128, value % 128
        header.append(digit | (0x80 if value else 0))
        if not value:
            break
    assert packets.packet_length(view(header + b"rest")) == len(header) + remaining
    for cut in range(len(header)):
        assert packets.packet_length(view(header[:cut])) is None


def test_a_packet_longer_than_allowed_is_damage_as_soon_as_its_header_arrives() -> None:
    good = publish()
    read = packets.read_packets(view(good + b"\x30\x80\x80\x80\x01abc"), 1000)
    assert len(read.packets) == 1
    assert read.damage
    assert read.damage.reason == mqtt5.DisconnectReasonCode.PACKET_TOO_LARGE
    assert "2097157 bytes, more than the 1000" in read.damage.text


@pytest.mark.parametrize(
    "bad",
    [
        "00 00",  # packet type 0
        "30 ff ff ff ff 01",  # a length of five bytes
        "36 06 0001 61 0001 00",  # QoS 3
        "30 04 0020 6162",  # a topic longer than its packet
        "40 03 0005 03",  # a reason code there is not
    ],
)
def test_bytes_that_are_not_a_packet_are_damage_and_earlier_packets_are_kept(bad: str) -> None:
    read = packets.read_packets(view(publish() + bytes.fromhex(bad) + publish()), MOST)
    assert len(read.packets) == 1
    assert read.damage
    assert read.damage.reason == mqtt5.DisconnectReasonCode.MALFORMED_PACKET
    assert read.damage.head.startswith(bytes.fromhex(bad)[:2])


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # the codec reports its panic too
def test_a_text_that_is_not_utf_8_is_damage_like_any_other() -> None:
    read = packets.read_packets(view(publish() + bytes.fromhex("30 06 0002 fffe 00 78")), MOST)
    assert len(read.packets) == 1
    assert read.damage
    assert "not UTF-8" in read.damage.text


def test_damaged_packets_raise_nothing() -> None:
    rng = random.Random(5)
    originals = [
        mqtt5.PublishPacket("a/b", b"xyz", qos=QOS_1, packet_id=7, correlation_data=b"id").write(),
        mqtt5.ConnAckPacket(receive_max=5).write(),
        mqtt5.SubAckPacket(5, [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]).write(),
        mqtt5.PubAckPacket(9, reason_code=mqtt5.PubAckReasonCode.QUOTA_EXCEEDED).write(),
    ]
    damages = 0
    for _ in range(3_000):
        data = bytearray(b"".join(rng.sample(originals, 2)))
        for _ in range(rng.randint(1, 4)):
            # No byte above 0x7f: texts that are not UTF-8 make the codec print; one case above covers them.
            data[rng.randrange(len(data))] = rng.randrange(128)
        read = packets.read_packets(view(bytes(data)), MOST)
        assert 0 <= read.used <= len(data)
        damages += read.damage is not None
    assert damages > 1_000


def test_packets_are_sorted_into_deliveries_acks_and_others() -> None:
    qos_2 = mqtt5.PublishPacket("a", b"", qos=mqtt5.QoS.EXACTLY_ONCE, packet_id=3)
    first, second = mqtt5.PublishPacket("a", b"1"), mqtt5.PublishPacket("a", b"2", qos=QOS_1, packet_id=1)
    ack, ping = mqtt5.PubAckPacket(4), mqtt5.PingRespPacket()
    parted = packets.sort_packets([ping, first, ack, qos_2, second])
    assert parted.deliveries == [first, second]
    assert parted.acks == [ack]
    assert parted.others == [ping, qos_2]
    assert "QoS 2" in packets.describe_unexpected(qos_2)
    assert "PingRespPacket" in packets.describe_unexpected(ping)


@given(
    st.text(st.characters(exclude_characters="+#\0", exclude_categories=["Cs"]), min_size=1, max_size=64),
    st.one_of(st.binary(max_size=300), st.integers(16_300, 16_400).map(bytes)),
    st.integers(1, 65_535),
)
def test_a_plain_publish_equals_the_codecs(topic: str, payload: bytes, packet_id: int) -> None:
    plain = packets.encode_plain_publish(packets.topic_field(topic), payload, packet_id)
    assert plain == publish(topic, payload, packet_id)


@pytest.mark.parametrize("topic", ["", "a/+", "#", "x" * 65_536])
def test_a_plain_publish_to_an_invalid_topic_is_refused(topic: str) -> None:
    with pytest.raises(ValueError, match="topic"):
        packets.topic_field(topic)


CODE = mqtt5.PubAckReasonCode


@pytest.mark.parametrize("reason", [CODE.SUCCESS, CODE.NO_MATCHING_SUBSCRIBERS, CODE.NOT_AUTHORIZED])
def test_a_puback_alone_is_read_as_the_codec_reads_it(reason: mqtt5.PubAckReasonCode) -> None:
    data = mqtt5.PubAckPacket(packet_id=513, reason_code=reason).write()
    assert packets.plain_puback(view(data + bytes(5)), len(data)) == (513, int(reason))


@given(st.binary(max_size=5))
def test_anything_but_a_single_puback_is_left_to_the_codec(data: bytes) -> None:
    found = packets.plain_puback(view(data + bytes(5)), len(data))
    if found is None:
        return
    assert data[0] == 0x40
    assert data[1] == len(data) - 2
    assert found[0] == int.from_bytes(data[2:4], "big")

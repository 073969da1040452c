"""What every payload shares: one error for whatever is wrong with bytes, and no message too long to be taken."""

import msgpack
import msgspec
import pytest

from fleet_wire.payload import MAX_PAYLOAD, MalformedMessage, decode, encode

TEXTS = msgspec.msgpack.Decoder(dict[str, str])
ANY = msgspec.msgpack.Decoder()


def test_what_is_encoded_is_decoded() -> None:
    assert decode(TEXTS, encode({"a": "ü"})) == {"a": "ü"}


def test_a_payload_as_long_as_allowed_is_decoded_and_a_longer_one_is_not() -> None:
    payload = msgpack.packb({"a": "x" * 10})
    assert decode(TEXTS, payload, most=len(payload)) == {"a": "x" * 10}
    with pytest.raises(MalformedMessage, match=f"payload of {len(payload)} bytes is longer than"):
        decode(TEXTS, payload, most=len(payload) - 1)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"", "truncated"),
        (b"\xc1", "invalid opcode"),
        (b"\x81\xa1a\xa1\xff", "a text is not UTF-8"),
        (b"\x81\xa1a\x01", "expected text, got a whole number"),
    ],
)
def test_whatever_is_wrong_is_a_malformed_message(payload: bytes, said: str) -> None:
    with pytest.raises(MalformedMessage, match=said):
        decode(TEXTS, payload)


def test_a_payload_nested_too_deep_is_malformed() -> None:
    with pytest.raises(MalformedMessage, match="nested too deep"):
        decode(ANY, b"\x91" * (MAX_PAYLOAD - 1) + b"\xc0")


def test_a_message_too_long_for_any_receiver_is_the_senders_error() -> None:
    length = len(encode({"a": "x" * 10}))
    assert len(encode({"a": "x" * 10}, most=length)) == length
    with pytest.raises(ValueError, match=f"a message of {length} bytes is longer than"):
        encode({"a": "x" * 10}, most=length - 1)

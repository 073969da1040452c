import math
import random
import string
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgpack import packb

from fleet_wire import telemetry
from fleet_wire.telemetry import MalformedMessage, decode_telemetry, encode_telemetry

counters = st.integers(0, 2**63 - 1)
names = st.from_regex(r"[a-z][a-z0-9_]{0,63}", fullmatch=True)
scalars = st.one_of(
    st.floats(allow_nan=False),
    st.integers(-(2**63), 2**64 - 1),
    st.booleans(),
    st.text(max_size=20),
    st.none(),
)
values = st.dictionaries(names, scalars, max_size=8)
times = st.integers(-(2**40), 4_000_000_000_000)
samples = st.lists(st.tuples(st.integers(0, 10**6), values), max_size=4)


messages = st.fixed_dictionaries(
    {"boot": counters, "seq": counters, "ts": st.none() | times, "m": values},
    optional={
        "floor": counters,
        "q": st.dictionaries(names, st.floats(0, 1), max_size=4),
        "s": samples,
    },
)


def packed(message: dict[str, Any]) -> bytes:
    return bytes(packb(message))


@given(messages)
@settings(max_examples=300)
def test_decoding_is_the_inverse_of_encoding(fields: dict[str, Any]) -> None:
    payload = encode_telemetry(**fields)
    assert decode_telemetry(payload) == telemetry.Telemetry(**fields)
    assert payload == encode_telemetry(**fields)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, [1], {"a": 1}, b"raw", None, 2**64 - 1])
def test_a_bad_value_does_not_spoil_its_message(value: Any) -> None:
    payload = packed({"boot": 1, "seq": 2, "m": {"odd": value, "good": 1.5}})
    message = decode_telemetry(payload)
    assert message.m["good"] == 1.5
    assert "odd" in message.m


def test_the_last_of_a_metric_named_twice_counts() -> None:
    payload = bytes.fromhex("83a4626f6f7401a373657102a16d82a16101a16102")
    assert decode_telemetry(payload).m == {"a": 2}


def test_collections_are_capped() -> None:
    def message(**more: Any) -> bytes:
        return packed({"boot": 1, "seq": 2, "m": {}, **more})

    most = {f"m{i}": 1 for i in range(telemetry.MAX_METRICS)}
    samples_ = [[1, {}]] * telemetry.MAX_SAMPLES
    assert len(decode_telemetry(message(m=most, q=most, s=samples_)).m) == telemetry.MAX_METRICS
    for more in ({"m": {**most, "x": 1}}, {"q": {**most, "x": 1}}, {"s": [*samples_, [1, {}]]}):
        with pytest.raises(MalformedMessage, match="of at most"):
            decode_telemetry(message(**more))
    with pytest.raises(MalformedMessage, match=r"^s\[0\]"):
        decode_telemetry(message(s=[[telemetry.MAX_STEP + 1, {}]]))


def test_a_payload_is_capped_before_it_is_decoded() -> None:
    fits = telemetry.MAX_PAYLOAD - len(encode_telemetry(1, 2, None, {"a": "x" * 60_000})) + 60_000
    payload = encode_telemetry(1, 2, None, {"a": "x" * fits})
    assert len(payload) == telemetry.MAX_PAYLOAD
    assert decode_telemetry(payload).seq == 2
    with pytest.raises(MalformedMessage, match="65537 bytes is longer than 65536"):
        decode_telemetry(payload + b"\x00")
    with pytest.raises(ValueError, match="longer than the 65536 allowed"):
        encode_telemetry(1, 2, None, {"a": "x" * (fits + 1)})


def test_deep_nesting_is_refused_without_a_crash() -> None:
    payload = b"\x83\xa4boot\x01\xa3seq\x02\xa1m\x81\xa1a" + b"\x91" * 60_000 + b"\x01"
    with pytest.raises(MalformedMessage, match="nested too deep"):
        decode_telemetry(payload)


def test_a_claimed_size_allocates_nothing() -> None:
    payload = b"\x83\xa4boot\x01\xa3seq\x02\xa1m\x81\xa1a\xdd\xff\xff\xff\xff"
    with pytest.raises(MalformedMessage, match="truncated"):
        decode_telemetry(payload)


def test_a_reason_is_short_whatever_was_sent() -> None:
    payload = packed({"boot": 1, "seq": 2, "m": {}, "v": 10**18})
    with pytest.raises(MalformedMessage) as caught:
        decode_telemetry(payload)
    assert len(str(caught.value)) <= 200


@given(st.binary(max_size=300))
@settings(max_examples=2_000)
def test_random_bytes_raise_nothing_else(payload: bytes) -> None:
    _accepts_or_refuses(payload)


def test_damaged_messages_raise_nothing_else() -> None:
    rng = random.Random(20_260_101)
    good = encode_telemetry(
        7, 9, 1_790_000_000_000, {"temp": 1.5, "state": "on"}, floor=2, q={"temp": 0.5}, s=[(5, {"temp": 2})]
    )
    refused = 0
    for _ in range(20_000):
        damaged = bytearray(good)
        for _ in range(rng.randint(1, 5)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        refused += not _accepts_or_refuses(bytes(damaged[: rng.randint(1, len(damaged))]))
    assert 10_000 < refused < 20_000


def _accepts_or_refuses(payload: bytes) -> bool:
    try:
        message = decode_telemetry(payload)
    except MalformedMessage:
        return False
    assert 0 <= message.boot < 2**63
    assert 0 <= message.seq < 2**63
    assert message.ts is None or -(2**63) <= message.ts <= 4_102_444_800_000
    return True


@given(st.text(max_size=70))
def test_a_metric_name_begins_with_a_lower_case_letter(text: str) -> None:
    first, rest = text[:1], text[1:]
    expected = (
        first != ""
        and first in string.ascii_lowercase
        and len(text) <= 64
        and all(letter in string.ascii_lowercase + string.digits + "_" for letter in rest)
    )
    assert telemetry.is_metric_name(text) == expected


def test_metric_names_at_the_edges() -> None:
    assert telemetry.is_metric_name("a" * 64)
    assert not telemetry.is_metric_name("a" * 65)
    assert not telemetry.is_metric_name("temp\n")


def test_the_module_level_decoder_is_the_one_behind_decode() -> None:
    payload = encode_telemetry(1, 2, 3, {"a": 1})
    assert telemetry.TELEMETRY_DECODER.decode(payload) == decode_telemetry(payload)
    with pytest.raises(msgspec.ValidationError):
        telemetry.TELEMETRY_DECODER.decode(b"\x80")

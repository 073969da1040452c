"""Reasons of messages that do not fit name the place and what was expected, without the decoder's jargon."""

from __future__ import annotations

from collections.abc import Callable

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_wire.plain_reasons import plain_reason
from fleet_wire.telemetry import MalformedMessage, decode_telemetry
from tests.wire.test_control_messages import DECODERS

GOOD = {"boot": 1, "seq": 0, "m": {}}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats()
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(0, 9), inner),
)
KEYS = st.sampled_from(
    ["boot", "seq", "m", "v", "ts", "floor", "q", "s", "id", "n", "state", "type", "metrics", "tags"]
)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (5, "expected a map, got a whole number"),
        ({"boot": 1}, "seq is missing"),
        (GOOD | {"seq": -1}, "seq: expected a whole number of at least 0"),
        (GOOD | {"boot": "x"}, "boot: expected a whole number, got text"),
        (GOOD | {"boot": 1.5}, "boot: expected a whole number, got a fraction"),
        (GOOD | {"boot": 1 << 63}, f"boot: expected a whole number of at most {(1 << 63) - 1}"),
        (GOOD | {"seq": None}, "seq: expected a whole number, got nil"),
        (GOOD | {"v": 2}, "v: 2 is not allowed"),
        (GOOD | {"m": {f"m{n}": 1 for n in range(257)}}, "m: expected a map of at most 256 entries"),
        (GOOD | {"m": {1: 2}}, "a key of m: expected text, got a whole number"),
        (GOOD | {"s": [[1]]}, "s[0]: expected a list of 2 values, got 1"),
        (GOOD | {"s": [[1, {}], [-1, {}]]}, "s[1][0]: expected a whole number of at least 0"),
        (GOOD | {"s": {}}, "s: expected a list, got a map"),
        ({b"boot": 1}, "a key of the message: expected text, got bytes"),
    ],
)
def test_a_reason_names_the_place_and_what_was_expected(message: object, said: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        decode_telemetry(msgpack.packb(message))
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (msgpack.packb(GOOD) + b"x", "trailing bytes: the message ends at byte 15, and more follow"),
        (msgpack.packb(GOOD)[:-1], "truncated: the payload ends in the middle of the message"),
        (b"\xc1", "not MessagePack: invalid opcode '\\xc1' at byte 0"),
    ],
)
def test_bytes_that_are_no_message_are_described(payload: bytes, said: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        decode_telemetry(payload)
    assert str(caught.value) == said


def test_a_sentence_that_is_not_known_is_given_unchanged() -> None:
    assert plain_reason("the cat ate it - at `$.m`") == "the cat ate it - at `$.m`"


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([*DECODERS, decode_telemetry]), st.one_of(JSON, st.dictionaries(KEYS, JSON)))
def test_no_reason_of_any_message_is_in_jargon(decode: Callable[[bytes], object], message: object) -> None:
    said = ""
    try:
        decode(msgpack.packb(message))
    except MalformedMessage as error:
        said = str(error)
    assert "at `$" not in said
    assert not said.startswith(("Expected `", "Object ", "Invalid "))

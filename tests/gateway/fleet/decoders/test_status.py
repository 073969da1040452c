"""What a status says; bytes here are written by hand or by the msgpack library."""

import json
from typing import Any
from unicodedata import category

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.fleet.decoders.status import Unreadable, read_status
from fleet_wire.control_messages import Birth, Death

OBEYED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories a terminal acts on instead of showing; a no-break space is not among them."""
BIRTH = {"state": "online", "type": "freezer", "boot": 1}


def test_births_and_wills_of_the_contract_are_read() -> None:
    assert read_status(msgpack.packb(BIRTH)) == Birth(type="freezer", boot=1)
    assert read_status(msgpack.packb({"state": "offline"})) == Death()


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in BIRTH.items() if name != key}


GONE = {
    "plain": b"offline",
    "with a line end": b"Offline\r\n",
    "JSON map": b'{"state": "offline", "at": 3}',
    "JSON text": b'"OFFLINE"',
    "capitals": msgpack.packb({"state": "OFFLINE"}),
    "a text": msgpack.packb("offline"),
}
UNCLEAR = {
    "plain online": b"online",
    "JSON birth": json.dumps(BIRTH).encode(),
    "another state": msgpack.packb({"state": "lost"}),
    "no state": msgpack.packb({"type": "freezer", "boot": 1}),
    "no boot": msgpack.packb(without("boot")),
    "no type": msgpack.packb(without("type")),
    "a number": b"\x00",
    "a list": msgpack.packb(["offline"]),
    "a state that is a map": msgpack.packb({"state": {"state": "offline"}}),
    "nested": b"\x91" * 60_000,
    "nested JSON": b"[" * 60_000,
    "bytes": b"\xc1\xff",
    "JSON false": b"false",
    "controls": b"\x1b[2J",
    "too long": b"offline" + b" " * 70_000,
}


@pytest.mark.parametrize("payload", GONE.values(), ids=GONE.keys())
def test_who_says_in_other_words_that_it_is_gone_is_gone(payload: bytes) -> None:
    status = read_status(payload)
    assert isinstance(status, Unreadable)
    assert status.offline
    assert status.reason


@pytest.mark.parametrize("payload", UNCLEAR.values(), ids=UNCLEAR.keys())
def test_everything_else_says_nothing(payload: bytes) -> None:
    status = read_status(payload)
    assert isinstance(status, Unreadable)
    assert not status.offline


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"offline", "this is text, 'offline'; expected MessagePack"),
        (b'{"state":"offline"}', "this looks like JSON; expected MessagePack"),
        (UNCLEAR["no boot"], "boot"),
        (UNCLEAR["another state"], "lost"),
        (UNCLEAR["too long"], "longer than"),
        (msgpack.packb({"state": "\x1b[2J"}), "x1b"),
    ],
)
def test_the_reason_says_what_it_is(payload: bytes, words: str) -> None:
    status = read_status(payload)
    assert isinstance(status, Unreadable)
    assert words in status.reason
    assert status.reason.isprintable()


packed = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(0, 9), inner),
    max_leaves=10,
).map(msgpack.packb)


@given(st.binary() | st.text().map(str.encode) | packed)
def test_nothing_raises(payload: bytes) -> None:
    status = read_status(payload)
    assert isinstance(status, Birth | Death | Unreadable)
    if isinstance(status, Unreadable):
        assert not {category(character) for character in status.reason} & OBEYED

"""What is said of payloads that are no messages. Encoded by others' libraries, or by hand."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import struct
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.fleet.decoders.diagnosis import diagnosed, unit_of
from fleet_wire.telemetry import MalformedMessage, decode_telemetry

NOW = 1_790_000_000


def reason(payload: bytes) -> str:
    with pytest.raises(MalformedMessage) as found:
        decode_telemetry(payload)
    return diagnosed(payload, str(found.value))


def timed(ts: Any) -> bytes:
    packed: bytes = msgpack.packb({"v": 1, "boot": 1, "seq": 0, "ts": ts, "m": {"t": 1.0}}, datetime=True)
    return packed


@pytest.mark.parametrize(
    ("ts", "said"),
    [
        (NOW * 10**6, "ts 1790000000000000 looks like microseconds; expected milliseconds since 1970"),
        (NOW * 10**9, "ts 1790000000000000000 looks like nanoseconds; expected milliseconds since 1970"),
        (NOW + 0.5, "ts 1790000000.5 looks like seconds; expected milliseconds since 1970"),
        (NOW * 1000.0, "ts 1790000000000.0 is of type float; expected milliseconds since 1970 as an integer"),
        (
            "2026-09-21T14:13:20Z",
            "ts is text, '2026-09-21T14:13:20Z'; expected milliseconds since 1970 as an integer",
        ),
        (str(NOW), "ts is text, '1790000000'; expected milliseconds since 1970 as an integer"),
        (
            "\x1b[2J" * 50,
            r"ts is text, '\x1b[2J\x1b[2J\x1b[2J\x1b[2J\x1b[2J\x1b…'; expected milliseconds since 1970",
        ),
        (dt.datetime(2026, 9, 21, tzinfo=dt.UTC), "timestamp, 2026-09-21"),
        (10**13, "ts 10000000000000 is of type int; expected milliseconds"),
        (True, "ts is True; expected milliseconds"),
    ],
)
def test_the_reason_names_the_unit_that_would_fit(ts: Any, said: str) -> None:
    assert said in reason(timed(ts))


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (json.dumps({"temperature": 21.5}).encode(), "this looks like JSON; expected MessagePack"),
        (json.dumps([{"t": 1}], indent=1).encode(), "this looks like JSON; expected MessagePack"),
        (b"21.5", "this is text, '21.5'; expected MessagePack"),
        (b"on", "this is text, 'on'; expected MessagePack"),
        ("Tür offen".encode(), "this is text, 'Tür offen'; expected MessagePack"),
        (b"", "the payload is empty; expected MessagePack"),
        (gzip.compress(b"x", mtime=0), "this is compressed (gzip); expected uncompressed MessagePack"),
        (b"\xa2\x64boot\x01\x63seq\x00", "this looks like CBOR; expected MessagePack"),
        (b"\xbf\x64boot\x01\xff", "this looks like CBOR; expected MessagePack"),
        (
            b"\x08\x96\x01\x12\x03abc\x1d" + struct.pack("<f", 21.5),
            "this may be protobuf; expected MessagePack",
        ),
        (msgpack.packb({"boot": 1, "seq": 0}), "m is missing"),
        (msgpack.packb([1, 2, 3]), "expected a map, got a list"),
    ],
)
def test_the_reason_names_the_format_it_is(payload: bytes, said: str) -> None:
    assert said in reason(payload)


def test_what_a_device_says_reaches_nobody_s_terminal() -> None:
    assert "\x1b" not in reason(timed("\x1b]0;gone\x07"))
    assert "\x1b" not in diagnosed(b"\xc1", "Invalid value '\x1b[2J'")
    assert len(reason(timed("x" * 60_000))) < 200


def test_units_are_told_from_2001_to_2100() -> None:
    assert [unit_of(NOW * scale) for scale in (1, 10**3, 10**6, 10**9)] == [
        "seconds",
        "milliseconds",
        "microseconds",
        "nanoseconds",
    ]
    assert [unit_of(number) for number in (0, -NOW, 7, 10**22, float("inf"), float("nan"))] == [""] * 6


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.binary(max_size=80), st.text(max_size=40).map(str.encode)),
    st.sampled_from(["x", "ts: a"]),
)
def test_no_payload_raises(payload: bytes, fault: str) -> None:
    assert diagnosed(payload, fault)

import contextlib
import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgpack import packb

from fleet_wire import control_messages
from fleet_wire.control_messages import MalformedMessage

counters = st.integers(0, 2**63 - 1)
times = st.integers(-(2**63), 4_102_444_800_000)
ids = st.text(min_size=1, max_size=128)
words = st.text(min_size=1, max_size=64)
names = st.from_regex(r"[a-z][a-z0-9_]{0,63}", fullmatch=True)
floats = st.floats(allow_nan=False)
scalars = st.one_of(floats, st.integers(-(2**63), 2**64 - 1), st.booleans(), st.text(max_size=20), st.none())


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


metrics = st.builds(
    control_messages.MetricInfo,
    unit=optional(st.text(max_size=32)),
    label=optional(st.text(max_size=128)),
    min=optional(floats),
    max=optional(floats),
    warning=optional(floats),
    critical=optional(floats),
)
births = st.builds(
    control_messages.Birth,
    type=words,
    tags=st.dictionaries(names, st.text(max_size=128), max_size=4),
    metrics=st.dictionaries(names, metrics, max_size=4),
    lat=optional(st.floats(-90, 90)),
    lon=optional(st.floats(-180, 180)),
    boot=counters,
    floor=counters,
    next=counters,
    ts=optional(times),
)
deaths = st.builds(control_messages.Death, ts=optional(times))
alerts = st.builds(
    control_messages.Alert,
    id=ids,
    group=ids,
    rule=ids,
    level=st.sampled_from(["critical", "warning", "info"]),
    state=st.sampled_from(["inactive", "pending", "firing", "resolved"]),
    subject=words,
    metric=optional(words),
    value=scalars,
    limit=scalars,
    site=words,
    at=times,
    boot=optional(counters),
    seq=optional(counters),
    labels=st.dictionaries(words, st.text(max_size=20), max_size=3),
    annotations=st.dictionaries(words, st.text(max_size=20), max_size=3),
)
commands = st.builds(
    control_messages.Command,
    id=ids,
    n=counters,
    kind=st.just("command"),
    name=words,
    args=st.dictionaries(names, scalars, max_size=4),
    ts=optional(times),
)
notices = st.builds(
    control_messages.Command, id=ids, kind=st.just("alert"), name=words, alert=alerts, ts=optional(times)
)
acks = st.builds(
    control_messages.Ack,
    id=ids,
    outcome=st.sampled_from(["done", "rejected", "failed"]),
    detail=st.text(max_size=50),
    ts=optional(times),
)
ranges = st.tuples(counters, counters).map(lambda pair: (min(pair), max(pair)))
receipts = st.builds(
    control_messages.Receipt,
    boot=counters,
    since=counters,
    upto=counters,
    missing=st.lists(ranges, max_size=64),
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
requests = st.builds(
    control_messages.OperatorRequest, id=ids, do=words, args=st.dictionaries(words, anything, max_size=4)
)
replies = st.builds(control_messages.OperatorReply, id=ids, ok=st.booleans(), detail=anything)

Pair = tuple[Callable[[Any], bytes], Callable[[bytes], Any]]
PAIRS: dict[type, Pair] = {
    control_messages.Birth: (control_messages.encode_birth, control_messages.decode_status),
    control_messages.Death: (control_messages.encode_death, control_messages.decode_status),
    control_messages.Alert: (control_messages.encode_alert, control_messages.decode_alert),
    control_messages.Command: (control_messages.encode_command, control_messages.decode_command),
    control_messages.Ack: (control_messages.encode_ack, control_messages.decode_ack),
    control_messages.Receipt: (control_messages.encode_receipt, control_messages.decode_receipt),
    control_messages.OperatorRequest: (
        control_messages.encode_operator_request,
        control_messages.decode_operator_request,
    ),
    control_messages.OperatorReply: (
        control_messages.encode_operator_reply,
        control_messages.decode_operator_reply,
    ),
}
messages = st.one_of(births, deaths, alerts, commands, notices, acks, receipts, requests, replies)


@given(messages)
@settings(max_examples=500)
def test_decoding_is_the_inverse_of_encoding(message: Any) -> None:
    encode, decode = PAIRS[type(message)]
    payload = encode(message)
    assert decode(payload) == message
    assert payload == encode(message)


@given(st.dictionaries(st.text(max_size=10).filter(lambda key: key != "v"), anything, max_size=5))
def test_a_gateway_status_is_any_map_of_version_1(status: dict[str, Any]) -> None:
    assert control_messages.decode_gateway_status(control_messages.encode_gateway_status(status)) == {
        "v": 1,
        **status,
    }


def packed(message: dict[str, Any]) -> bytes:
    return bytes(packb(message))


DECODERS = [decode for _, decode in PAIRS.values()] + [control_messages.decode_gateway_status]


@given(st.binary(max_size=200))
@settings(max_examples=1_000)
def test_random_bytes_raise_nothing_else(payload: bytes) -> None:
    for decode in DECODERS:
        with contextlib.suppress(MalformedMessage):
            decode(payload)


def test_damaged_messages_raise_nothing_else() -> None:
    alert = control_messages.Alert(
        id="a",
        group="g",
        rule="r",
        level="info",
        state="firing",
        event="firing",
        cause="reading",
        site="berlin",
        subject="d",
        at=5,
        value=1.5,
        labels={"a": "b"},
    )
    birth = control_messages.Birth(
        type="t", boot=1, tags={"a": "b"}, metrics={"m": control_messages.MetricInfo(unit="C", min=1)}
    )
    command = control_messages.Command(id="c", n=1, kind="command", name="x", args={"a": 1})
    originals = [
        (control_messages.encode_alert(alert), control_messages.decode_alert),
        (control_messages.encode_birth(birth), control_messages.decode_status),
        (control_messages.encode_command(command), control_messages.decode_command),
        (
            control_messages.encode_receipt(control_messages.Receipt(boot=1, upto=9, missing=[(2, 3)])),
            control_messages.decode_receipt,
        ),
        (
            control_messages.encode_ack(control_messages.Ack(id="c", outcome="done")),
            control_messages.decode_ack,
        ),
    ]
    rng = random.Random(7)
    refused = 0
    for number in range(10_000):
        payload, decode = originals[number % len(originals)]
        damaged = bytearray(payload)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            decode(bytes(damaged))
        except MalformedMessage:
            refused += 1
    assert 5_000 < refused < 10_000


BIRTH = {"state": "online", "type": "t", "boot": 1}
COMMAND = {"id": "c", "n": 1, "kind": "command", "name": "x"}


@pytest.mark.parametrize(
    "more",
    [
        {"tags": {f"t{i}": "x" for i in range(33)}},
        {"tags": {"a": "x" * 129}},
        {"metrics": {f"m{i}": {} for i in range(257)}},
        {"metrics": {"m": {"unit": "x" * 33}}},
        {"type": ""},
        {"type": "x" * 65},
        {"ts": 4_102_444_800_001},
    ],
)
def test_a_birth_is_capped(more: dict[str, Any]) -> None:
    control_messages.decode_status(packed(BIRTH))
    with pytest.raises(MalformedMessage):
        control_messages.decode_status(packed({**BIRTH, **more}))


@pytest.mark.parametrize(
    "more", [{"args": {f"a{i}": 1 for i in range(65)}}, {"args": {"Not a name": 1}}, {"id": "x" * 129}]
)
def test_a_command_is_capped(more: dict[str, Any]) -> None:
    control_messages.decode_command(packed(COMMAND))
    with pytest.raises(MalformedMessage):
        control_messages.decode_command(packed({**COMMAND, **more}))


def test_messages_are_frozen() -> None:
    command = control_messages.Command(id="c", n=1, kind="command", name="x")
    with pytest.raises(AttributeError):
        command.n = 2  # type: ignore[misc]
    assert msgspec.structs.replace(command, n=3).n == 3


def test_a_command_without_n_cannot_be_created() -> None:
    with pytest.raises(ValueError, match="a command needs n"):
        control_messages.Command(id="c", kind="command", name="x")
    with pytest.raises(ValueError, match="a notice carries no n"):
        control_messages.Command(id="c", n=1, kind="alert", name="x")


def test_statuses_and_replies_may_be_longer_than_device_messages() -> None:
    reply = control_messages.OperatorReply(id="r", ok=True, detail="x" * 100_000)
    assert control_messages.decode_operator_reply(control_messages.encode_operator_reply(reply)) == reply
    with pytest.raises(ValueError, match="longer than"):
        control_messages.encode_operator_reply(
            control_messages.OperatorReply(id="r", ok=True, detail="x" * (1 << 20))
        )
